"""Whether Postgres answers: one verdict for the whole service, never found out by a queue of requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import asyncpg

from retrobus.store.contract import Unavailable
from retrobus.store.pool import Connection, Pool

PATIENCE = 0.35
"""Part of DATABASE_TIMEOUT after which a silent statement makes us ask on a fresh connection."""

PROBE_INTERVAL = 0.4
"""Seconds between two attempts to reach a Postgres that is away."""

AWAY_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
"""Shutting down, crashed, starting up, idle session ended, no connection slot left."""


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that Postgres could not be asked, rather than that it said no."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state in AWAY_STATES or state.startswith("08")
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)  # "connection is closed", "the underlying connection is closed"
    return isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError | EOFError)


class Watcher(Protocol):
    """Who is told when Postgres goes and comes."""

    def lost(self, reason: str) -> None:
        """Postgres does not answer any more; the reason names an error, never a value."""

    def found(self) -> None:
        """Postgres answers."""


class Availability:
    """The breaker: `up` decides for every request; a background task finds out when it must change.

    Promise: the loss of Postgres is noticed within `timeout` seconds, its return within one second.
    """

    def __init__(
        self, pool: Pool, opener: Callable[[], Awaitable[Connection]], timeout: float, watcher: Watcher
    ) -> None:
        self.pool = pool
        self.up = False
        self.since = time.time()
        self.reason = ""
        self._open = opener
        self._patience = timeout * PATIENCE
        self._probe_timeout = timeout * (0.9 - PATIENCE)
        self._watcher = watcher
        self._running: dict[object, float] = {}
        self._asking: asyncio.Task[bool] | None = None
        self._cleanups: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def enter(self) -> object:
        """Notes that a statement starts; Unavailable at once while Postgres is known to be away."""
        if not self.up:
            raise Unavailable
        mark = object()
        self._running[mark] = time.monotonic()
        return mark

    def leave(self, mark: object) -> None:
        """Notes that the statement of this mark ended."""
        self._running.pop(mark, None)

    async def verdict(self) -> bool:
        """Whether a fresh connection and its SELECT 1 succeed now; asked once for all who wonder."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        alive = await self._probe()
        if alive and not self.up:
            self.up, self.since = True, time.time()
            self._watcher.found()
        elif not alive and self.up:
            self.up, self.since = False, time.time()
            self.pool.drop()
            self._wake.set()
            self._watcher.lost(self.reason)
        return alive

    async def _probe(self) -> bool:
        attempt = asyncio.create_task(self._attempt())
        await asyncio.wait({attempt}, timeout=self._probe_timeout)
        if not attempt.done():
            attempt.cancel()
            cleanup = asyncio.create_task(_swallow(attempt))  # closing a hung connection may take as long as it likes
            self._cleanups.add(cleanup)
            cleanup.add_done_callback(self._cleanups.discard)
            self.reason = "timeout"
            return False
        return attempt.result()

    async def _attempt(self) -> bool:
        connection = None
        try:
            connection = await self._open()
            await connection.fetchval("SELECT 1")
        except asyncpg.TooManyConnectionsError:
            return self.up and self.pool.in_use + self.pool.idle > 0
        except Exception as error:
            if is_unavailable(error) or isinstance(error, asyncpg.PostgresError):
                self.reason = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
                return False  # wrong password, unknown database: as unusable as a server that is down
            raise
        finally:
            if connection is not None:
                connection.terminate()
        return True

    async def watch(self) -> None:
        """Runs for as long as the service does: suspects silent statements, looks for a lost Postgres."""
        tick = min(self._patience / 4, 0.1)
        while True:
            if not self.up or (
                self._running and time.monotonic() - next(iter(self._running.values())) > self._patience
            ):
                await self.verdict()
            self._wake.clear()
            await self._pause(PROBE_INTERVAL if not self.up else tick)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


async def _swallow(task: asyncio.Task[bool]) -> None:
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
