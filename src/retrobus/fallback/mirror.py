"""The in-memory copy of the three resources, and how it follows Postgres without ever going back in time."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table

from retrobus.fallback.memory import Answers, Effect, Held, Memory, MemoryStore
from retrobus.model.rows import Row, unique_columns
from retrobus.model.tables import RESOURCES, key_column, stored_columns
from retrobus.model.wire import moment
from retrobus.store.contract import Origin

Place = tuple[str, str]


class Mirror:
    """Rows as Postgres last had them, plus what was journaled since Postgres went.

    Promise: states of a key are applied by row version, so the latest wins in whatever order they come.
    """

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called after each change; the snapshot listens here."""

        answers = Answers()
        self.store = MemoryStore(Memory(), answers)
        self.ahead = MemoryStore(Memory(), answers)
        """The same rows with the writes that are on their way to the journal: what the next write is judged by."""

        self.origin = "empty"
        self.as_of: datetime | None = None
        self.identity: str | None = None
        self.version = 0
        self._buried: dict[Place, int] = {}
        self._journaled: set[Place] = set()
        self._during_refresh: list[tuple[Table, str, Row | None, int]] | None = None
        self.describe("empty", None, None)

    @property
    def filled(self) -> bool:
        """Whether it ever held anything that was somebody's truth."""
        return self.origin != "empty"

    def describe(self, origin: str, as_of: datetime | None, identity: str | None) -> None:
        """Says where the rows come from; every answer from here carries it."""
        self.origin, self.as_of, self.identity = origin, as_of, identity
        told = Origin("memory", moment(as_of) if as_of is not None else None, origin)
        for store in (self.store, self.ahead):
            store.origin, store.identity = told, identity or "00000000"

    def matched(self, at: datetime) -> None:
        """The mirror was seen to hold all that Postgres had at that instant."""
        self.describe("postgres", at, self.identity)

    def wrote(self, table: Table, key: str, row: Row | None, version: int) -> None:
        """A state of a key as Postgres committed it, from whichever side it comes."""
        if self._during_refresh is not None:
            self._during_refresh.append((table, key, row, version))
        place = (table.name, key)
        if place in self._journaled or version <= self._known(table, key) or not self._takes(table, key, row, version):
            return
        self.version = max(self.version, version)
        if row is None:
            self._buried[place] = version
        self._put(Effect(table, key, None if row is None else Held(row)))
        if row is None:
            self._release_references(table, key)
        self.changed()

    def _known(self, table: Table, key: str) -> int:
        held = self.store.memory.of(table).get(key)
        buried = self._buried.get((table.name, key), 0)
        return max(buried, 0 if held is None else held.row["version"])

    def _takes(self, table: Table, key: str, row: Row | None, version: int) -> bool:
        """Whether a row may have its unique values: of two that hold the same the later has it, the other let go."""
        rows, claimed = self.store.memory.of(table), row or {}
        claims = [(name, claimed.get(name)) for name, _ in unique_columns(table)]
        owners = {rows.owner(name, value) for name, value in claims if value is not None}
        rivals = [owner for owner in owners if owner not in {None, key}]
        if any((table.name, rival) in self._journaled or self._known(table, rival) > version for rival in rivals):
            return False
        for rival in rivals:
            self.store.memory.of(table).put(rival, None)
            self.ahead.memory.of(table).put(rival, None)
        return True

    def _put(self, effect: Effect) -> None:
        self.store.memory.apply([effect])
        self.ahead.memory.apply([effect])

    def _release_references(self, table: Table, key: str) -> None:
        """What the foreign key did in Postgres; the rows' own new versions come with their notification."""
        for other in RESOURCES.values():
            for name in [r.parent.name for r in other.foreign_keys if r.column.table is table]:
                for held in [held for held in self.store.memory.of(other) if held.row[name] == key]:
                    self._put(Effect(other, held.row[key_column(other).name], Held(held.row | {name: None})))

    async def refresh(self, connection: Any, *, settled: bool = False) -> None:
        """Fills the mirror anew from one snapshot of Postgres; what commits meanwhile is applied after it.

        Unless the journal is `settled`, a write that it took meanwhile stays: then nothing is filled.
        """
        self._during_refresh = []
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                as_of = datetime.now(UTC)
                identity = await connection.fetchval("SELECT id::text FROM database_identity")
                memory = Memory()
                for table in RESOURCES.values():
                    async for row in connection.cursor(_select(table), prefetch=500):
                        memory.of(table).put(row[key_column(table).name], Held(dict(row)))
            if settled or not self._journaled:
                self._install(memory, as_of, identity)
        finally:
            self._during_refresh = None

    def _install(self, memory: Memory, as_of: datetime, identity: str) -> None:
        later, self._during_refresh = self._during_refresh or [], None
        self._journaled.clear()
        self._buried.clear()
        memory.forgotten = self.store.memory.forgotten
        self.hold(memory)
        self.describe("postgres", as_of, identity)
        for state in later:
            self.wrote(*state)
        self.changed()

    def hold(self, memory: Memory) -> None:
        """Takes these rows in place of the present ones."""
        self.store.memory = memory
        self.ahead.memory = memory.fork()
        rows = [held.row["version"] or 0 for table in RESOURCES.values() for held in memory.of(table)]
        self.version = max([self.version, *rows])

    def journaled(self, effects: Iterable[Effect]) -> None:
        """Shows a write that the journal has now; what Postgres says of its keys waits for the replay."""
        for effect in effects:
            self._journaled.add((effect.table.name, effect.key))
            self.store.memory.apply([effect])
        self.changed()

    def step_back(self) -> None:
        """Drops the writes that did not reach the journal."""
        self.ahead.memory = self.store.memory.fork()


def _select(table: Table) -> str:
    names = ", ".join(column.name for column in stored_columns(table))
    return f"SELECT {names} FROM {table.name}"  # noqa: S608 - names of our own tables


ROW_STATE = """SELECT coalesce(max(version), 0) FROM deletion WHERE resource = $1 AND key = $2"""


async def current_state(connection: Any, table: Table, key: str) -> tuple[Row | None, int]:
    """The row of a key and its version, or None and the version of its latest tombstone."""
    row = await connection.fetchrow(f"{_select(table)} WHERE {key_column(table).name} = $1", key)
    if row is not None:
        return dict(row), row["version"]
    return None, await connection.fetchval(ROW_STATE, table.info["resource"], key)
