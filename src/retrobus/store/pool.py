"""Connections to Postgres: at most so many, the most recently used first, all of them droppable at once."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

ACQUIRE_TIMEOUT = 1.0
"""Seconds that a request waits for a connection when all are in use."""

SESSION = {
    "application_name": "retrobus",
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
}
"""Limits that the server itself keeps, should this process die or hang in the middle of something."""

FACTS = """SELECT pg_postmaster_start_time()::text AS started, pg_is_in_recovery() AS standby,
  CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline"""


class Server(NamedTuple):
    """Which run of which server a connection talks to: transaction ids mean something only within one."""

    started: str
    timeline: str | None


if TYPE_CHECKING:
    AnyConnection = asyncpg.Connection[asyncpg.Record]
else:
    AnyConnection = asyncpg.Connection


class Connection(AnyConnection):
    """A connection that knows its server and remembers the server's warnings."""

    __slots__ = ("server", "warnings")
    server: Server
    warnings: list[str]


class PoolExhausted(Exception):
    """Every connection was in use for longer than a request waits."""


async def open_connection(url: str, *, timeout: float, statement_cache: int) -> Connection:  # noqa: ASYNC109 - asyncpg bounds its own steps
    """A new connection with our limits set; raises what asyncpg raises."""
    pooler = statement_cache == 0
    connection: Connection = await asyncpg.connect(
        url,
        timeout=timeout,
        command_timeout=None,
        statement_cache_size=statement_cache,
        server_settings={} if pooler else SESSION,
        connection_class=Connection,
    )
    try:
        [facts] = await connection.fetch(FACTS, timeout=timeout)
    except BaseException:
        connection.terminate()
        raise
    connection.server = Server(facts["started"], facts["timeline"])
    connection.warnings = []
    connection.add_log_listener(_remember_warning)
    return connection


def _remember_warning(connection: Any, message: Any) -> None:
    if message.severity_en == "WARNING":
        connection.warnings.append(message.sqlstate)


class Pool:
    """Hands out connections; one that was broken, left in a transaction or dropped is never handed out again."""

    def __init__(self, opener: Callable[[], Any], size: int) -> None:
        self.size = size
        self._open = opener
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._generation = 0

    @property
    def in_use(self) -> int:
        """Connections handed out now."""
        return len(self._used)

    @property
    def idle(self) -> int:
        """Connections open and waiting."""
        return len(self._idle)

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection, newly opened if `fresh`; PoolExhausted after a second without one."""
        try:
            if self._slots.locked():
                async with asyncio.timeout(ACQUIRE_TIMEOUT):
                    await self._slots.acquire()
            else:
                await self._slots.acquire()
        except TimeoutError:
            raise PoolExhausted from None
        try:
            if fresh and self._idle:
                self._idle.pop(0).terminate()  # idle and used ones together never exceed the size
            connection = None if fresh else self._pop()
            if connection is None:
                connection = await self._open_current()
        except BaseException:
            self._slots.release()
            raise
        self._used.add(connection)
        return connection

    def _pop(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _open_current(self) -> Connection:
        generation = self._generation
        connection: Connection = await self._open()
        if generation != self._generation:
            connection.terminate()
            raise ConnectionResetError("the pool was dropped while this connection was opening")
        return connection

    def release(self, connection: Connection) -> None:
        """Takes a connection back; what cannot be used again is closed at once, without waiting for the server."""
        dropped = connection not in self._used
        self._used.discard(connection)
        self._slots.release()
        if dropped or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    def drop(self) -> None:
        """Cuts every connection, idle or in use: what waits on one fails now instead of hanging."""
        self._generation += 1
        for connection in (*self._idle, *self._used):
            connection.terminate()
        self._idle.clear()
        self._used.clear()
