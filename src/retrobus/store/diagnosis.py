"""What /ready and the operator ask of Postgres: schema revision, durability, conflicts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from retrobus.store.availability import Availability
from retrobus.store.pool import Connection

FRESH = 1.0
"""Seconds for which one diagnosis serves all who ask: /ready is open to anyone and must cost little."""

SETTINGS = """SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('synchronous_standby_names') AS standbys"""
REVISION = "SELECT version_num FROM alembic_version"
CONFLICTS = "SELECT count(*) FROM conflict WHERE resolution IS NULL"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The database as seen on a connection of its own; only `up` is known while it is away."""

    up: bool
    revision: str | None = None
    durability: dict[str, str] = field(default_factory=dict)
    conflicts: int | None = None


class Diagnostician:
    """Asks Postgres at most once a second, whoever asks."""

    def __init__(self, availability: Availability, opener: Callable[[], Awaitable[Connection]]) -> None:
        self._availability = availability
        self._open = opener
        self._lock = asyncio.Lock()
        self._last: tuple[float, Diagnosis] = (0.0, Diagnosis(up=False))

    async def ask(self) -> Diagnosis:
        """The present state; never waits on a Postgres that is known to be away."""
        if not self._availability.up:
            return Diagnosis(up=False)
        async with self._lock:
            if time.monotonic() - self._last[0] > FRESH:
                self._last = (time.monotonic(), await self._look())
            return self._last[1]

    async def _look(self) -> Diagnosis:
        try:
            async with asyncio.timeout(FRESH):
                connection = await self._open()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return Diagnosis(up=await self._availability.verdict())
        try:
            return await self._inspect(connection)
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
            return Diagnosis(up=await self._availability.verdict())
        finally:
            connection.terminate()

    async def _inspect(self, connection: Connection) -> Diagnosis:
        row = await connection.fetchrow(SETTINGS, timeout=FRESH)
        durability = dict(row) if row else {}
        try:
            revision = await connection.fetchval(REVISION, timeout=FRESH)
            conflicts = await connection.fetchval(CONFLICTS, timeout=FRESH)
        except asyncpg.UndefinedTableError:
            return Diagnosis(up=True, durability=durability)
        return Diagnosis(up=True, revision=revision, durability=durability, conflicts=conflicts)
