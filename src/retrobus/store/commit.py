"""Ends the transactions of writes, and finds out what became of one whose connection was cut.

A cut connection leaves a question: did the server commit? The transaction id does not answer it: after a crash the
server gives the same id to another transaction. So every write leaves a *nonce*, a random number, in its row or
tombstone:

1. The server process that may still run the write is ended.
2. The nonce is there: the write is applied.
3. It is not there, and the latest version of the key was drawn before the write: the write is not applied.
4. Otherwise the row was written again since: the outcome is unknown.

For example: the service deletes event e1 (version 12) and the line is cut. A tombstone of e1 holds the nonce: the
client is told 200. No tombstone, and e1 still has version 12: the client is told 503 `not_applied`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from retrobus import logbook
from retrobus.database.errors import is_refusal, is_unavailable
from retrobus.model.resources import Resource
from retrobus.store import statements
from retrobus.store.availability import Availability
from retrobus.store.errors import (
    Busy,
    Outcome,
    Unavailable,
)
from retrobus.store.pool import Connection, Opener

T = TypeVar("T")

COMMIT_TIMEOUT = 5.0
"""Seconds that a COMMIT, or a write that commits by itself, may take on a server that lives; then it is looked for."""

OUTCOME_PAUSE = 0.05
"""Seconds between two looks whether the server is back to say what became of a write."""

REPLICATION_CANCELLED = "01000"

LONG = 1.0
"""Seconds after which a COMMIT without an answer counts as waiting for a standby."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A write on its way, and by what it is found again."""

    resource: Resource
    key: str
    nonce: int
    floor: int
    """Every version drawn by this write is higher."""

    pid: int
    xid: str | None = None
    """The transaction id, of a transaction that was begun before."""

    started: datetime | None = None
    """Since when the server process serves this connection, if the write is a transaction of its own."""


