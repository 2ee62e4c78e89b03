"""What changed in Postgres since a version: rows and tombstones, read in one snapshot of the database.

A version is drawn from one sequence while its transaction still runs: version 12 may be committed before version 11.
So "all up to version N" is only known once every transaction has ended that could have drawn N or less. A transaction
has its id before it draws its first version (the triggers see to that). Hence the rule of the watermark:

1. Read the last version drawn (N), then draw a transaction id of one's own (X).
2. Once a snapshot shows that every transaction with an id below X has ended, what it shows is whole up to N.

For example: the writer with id 100 draws version 11 and waits. The reader sees that 12 was drawn last and draws id 105.
As long as 100 runs, the watermark stays at 10 and version 12 is read again at each look, which does no harm.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from retrobus.database import sql
from retrobus.database.errors import state_of
from retrobus.database.pooler import OwnNames
from retrobus.model.resources import ALL, BY_NAME, Resource
from retrobus.model.rows import Row

LOOK = """SELECT pg_current_snapshot()::text AS snapshot,
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
  (SELECT last_value - (NOT is_called)::int FROM row_version) AS highest, id::text AS identity,
  created_at::text AS marker, CASE WHEN pg_is_in_recovery() THEN ''
    ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END AS timeline FROM database_identity"""

TOMBSTONES = "SELECT resource, key, version FROM deletion WHERE version > $1"
NO_ID = frozenset({"55000", "25006"})
"""SQLSTATEs by which a standby says that it gives no transaction id."""

FETCHED = 500
"""Rows that are in memory twice at a time while they are read."""


@dataclass(frozen=True, slots=True)
class Look:
    """The state of the database in a few words."""

    snapshot: str
    """Changes whenever any transaction that wrote has ended: while it is the same, nothing new was committed."""

    oldest: int
    """Every transaction with a lower id has ended."""

    highest: int
    """The last version drawn, by a transaction that may still run."""

    identity: str
    marker: str
    """Changes when rows changed without a version that tells: another identity, an erasure, a repair."""

    timeline: str
    """Another one after a failover, which may have lost committed changes; empty on a standby."""

    @property
    def running(self) -> frozenset[int]:
        """The transactions that have an id and have not ended. A snapshot names all below the last one that ended."""
        return frozenset(int(number) for number in self.snapshot.split(":")[2].split(",") if number)


@dataclass(frozen=True, slots=True)
class Change:
    """The latest state of one key; no row after a delete."""

    resource: Resource
    key: str
    row: Row | None
    version: int


async def look(connection: OwnNames, *, seconds: float | None = None) -> Look:
    """Looks, in one round trip; TimeoutError after so many seconds. LookupError if there is no schema of ours."""
    row = await connection.fetchrow(LOOK, timeout=seconds)
    if row is None:
        raise LookupError("database_identity")
    return Look(**row)


async def transaction_id(connection: OwnNames) -> int | None:
    """An id above that of every transaction that has one now; None where the server gives none (a standby)."""
    try:
        found: int = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
    except Exception as error:
        if state_of(error) in NO_ID:
            return None
        raise
    return found


class Snapshot:
    """One instant of the database."""

    def __init__(self, connection: OwnNames, seen: Look) -> None:
        self.seen = seen
        self._connection = connection

    async def since(self, version: int | None) -> AsyncIterator[Change]:
        """Every row and tombstone with a higher version; without a version: every row, and no tombstone."""
        for resource in ALL:
            rows = self._connection.cursor(sql.select(resource, "version > $1"), version or 0, prefetch=FETCHED)
            async for row in rows:
                yield Change(resource, row[resource.key], dict(row), row["version"])
        if version is not None:
            async for row in self._connection.cursor(TOMBSTONES, version, prefetch=FETCHED):
                yield Change(BY_NAME[row["resource"]], row["key"], None, row["version"])


@asynccontextmanager
async def snapshot_of(connection: OwnNames) -> AsyncIterator[Snapshot]:
    """One instant of the database, for as long as the block."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield Snapshot(connection, await look(connection))
