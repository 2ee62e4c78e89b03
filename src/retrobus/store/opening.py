"""Opens the service's own connections, with the limits that the server keeps for their sessions."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import asyncpg

from retrobus.database import pooler
from retrobus.database.errors import PoolerInTheWay
from retrobus.store.pool import Connection

KNOWN = """SELECT backend_start AS started, coalesce((
    SELECT last_value FROM pg_sequences WHERE schemaname = 'public' AND sequencename = 'row_version'), 0) AS version
FROM pg_stat_activity WHERE pid = pg_backend_pid()"""
"""Since when the server process serves; the last version drawn, 0 without our schema or the right to read it.

One statement, because each costs two round trips: on a slow line these decide whether a connection opens in time.
"""

SESSION = {
    "application_name": "retrobus",
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "0",
    "jit": "off",
    "lock_timeout": "2s",
    "statement_timeout": "5s",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
}
"""Limits that the server enforces if this process dies or hangs in the middle of a transaction."""

TRACKED = ("application_name", "timezone")
"""The parameters of SESSION that a pooler passes on; most poolers refuse or ignore the others."""

OF_A_WRITE = "".join(
    f"SET LOCAL {name} = '{SESSION[name]}'; "
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
)
"""Gives a write its limits behind a pooler, where the session has none."""


async def open_connection(
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109 - asyncpg bounds its own steps
    statement_cache: int,
    place: Mapping[str, Any] = MappingProxyType({}),
) -> Connection:
    """A new connection with our limits set, to the server that the driver's arguments `place` name.

    Raises what the driver raises; `Hosts` makes of it what it means. PoolerInTheWay if the connection keeps statements
    and leads to a pooler.
    """
    kept = statement_cache > 0
    try:
        connection: Connection = await asyncpg.connect(
            url,
            **place,
            timeout=timeout,
            command_timeout=None,
            statement_cache_size=statement_cache,
            server_settings=SESSION if kept else {name: SESSION[name] for name in TRACKED},
            connection_class=Connection,
        )
    except asyncpg.PostgresError as error:
        raise pooler.explained(error) from error
    warnings = connection.warnings = []
    connection.started, connection.version = None, 0
    connection.limits = "" if kept else OF_A_WRITE
    connection.add_log_listener(lambda _, message: _remember(message, warnings))
    if kept:
        await _know(connection, timeout)
    return connection


async def _know(connection: Connection, seconds: float) -> None:
    """Notes what is known of a direct connection; closes one that a pooler would share with others."""
    try:
        async with asyncio.timeout(seconds):
            pooled = await pooler.is_pooled(connection)
            known = await connection.fetchrow(KNOWN)
            if known is not None:
                connection.started, connection.version = known["started"], known["version"]
    except BaseException:
        connection.terminate()
        raise
    if pooled:
        connection.terminate()
        raise PoolerInTheWay(pooler.NEEDS_NO_CACHE)


def _remember(message: asyncpg.PostgresLogMessage, warnings: list[str]) -> None:
    if message.severity_en == "WARNING" and message.sqlstate is not None:
        warnings.append(message.sqlstate)
