"""The copy of the three resources in memory, and how it takes states from Postgres without ever going back in time."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from retrobus.fallback.decisions import MemoryStore
from retrobus.fallback.memory import Effect, Held, Memory
from retrobus.model.resources import ALL, Resource
from retrobus.model.rows import Row
from retrobus.model.wire import moment
from retrobus.store.contract import Origin

Place = tuple[Resource, str]


class Mirror:
    """Rows as Postgres last had them, plus the writes that the journal took since Postgres went.

    Promise: states of a key are applied by row version, so the latest state wins in whatever order they come.
    For example: the service is told that event e1 was deleted (version 12), then hears of its creation (version 10).
    The event stays deleted.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        """Set at each change; the snapshot writer waits for it and clears it."""

        self.store = MemoryStore()
        self.origin = "empty"
        self.as_of: datetime | None = None
        self.identity: str | None = None
        self.version = 0
        """The highest version seen."""

        self._tombstones: dict[Place, int] = {}
        self._journaled: set[Place] = set()
        self._told_during_fill: list[tuple[Resource, str, Row | None, int]] | None = None
        self.describe("empty", None, None)

    @property
    def journaling(self) -> bool:
        """Whether it shows writes that Postgres does not have."""
        return bool(self._journaled)

    @property
    def filled(self) -> bool:
        """Whether it ever held the rows of a database, a snapshot, a backup or the sample."""
        return self.origin != "empty"

    def describe(self, origin: str, as_of: datetime | None, identity: str | None) -> None:
        """Says where the rows come from and of which instant they are; every answer from memory carries it."""
        self.origin, self.as_of, self.identity = origin, as_of, identity
        self.store.origin = Origin("memory", moment(as_of) if as_of is not None else None, origin)
        self.store.identity = identity or "00000000"

    def matched(self, at: datetime) -> None:
        """The mirror was seen to hold all that Postgres had at that instant."""
        self.describe("postgres", at, self.identity)

    def wrote(self, resource: Resource, key: str, row: Row | None, version: int) -> None:
        """Takes a state of a key as Postgres committed it; a key that the journal holds waits for the replay."""
        if self._told_during_fill is not None:
            self._told_during_fill.append((resource, key, row, version))
        place = (resource, key)
        if place in self._journaled or version <= self._known(place) or not self._takes(resource, key, row, version):
            return
        self.version = max(self.version, version)
        if row is None:
            self._tombstones[place] = version
        self._apply(Effect(resource, key, None if row is None else Held(row)))
        if row is None:
            self._release_references(resource, key)
        self.changed.set()

    def _known(self, place: Place) -> int:
        """The version of the latest state of a key that the mirror has seen."""
        resource, key = place
        held = self.store.memory.of(resource).get(key)
        return max(self._tombstones.get(place, 0), 0 if held is None else held.row["version"])

    def _takes(self, resource: Resource, key: str, row: Row | None, version: int) -> bool:
        """Whether a row may have its unique values.

        If two rows claim the same e-mail, the row with the higher version keeps it; the other row has given it up in
        Postgres, and its own newer state is still on its way.
        """
        rows = self.store.memory.of(resource)
        rivals = set(rows.owners(row or {}).values()) - {key}
        if any((resource, rival) in self._journaled or self._known((resource, rival)) > version for rival in rivals):
            return False
        for rival in rivals:
            rows.put(rival, None)
        return True

    def _apply(self, effect: Effect) -> None:
        self.store.memory.apply([effect])

    def _release_references(self, resource: Resource, key: str) -> None:
        """Does what the foreign key did in Postgres; the new versions of those rows are still on their way."""
        for orphan in self.store.orphans(resource, key, lambda held: (held.row["version"] if held else 0, "")):
            if orphan.held is not None:
                self._apply(Effect(orphan.resource, orphan.key, Held(orphan.held.row)))

    @contextmanager
    def filling(self) -> Iterator[None]:
        """For as long as the block, what this process writes is noted, and `install` applies it again."""
        self._told_during_fill = []
        try:
            yield
        finally:
            self._told_during_fill = None

    def install(self, memory: Memory, as_of: datetime, identity: str) -> None:
        """Takes the rows of one snapshot of Postgres, and after them what this process wrote meanwhile."""
        later, self._told_during_fill = self._told_during_fill or [], None
        self._journaled.clear()
        self._tombstones.clear()
        memory.deleted_members = self.store.memory.deleted_members
        self.hold(memory)
        self.describe("postgres", as_of, identity)
        for state in later:
            self.wrote(*state)
        self.changed.set()

    def hold(self, memory: Memory) -> None:
        """Takes these rows in place of the present ones."""
        self.store.memory = memory
        versions = [held.row["version"] or 0 for resource in ALL for held in memory.of(resource)]
        self.version = max([self.version, *versions])

    def journaled(self, effects: Iterable[Effect]) -> None:
        """Shows a write that the journal has; what Postgres says of its keys waits for the replay."""
        for effect in effects:
            self._journaled.add((effect.resource, effect.key))
            self._apply(effect)
        self.changed.set()
