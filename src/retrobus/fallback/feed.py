"""Feeds the mirror with what Postgres has: everything once, then what changed since."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from retrobus.changes.snapshots import Change, Look, Snapshot, look, snapshot_of, transaction_id
from retrobus.database.pooler import OwnNames
from retrobus.fallback.memory import Held, Memory
from retrobus.fallback.mirror import Mirror

PATIENCE = 1.6
"""Seconds that one look at the database may take; a line that is dead says nothing."""

AGAIN = 5.0
"""Seconds between two readings of everything, while a long writer keeps the watermark unknown."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The next watermark: `version`, once every transaction below `transaction` has ended."""

    version: int
    transaction: int


class Feed:
    """Promise: after `poll` or `fill`, the mirror holds all that was committed when it began, or its date stays older.

    `watermark`: the mirror holds every state with this version or a lower one; None while that is not known.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self.watermark: int | None = None
        self._candidate: Candidate | None = None
        self._seen: Look | None = None
        self._filled_at = 0.0

    async def fill(self, connection: OwnNames, *, settled: bool = False) -> None:
        """Reads everything and puts it in place of what the mirror held.

        Keeps what the mirror held if the journal took a write meanwhile, unless the journal is `settled`: then all of
        it is in Postgres.
        """
        at = datetime.now(UTC)
        highest = (await look(connection)).highest
        transaction = await transaction_id(connection)
        with self._mirror.filling():
            async with snapshot_of(connection) as snapshot:
                memory = await _read(snapshot)
            if not settled and self._mirror.journaling:
                return
            self._mirror.install(memory, at, snapshot.seen.identity)
        whole = transaction is not None and snapshot.seen.oldest > transaction
        self.watermark, self._candidate = (highest if whole else None), None
        self._seen, self._filled_at = snapshot.seen, time.monotonic()

    async def poll(self, connection: OwnNames) -> None:
        """Reads what changed since the watermark; everything again if versions do not tell it all."""
        at = datetime.now(UTC)
        seen = await look(connection, seconds=PATIENCE)
        before = self._seen
        if before is None or (seen.identity, seen.marker) != (before.identity, before.marker):
            await self.fill(connection)
            return
        if seen.snapshot != before.snapshot:
            if self.watermark is not None:
                await self._read_on(connection)
            elif time.monotonic() - self._filled_at > AGAIN:
                await self.fill(connection)
                return
            else:
                return  # the mirror keeps its date
        await self._propose(connection, seen)
        if not self._mirror.journaling:
            self._mirror.matched(at)

    async def _read_on(self, connection: OwnNames) -> None:
        async with snapshot_of(connection) as snapshot:
            changes = [change async for change in snapshot.since(self.watermark)]
        self._take(changes)
        self._seen = snapshot.seen
        if self._candidate is not None and snapshot.seen.oldest > self._candidate.transaction:
            self.watermark, self._candidate = self._candidate.version, None

    def _take(self, changes: list[Change]) -> None:
        for change in sorted(changes, key=lambda change: change.version):
            self._mirror.wrote(change.resource, change.key, change.row, change.version)

    async def _propose(self, connection: OwnNames, seen: Look) -> None:
        """Names the next watermark; `seen` was looked up before the transaction id is drawn."""
        if self.watermark is None or self._candidate is not None:
            return
        if seen.highest > self.watermark:
            transaction = await transaction_id(connection)
            if transaction is not None:
                self._candidate = Candidate(seen.highest, transaction)


async def _read(snapshot: Snapshot) -> Memory:
    """Every row, in a memory of its own."""
    memory = Memory()
    async for change in snapshot.since(None):
        if change.row is not None:
            memory.of(change.resource).put(change.key, Held(change.row))
    return memory
