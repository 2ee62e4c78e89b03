"""Asks PostgreSQL what /ready tells: schema revision, rights, durability, conflicts."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from retrobus.database import identity, rights
from retrobus.database.errors import FAILURES, UNREADABLE
from retrobus.database.revisions import Revision, revision_of
from retrobus.store.availability import Availability
from retrobus.store.pool import Connection, Opener

FRESH = 1.0
"""Seconds for which one diagnosis serves every caller: /ready is public and must cost little."""

PATIENCE = 1.0
"""Seconds that a diagnosis may take; without it /ready still tells whether PostgreSQL answers."""

SETTINGS = """SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('synchronous_standby_names') AS standbys,
  (SELECT count(*) FROM pg_stat_replication) AS attached,
  (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()
    AND query_start < clock_timestamp() - interval '1 second') AS waiting"""
CONFLICTS = "SELECT count(*) FROM conflict WHERE resolution IS NULL"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The database as seen on a connection of its own; only `up` is known while it is away."""

    up: bool
    reason: str | None = None
    """Why the database is away, or that it refuses writes: a sentence for people."""

    schema: Revision = field(default_factory=Revision)
    durability: dict[str, Any] = field(default_factory=dict)
    conflicts: int | None = None
    missing_rights: tuple[str, ...] = ()
    at_home: bool = True
    """Whether its identity was given to this database; false in a restored dump."""

    def suits(self, expected: str) -> bool:
        """Whether code that expects this revision can work here, and this is the database that it seems to be."""
        return self.schema.suits(expected) and not self.missing_rights and self.at_home


def unconfirmable(durability: Mapping[str, Any]) -> str | None:
    """Why no standby confirms a COMMIT now, for the operator; None if nothing is known to be wrong."""
    if not durability.get("standbys") or durability["synchronous_commit"] in {"off", "local"}:
        return None
    if not durability["attached"]:
        names = durability["standbys"]
        return f"aucune réplique attachée (synchronous_standby_names = {names}) : les écritures ne sont pas confirmées"
    if durability["waiting"]:
        return f"{durability['waiting']} COMMIT en attente de la réplique synchrone"
    return None


class Diagnostician:
    """Asks PostgreSQL at most once a second, for all callers together."""

    def __init__(self, availability: Availability, opener: Opener) -> None:
        self._availability = availability
        self._open = opener
        self._lock = asyncio.Lock()
        self._last = Diagnosis(up=False)
        self._asked = 0.0

    async def ask(self) -> Diagnosis:
        """The present state; never waits on a Postgres that is known to be away."""
        async with self._lock:
            if not self._availability.up:
                return Diagnosis(up=False, reason=self._availability.reason)
            if time.monotonic() - self._asked > FRESH:
                self._last = await self._look()
                self._asked = time.monotonic()
            return self._last

    async def _look(self) -> Diagnosis:
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await self._open()
                try:
                    return await _inspect(connection)
                finally:
                    connection.terminate()
        except FAILURES:
            return await self._without_details()

    async def _without_details(self) -> Diagnosis:
        if await self._availability.verdict():
            return Diagnosis(up=True)
        return Diagnosis(up=False, reason=self._availability.reason)


async def _inspect(connection: Connection) -> Diagnosis:
    row = await connection.fetchrow(SETTINGS)
    durability = dict(row) if row else {}
    durability["reason"] = unconfirmable(durability)
    found = Diagnosis(
        up=True,
        reason=None if connection.server.writable else connection.server.nature,
        schema=await revision_of(connection),
        durability=durability,
        missing_rights=tuple(await rights.missing(connection)),
    )
    with suppress(*UNREADABLE):
        found = replace(found, conflicts=await connection.fetchval(CONFLICTS))
    if not found.missing_rights and not await identity.is_at_home(connection):
        found = replace(found, at_home=False, reason=identity.ELSEWHERE)
    return found
