"""Commits, and finds out what became of a transaction whose COMMIT was cut off."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import asyncpg

from retrobus import logbook
from retrobus.model.resources import Resource
from retrobus.store import statements
from retrobus.store.availability import Availability, is_unavailable
from retrobus.store.contract import Busy, Document, Outcome, Row, Unavailable
from retrobus.store.pool import Connection, Opener

T = TypeVar("T")

COMMIT_TIMEOUT = 5.0
"""Seconds that a COMMIT may take on a server that lives; then its outcome is asked for."""

OUTCOME_PAUSE = 0.05
"""Seconds between two looks whether the server is back to say what became of a COMMIT."""

REPLICATION_CANCELLED = "01000"

LONG = 1.0
"""Seconds after which a COMMIT without an answer counts as waiting for a standby."""


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

    @property
    def is_new(self) -> bool:
        """Whether the transaction changed a row, rather than found all as it should be."""
        return self.xid != "0"


class Commits:
    """Promise: returns if the transaction is applied; if it raises, the error says whether that is known."""

    def __init__(self, availability: Availability, opener: Opener) -> None:
        self._availability = availability
        self._open = opener
        self._running: dict[asyncio.Task[str], float] = {}
        self._told = False
        self.unconfirmed = 0
        """COMMITs that a synchronous standby did not confirm, since the start."""

    @property
    def waiting(self) -> int:
        """COMMITs of this process that wait for their answer for longer than a second."""
        now = time.monotonic()
        return sum(now - since > LONG for since in self._running.values())

    async def commit(self, connection: Connection, resource: Resource, written: Written) -> None:
        """Ends the transaction of a write; the driver's error if Postgres refuses."""
        until = time.monotonic() + self._availability.timeout
        error = await self._end(connection)
        if error is None:
            return
        if isinstance(error, asyncpg.PostgresError) and not is_unavailable(error):
            raise error  # the server said no: deferred constraint, serialization
        connection.terminate()
        await self._find_out(resource, written, until)

    async def confirm(self, connection: Connection) -> None:
        """Ends a transaction that found everything done; returns when all that it has seen is confirmed.

        For example a DELETE whose COMMIT no standby confirmed was answered 503. The row is gone on this server, yet a
        failover may bring it back: the same DELETE again is answered 404 only after a commit that the standby has.
        Without a synchronous standby there is nothing to wait for. An error of the driver means: try it all again.
        """
        own = await connection.fetchrow(statements.BARRIER)
        error = await self._end(connection)
        if error is None:
            return
        connection.terminate()
        if own is None:
            raise error
        with suppress(Exception):  # the server may be gone: then the transaction is too
            async with asyncio.timeout(self._availability.timeout):
                await self._beside(_settled, own["pid"], own["xid"])
        raise self._unconfirmed() if self._availability.up else Unavailable("unknown", sent=True)

    async def _end(self, connection: Connection) -> BaseException | None:
        """Sends COMMIT; None if the server did it, the driver's error if it did not or did not answer in time."""
        connection.warnings.clear()
        ending = asyncio.create_task(connection.execute("COMMIT"))
        self._running[ending] = time.monotonic()
        ending.add_done_callback(self._running.pop)
        await asyncio.wait({ending}, timeout=COMMIT_TIMEOUT)
        if not ending.done():
            connection.terminate()  # which ends the task
            await asyncio.wait({ending})
        error = ending.exception()
        if error is not None:
            return error
        if ending.result() != "COMMIT":
            raise Busy
        if REPLICATION_CANCELLED in connection.warnings:
            raise self._unconfirmed()
        self._told = False
        return None

    def _unconfirmed(self) -> Busy:
        """What the client is told; the log says it once, until a COMMIT is answered again."""
        self.unconfirmed += 1
        if not self._told:
            self._told = True
            logbook.commit_unconfirmed()
        return Busy("unknown")

    async def _find_out(self, resource: Resource, written: Written, until: float) -> None:
        applied = await self._outcome(resource, written, until)
        if not applied:
            outcome: Outcome = "unknown" if applied is None else "not_applied"
            raise Busy(outcome) if self._availability.up else Unavailable(outcome, sent=True)

    async def _outcome(self, resource: Resource, written: Written, until: float) -> bool | None:
        """Whether the transaction is applied; None if nobody can say in time."""
        while True:
            if self._availability.up:
                try:
                    async with asyncio.timeout(self._availability.timeout):
                        return await self._beside(self._recognised, resource, written)
                except Busy:
                    raise  # it was asked, and the standby does not tell
                except Exception:  # noqa: BLE001 - whatever it was, nobody could be asked
                    await self._availability.verdict()
            if time.monotonic() > until:
                return None
            await asyncio.sleep(OUTCOME_PAUSE)

    async def _beside(self, ask: Callable[..., Awaitable[T]], *about: Any) -> T:
        """Asks on a connection beside the pool: its slots may all be held by writes that ask the same."""
        connection = await self._open()
        try:
            return await ask(connection, *about)
        finally:
            connection.terminate()

    async def _recognised(self, connection: Connection, resource: Resource, written: Written) -> bool | None:
        """Makes sure that the writing transaction has ended, then recognises its row by a version that is drawn once.

        Its transaction id would not do: after a crash, even of one backend only, the server gives the id to another.
        """
        state = await _settled(connection, written.pid, written.xid)
        if not state["settled"]:
            return None
        trace = statements.trace(resource)
        last = await connection.fetchrow(trace.sql, *trace.values({"row_key": written.document.key}))
        if last is None or last["version"] < written.version:
            return False
        if (last["version"], last["at"]) != (written.version, written.at):
            return None  # overwritten since
        if state["replicated"]:
            raise self._unconfirmed()  # perhaps on this server only
        return True


async def _settled(connection: Connection, pid: int, xid: str) -> Any:
    """Ends this transaction of another connection if it still runs, and gives what is known of it then."""
    return await connection.fetchrow(statements.SETTLE, pid, xid)
