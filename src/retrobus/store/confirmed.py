"""Transactions of the replay and of commands that end known, also if their COMMIT waits for a synchronous standby."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from retrobus.database.connection import AnyConnection
from retrobus.database.errors import is_unavailable
from retrobus.store.commit import REPLICATION_CANCELLED

PATIENCE = 5.0
"""Seconds that a COMMIT waits before `Asked` decides whether to go on waiting."""

ATTEMPTS = 6
"""Waits of a command, each of PATIENCE seconds, before it gives up."""

Asked = Callable[[], Awaitable[bool]]
"""Is called while a COMMIT waits; says whether to go on waiting."""


class Unconfirmed(Exception):
    """The COMMIT may be done on this server alone, or not at all; the text says why and what to do."""


NO_STANDBY = (
    "Le COMMIT n'est pas confirmé par la réplique synchrone : l'écriture n'existe peut-être que sur ce serveur. "
    "Rattachez la réplique (SELECT * FROM pg_stat_replication), vérifiez le résultat, puis relancez s'il manque."
)
CUT = "La connexion s'est rompue pendant le COMMIT : vérifiez le résultat, puis relancez s'il manque."


def at_most(attempts: int) -> Asked:
    """An `Asked` that goes on waiting this many times."""
    left = iter(range(1, attempts))

    async def asked() -> bool:
        return next(left, None) is not None

    return asked


@asynccontextmanager
async def confirmed(connection: AnyConnection, asked: Asked | None = None) -> AsyncIterator[None]:
    """A transaction for as long as the block. Promise: if it ends without an error, every needed standby has it.

    Unconfirmed if that cannot be said: what depends on the transaction (a journal that is settled) must wait.
    `asked` hears of a COMMIT that waits, every five seconds; a command gives up after half a minute.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    warnings: list[str] = []
    connection.add_log_listener(lambda _, message: warnings.append(message.sqlstate))
    error = await _ended(connection, asyncio.create_task(transaction.commit()), asked or at_most(ATTEMPTS))
    if error is not None and is_unavailable(error):
        raise Unconfirmed(CUT) from error
    if error is not None:
        raise error
    if REPLICATION_CANCELLED in warnings:
        raise Unconfirmed(NO_STANDBY)


async def _ended(connection: AnyConnection, ending: asyncio.Task[None], asked: Asked) -> BaseException | None:
    """The error with which the COMMIT ended, if any. A caller that stops waiting leaves no task behind."""
    ending.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        while not (await asyncio.wait({ending}, timeout=PATIENCE))[0]:
            if not await asked():
                raise Unconfirmed(NO_STANDBY)
        return ending.exception()
    finally:
        if not ending.done():
            connection.terminate()
