"""The pool of connections to Postgres: limited in number, and dropped all at once when Postgres is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from retrobus.database.pooler import OwnNames
from retrobus.database.server import Server

ACQUIRE_TIMEOUT = 1.0
"""Seconds that a request waits for a connection when all are in use."""

LATE = 0.5
"""Seconds after which a turn comes late: while requests wait so long, further ones are sent away at once."""

LONGEST_USE = 10.0
"""Seconds after which a connection in use counts as dead: longer than the server lets any transaction of ours run."""

READS = 10
"""One connection of this many (at least one) is kept for reads, so that writes that wait for a standby stop no read."""

DROPPED = "the pool was dropped while a request waited for its connection"


class Connection(OwnNames):
    """A connection, its server, the server's warnings, and the limits that a write must set by itself."""

    __slots__ = ("limits", "server", "started", "version", "warnings")
    limits: str
    started: datetime | None
    """Since when its server process serves it; None behind a pooler, where the process changes."""

    version: int
    """The last version that was drawn when the connection was opened."""

    server: Server
    warnings: list[str]


Opener = Callable[[], Awaitable[Connection]]


class PoolExhausted(Exception):
    """Every connection was in use for longer than a request waits, or would be: too many others wait already."""


class Slots:
    """Slots that requests take in their order, and wait a second for at most.

    Once turns come late, a request that finds others waiting is sent away at once. Otherwise each request of an
    overload would wait for the whole second, and most of the time of the service would go to requests that it refuses.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._waiting = 0
        self._last_wait = 0.0

    async def take(self) -> None:
        """Takes a free slot at once, or waits for one; PoolExhausted if there are too many others, or none in time."""
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting and self._last_wait > LATE:
            raise PoolExhausted
        began = time.monotonic()
        self._waiting += 1
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                await self._free.acquire()
        except TimeoutError:
            raise PoolExhausted from None
        finally:
            self._waiting -= 1
            self._last_wait = time.monotonic() - began

    def give_back(self) -> None:
        """Gives a slot to the request that has waited longest, if any waits."""
        self._free.release()


class Pool:
    """Hands out connections, and never again one that was broken, left in a transaction or dropped."""

    def __init__(self, opener: Opener, size: int, is_current: Callable[[Connection], bool] = lambda _: True) -> None:
        """`is_current` says whether a connection leads to the server that the service uses now."""
        self.size = size
        self._is_current = is_current
        self._open = opener
        self._slots = Slots(size)
        self._write_slots = Slots(max(1, size - max(1, size // READS)))
        self._idle: list[Connection] = []
        self._used: dict[Connection, float] = {}
        self._writing: set[Connection] = set()
        self._opening: set[asyncio.Future[Connection]] = set()
        self._generation = 0

    @property
    def in_use(self) -> int:
        """Connections handed out now."""
        return len(self._used)

    @property
    def idle(self) -> int:
        """Connections open and waiting."""
        return len(self._idle)

    async def acquire(self, *, fresh: bool = False, writes: bool = False) -> Connection:
        """A connection, newly opened if `fresh`; PoolExhausted after a second without one.

        Writes never take the last connections: those whose COMMIT waits for a standby must stop no read.
        """
        if not writes:
            return await self._acquire(fresh=fresh)
        await self._write_slots.take()
        try:
            connection = await self._acquire(fresh=fresh)
        except BaseException:
            self._write_slots.give_back()
            raise
        self._writing.add(connection)
        return connection

    async def _acquire(self, *, fresh: bool) -> Connection:
        generation = self._generation
        await self._slots.take()
        try:
            if fresh and self._idle:
                self._idle.pop(0).terminate()  # so that idle and used connections together never exceed the size
            connection = None if fresh else self._pop()
            if connection is None:
                connection = await self._open_one(generation)
        except BaseException:
            self._slots.give_back()
            raise
        self._used[connection] = time.monotonic()
        return connection

    def _pop(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed() and self._is_current(connection):
                return connection
            connection.terminate()
        return None

    async def _open_one(self, generation: int) -> Connection:
        if generation != self._generation:
            raise ConnectionResetError(DROPPED)
        opening = asyncio.ensure_future(self._open())
        self._opening.add(opening)
        try:
            connection = await opening
        except asyncio.CancelledError:
            if generation == self._generation:
                raise
            raise ConnectionResetError(DROPPED) from None
        finally:
            self._opening.discard(opening)
        if generation != self._generation:
            connection.terminate()
            raise ConnectionResetError(DROPPED)
        return connection

    def release(self, connection: Connection) -> None:
        """Takes a connection back; one that cannot be used again is closed without waiting for the server."""
        del self._used[connection]
        self._slots.give_back()
        if connection in self._writing:
            self._writing.discard(connection)
            self._write_slots.give_back()
        if connection.is_closed() or connection.is_in_transaction() or not self._is_current(connection):
            connection.terminate()
        else:
            self._idle.append(connection)

    def drop(self) -> None:
        """Cuts every connection, idle, in use or opening: requests that wait on one fail now instead of hanging."""
        self._generation += 1
        self.drop_idle()
        for connection in self._used:
            connection.terminate()
        for opening in self._opening:
            opening.cancel()

    def drop_idle(self) -> None:
        """Cuts the connections that no request uses, so that the next ones are new."""
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()

    def cut_silent(self) -> None:
        """Cuts connections that are in use for longer than the server's limits allow: their line is dead."""
        now = time.monotonic()
        for connection, since in self._used.items():
            if now - since > LONGEST_USE:
                connection.terminate()