class Commits:
    """Promise: returns if the write is applied; if it raises, the error says whether that is known."""

    def __init__(self, availability: Availability, opener: Opener) -> None:
        self.unconfirmed = 0
        """COMMITs that a synchronous standby did not confirm, since the start."""

        self._availability = availability
        self._open = opener
        self._running: dict[asyncio.TimerHandle, float] = {}
        self._told = False

    @property
    def waiting(self) -> int:
        """Writes of this process that wait for the answer to their COMMIT for longer than a second."""
        now = time.monotonic()
        return sum(now - since > LONG for since in self._running.values())

    async def commit(self, connection: Connection, sent: Sent) -> None:
        """Ends the transaction of a write; the driver's error if the server refuses."""
        until = time.monotonic() + self._availability.timeout
        try:
            await self._commit(connection)
        except Exception as error:
            if _said_no(error, connection):
                raise
            if not await self._is_applied(connection, sent, until):
                raise self.refusal("not_applied") from error

    async def run(
        self, connection: Connection, sent: Sent, sending: Coroutine[Any, Any, list[Any]]
    ) -> list[Any] | None:
        """Runs a statement that is a transaction of its own: its answer; None if it was cut and is applied.

        A write that is not applied ends in its own error, which `Attempts` may try again.
        """
        until = time.monotonic() + self._availability.timeout
        try:
            return await self._ended(connection, sending)
        except Exception as error:
            if _said_no(error, connection):
                raise
            if not await self._is_applied(connection, sent, until):
                raise
            return None

    async def confirm(self, connection: Connection) -> None:
        """Ends a transaction that found everything done; returns when all that it has seen is confirmed.

        For example a DELETE whose COMMIT no standby confirmed was answered 503. The row is gone on this server, yet a
        failover may bring it back: the same DELETE again is answered 404 only after a commit that the standby has.
        Without a synchronous standby there is nothing to wait for. An error of the driver means: try it all again.
        """
        own = await connection.fetchrow(statements.BARRIER)
        try:
            await self._commit(connection)
        except Exception as error:
            if isinstance(error, Busy):
                raise
            connection.terminate()
            if own is None:
                raise
            with suppress(Exception):  # the server may be gone: then the transaction is too
                async with asyncio.timeout(self._availability.timeout):
                    await self.beside(lambda beside: _settled(beside, own["pid"], own["xid"], None))
            raise self.refusal("unknown") if not self._availability.up else self._unconfirmed() from error

    async def _commit(self, connection: Connection) -> None:
        if await self._ended(connection, connection.execute("COMMIT")) != "COMMIT":
            raise Busy

    async def _ended(self, connection: Connection, sending: Coroutine[Any, Any, T]) -> T:
        """What the server answers; it is cut off if it does not answer in time, for example for want of a standby."""
        connection.warnings.clear()
        limit = limited(connection)
        self._running[limit] = time.monotonic()
        try:
            found = await sending
        except asyncio.CancelledError:
            connection.terminate()  # no other request may get a connection on which a COMMIT still runs
            raise
        finally:
            limit.cancel()
            del self._running[limit]
        if REPLICATION_CANCELLED in connection.warnings:
            raise self._unconfirmed()
        self._told = False
        return found

    def _unconfirmed(self) -> Busy:
        """What the client is told; the log says it once, until a COMMIT is answered again."""
        self.unconfirmed += 1
        if not self._told:
            self._told = True
            logbook.commit_unconfirmed()
        return Busy("unknown")

    def refusal(self, outcome: Outcome, nonce: int | None = None) -> Busy | Unavailable:
        """What the client of a write is told whose connection was cut, with what is known of the outcome."""
        return Busy(outcome) if self._availability.up else Unavailable(outcome, sent=True, nonce=nonce)

    async def _is_applied(self, connection: Connection, sent: Sent, until: float) -> bool:
        """Whether the write whose connection was cut is applied; Busy or Unavailable if that stays unknown."""
        connection.terminate()
        while True:
            if self._availability.up:
                try:
                    async with asyncio.timeout(self._availability.timeout):
                        found = await self.beside(lambda beside: self._recognised(beside, sent))
                except Busy:
                    raise  # it is applied here, and perhaps on this server only
                except Exception:  # noqa: BLE001 - whatever it was, the server could not be asked
                    await self._availability.verdict()
                else:
                    if found is None:
                        raise self.refusal("unknown", sent.nonce)
                    return found
            if time.monotonic() > until:
                raise self.refusal("unknown", sent.nonce)
            await asyncio.sleep(OUTCOME_PAUSE)

    async def beside(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Asks on a connection beside the pool, whose slots may all be held by writes that ask the same."""
        connection = await self._open()
        try:
            return await ask(connection)
        finally:
            connection.terminate()

    async def _recognised(self, connection: Connection, sent: Sent) -> bool | None:
        """Makes sure that the transaction has ended, then looks for its nonce; None if the outcome cannot be known."""
        state = await _settled(connection, sent.pid, sent.xid, sent.started)
        if not state["settled"]:
            return None
        trace = statements.trace(sent.resource)
        found = await connection.fetchrow(trace.sql, *trace.values({"row_key": sent.key, "nonce": sent.nonce}))
        if found is None or not found["applied"]:
            latest = 0 if found is None else found["latest"] or 0
            return False if latest <= sent.floor else None
        if state["replicated"]:
            raise self._unconfirmed()
        return True


def limited(connection: Connection) -> asyncio.TimerHandle:
    """Cuts the connection off after COMMIT_TIMEOUT, unless the handle is cancelled before."""
    return asyncio.get_running_loop().call_later(COMMIT_TIMEOUT, connection.terminate)


def _said_no(error: Exception, connection: Connection) -> bool:
    """Whether the server refused the write (a taken value, a deadlock), or the driver never sent it."""
    if isinstance(error, Busy) or is_refusal(error):
        return True
    return not connection.is_closed() and not is_unavailable(error)


async def _settled(connection: Connection, pid: int, xid: str | None, started: datetime | None) -> Any:
    """Ends this transaction of another connection if it still runs, and gives what is known of it then."""
    return await connection.fetchrow(statements.SETTLE, pid, xid, started)
