"""Commits, and finds out what became of a transaction whose COMMIT was cut off."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import Table

from retrobus.store import statements
from retrobus.store.availability import Availability, is_unavailable
from retrobus.store.contract import Busy, Document, Outcome, Row, Unavailable
from retrobus.store.pool import Connection, Opener

COMMIT_TIMEOUT = 5.0
"""Seconds that a COMMIT may take on a server that lives; then its outcome is asked for."""

OUTCOME_PAUSE = 0.05
"""Seconds between two looks whether the server is back to say what became of a COMMIT."""

REPLICATION_CANCELLED = "01000"


@dataclass(slots=True)
class Written:
    """What a write leaves behind, and by what it can be recognised if its COMMIT is cut off."""

    document: Document
    version: int
    at: datetime
    pid: int = 0
    xid: str = "0"
    row: Row | None = None
    """The whole row, when somebody wants to hear of it; None after a delete."""


class Commits:
    """Promise: returns if the transaction is applied; if it raises, the error says whether that is known."""

    def __init__(self, availability: Availability, opener: Opener) -> None:
        self._availability = availability
        self._open = opener

    async def commit(self, connection: Connection, table: Table, written: Written) -> None:
        """Ends the transaction of a write; the driver's error if Postgres refuses."""
        connection.warnings.clear()
        until = time.monotonic() + self._availability.timeout
        ending = asyncio.create_task(connection.execute("COMMIT"))
        await asyncio.wait({ending}, timeout=COMMIT_TIMEOUT)
        if not ending.done():
            connection.terminate()  # which ends the task
            await asyncio.wait({ending})
        error = ending.exception()
        if error is None:
            _check(ending.result(), connection)
        elif isinstance(error, asyncpg.PostgresError) and not is_unavailable(error):
            raise error  # the server said no: deferred constraint, serialization
        else:
            connection.terminate()
            await self._find_out(table, written, until)

    async def _find_out(self, table: Table, written: Written, until: float) -> None:
        applied = await self._outcome(table, written, until)
        if not applied:
            outcome: Outcome = "unknown" if applied is None else "not_applied"
            raise Busy(outcome) if self._availability.up else Unavailable(outcome, sent=True)

    async def _outcome(self, table: Table, written: Written, until: float) -> bool | None:
        """Whether the transaction is applied; None if nobody can say in time."""
        while True:
            if self._availability.up:
                try:
                    async with asyncio.timeout(self._availability.timeout):
                        return await self._look_back(table, written)
                except Exception:  # noqa: BLE001 - whatever it was, nobody could be asked
                    await self._availability.verdict()
            if time.monotonic() > until:
                return None
            await asyncio.sleep(OUTCOME_PAUSE)

    async def _look_back(self, table: Table, written: Written) -> bool | None:
        """Asks on a connection beside the pool: its slots may all be held by writes that ask the same."""
        connection = await self._open()
        try:
            return await _recognised(connection, table, written)
        finally:
            connection.terminate()


def _check(answer: str, connection: Connection) -> None:
    if answer != "COMMIT":
        raise Busy
    if REPLICATION_CANCELLED in connection.warnings:
        raise Busy("unknown")


async def _recognised(connection: Connection, table: Table, written: Written) -> bool | None:
    """Makes sure that the writing transaction has ended, then recognises its row by a version that is drawn once.

    Its transaction id would not do: after a crash, even of one backend only, the server gives the id to somebody else.
    """
    [state] = await connection.fetch(statements.SETTLE, written.pid, written.xid)
    if not state["settled"]:
        return None
    trace = statements.trace(table)
    last = await connection.fetchrow(trace.sql, *trace.values({"row_key": written.document.key}))
    if last is None or last["version"] < written.version:
        return False
    if (last["version"], last["at"]) == (written.version, written.at) and not state["replicated"]:
        return True
    return None  # overwritten since, or perhaps on this server only
