"""The store that is a copy: the same five verbs over rows held in memory, with the verdicts that Postgres gives."""

import json
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any

from sqlalchemy import Table

from retrobus.model.rows import Row, completed, encode, fold, now, unique_columns
from retrobus.model.sorting import sort_values
from retrobus.model.tables import RESOURCES, key_column, member, number_column, order_of
from retrobus.model.wire import View, kind_of, render
from retrobus.store.contract import (
    Caller,
    Change,
    Check,
    Conflict,
    Document,
    FieldError,
    Filter,
    InProgress,
    Invalid,
    KeyReused,
    NoAnswer,
    NotFound,
    Once,
    Origin,
    Page,
    Precondition,
    Query,
    Stale,
    Unauthenticated,
)

REMEMBERED = 10_000
"""Idempotency-Keys whose answers are kept; the oldest goes first."""

REMEMBERED_SIZE = 1 << 26
"""Characters of kept answers: a vehicle's holds its images."""

DAY = 86_400.0
LAST_ADMIN = "Le dernier administrateur actif ne peut être ni supprimé ni rétrogradé."


class Held:
    """One row as it is held: never changed, only replaced; its JSON is written once for each view."""

    __slots__ = ("_filed", "_texts", "row", "tag")

    def __init__(self, row: Row, tag: str | None = None) -> None:
        self.row = row
        self.tag = tag or str(row["version"])
        self._texts: dict[View, str] = {}
        self._filed: str | None = None

    def filed(self, table: Table) -> str:
        """The whole row as files keep it; like `text`, written once."""
        if self._filed is None:
            self._filed = json.dumps(encode(table, self.row), ensure_ascii=False)
        return self._filed

    def text(self, table: Table, view: View) -> str:
        """The row's JSON as a view shows it."""
        found = self._texts.get(view)
        if found is None:
            found = self._texts[view] = render(table, view, self.row)
        return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write does to one key: the row that it leaves there, or None."""

    table: Table
    key: str
    held: Held | None


class Rows:
    """The rows of one table by key, by unique value and in order."""

    def __init__(
        self, table: Table, rows: dict[str, Held] | None = None, owners: dict[str, dict[str, str]] | None = None
    ) -> None:
        self._table = table
        self._rows = rows or {}
        self._owners = owners or {name: {} for name, _ in unique_columns(table)}
        self._ordered: list[Held] | None = None

    def fork(self) -> "Rows":
        """The same rows, which diverge from here."""
        return Rows(self._table, dict(self._rows), {name: dict(keys) for name, keys in self._owners.items()})

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._rows.values())

    def get(self, key: str) -> Held | None:
        """The row with this key."""
        return self._rows.get(key)

    def put(self, key: str, held: Held | None) -> None:
        """Replaces the row of a key; None removes it."""
        for name, value in self._claims(self._rows.pop(key, None)):
            if self._owners[name].get(value) == key:  # else another row took it: states may come in any order
                del self._owners[name][value]
        for name, value in self._claims(held):
            self._owners[name][value] = key
        if held is not None:
            self._rows[key] = held
        self._ordered = None

    def _claims(self, held: Held | None) -> Iterator[tuple[str, str]]:
        """The unique values of a row."""
        if held is None:
            return
        for name, ignored in unique_columns(self._table):
            value = held.row[name]
            if value is not None:
                yield name, fold(value) if ignored else value

    def owner(self, name: str, value: str) -> str | None:
        """The key of the row that holds this unique value."""
        ignored = dict(unique_columns(self._table))[name]
        return self._owners[name].get(fold(value) if ignored else value)

    def ordered(self) -> list[Held]:
        """Every row in the table's order."""
        if self._ordered is None:
            placed = [(sort_values(self._table, item.row.__getitem__), item) for item in self._rows.values()]
            for position, (_, descending) in reversed(list(enumerate(order_of(self._table)))):
                placed.sort(key=lambda pair, at=position: pair[0][at], reverse=descending)  # type: ignore[misc]
            self._ordered = [item for _, item in placed]
        return self._ordered


class Memory:
    """Rows of the three resources; a fork shares them and diverges from there."""

    def __init__(self) -> None:
        self.tables = {table.name: Rows(table) for table in RESOURCES.values()}
        self.forgotten: set[str] = set()
        """Ids of members whose deletion was seen: they are known to be gone, not unknown."""

    def of(self, table: Table) -> Rows:
        """The rows of one table."""
        return self.tables[table.name]

    def apply(self, effects: Iterable[Effect]) -> None:
        """Carries out what a write decided."""
        for effect in effects:
            self.of(effect.table).put(effect.key, effect.held)
            if effect.table is member:
                (self.forgotten.add if effect.held is None else self.forgotten.discard)(effect.key)

    def fork(self) -> "Memory":
        """A copy with its own tables, over the same rows."""
        copy = Memory()
        copy.tables = {name: rows.fork() for name, rows in self.tables.items()}
        copy.forgotten = set(self.forgotten)
        return copy


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write that is decided and not carried out yet."""

    operation: str
    table: Table
    key: str
    before: Held | None
    effects: tuple[Effect, ...]
    replayed: Document | None = None

    @property
    def after(self) -> Held | None:
        """The row that the write leaves under its key."""
        return next((e.held for e in self.effects if e.table is self.table and e.key == self.key), None)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that is kept; no document while its write is under way."""

    fingerprint: bytes
    document: Document | None
    at: float

    @property
    def size(self) -> int:
        """Characters that it holds."""
        return 0 if self.document is None else len(self.document.json)


class Answers:
    """What was answered to each Idempotency-Key, for a day; bounded, the oldest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], _Answer] = OrderedDict()
        self._size = 0

    def replay(self, caller: Caller | None, once: Once | None) -> Document | None:
        """The answer to the same request; None if this is the first time."""
        kept = self._kept.get(_scope(caller, once) or ())
        if kept is None or once is None or kept.at < time.monotonic() - DAY:
            return None
        if kept.document is None:
            raise InProgress
        if kept.fingerprint != once.fingerprint:
            raise KeyReused
        return kept.document

    def keep(self, caller: Caller | None, once: Once | None, document: Document | None) -> None:
        """Keeps the answer of a write for whoever repeats it; None while the write is under way."""
        scope = _scope(caller, once)
        if scope is None or once is None:
            return
        self._drop(scope)
        self._kept[scope] = _Answer(once.fingerprint, document, time.monotonic())
        self._size += self._kept[scope].size
        while len(self._kept) > REMEMBERED or self._size > REMEMBERED_SIZE:
            self._drop(next(iter(self._kept)))

    def forget(self, caller: Caller | None, once: Once | None) -> None:
        """The write did not happen: its key is free again."""
        self._drop(_scope(caller, once) or ())

    def _drop(self, scope: tuple[str, ...]) -> None:
        dropped = self._kept.pop(scope, None)
        self._size -= 0 if dropped is None else dropped.size


def _scope(caller: Caller | None, once: Once | None) -> tuple[str, ...] | None:
    return None if caller is None or once is None else (caller.id, once.method, once.path, once.key)


Tag = Callable[[Held | None], tuple[int, str]]
"""Gives the version of a new state of a row, from the state before it, and how its ETag says it."""


class MemoryStore:
    """The verbs over a `Memory`; writes are decided first, so that a journal may have them before they show."""

    def __init__(self, memory: Memory, answers: Answers | None = None) -> None:
        self.memory = memory
        self.answers = answers or Answers()
        self.identity = "00000000"
        self.origin = Origin("memory")
        self._version = 0
        self._number = 0

    async def find(self, table: Table, query: Query, *, caller: Caller | None) -> Page:
        self.admit(caller)
        return page_of(self.memory.of(table), table, query, self.origin)

    async def get(
        self, table: Table, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        self.admit(caller)
        held = self.memory.of(table).get(key)
        if held is None or not all(_passes(held.row, item) for item in filters):
            raise NotFound
        return self.document(table, held, view)

    async def insert(self, table: Table, values: Row, *, caller: Caller, once: Once | None = None) -> Document:
        return self._carry_out(self.prepare_insert(table, values, caller, once, self._next), caller, once)

    async def update(
        self,
        table: Table,
        key: str,
        change: Change,
        *,
        caller: Caller | None,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        prepared = self.prepare_update(table, key, change, Terms(caller, match, once), self._next)
        return self._carry_out(prepared, caller, once)

    async def delete(
        self,
        table: Table,
        key: str,
        check: Check | None = None,
        *,
        caller: Caller,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        prepared = self.prepare_delete(table, key, check, Terms(caller, match, once), self._next)
        return self._carry_out(prepared, caller, once)

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        rows = self.memory.of(member)
        key = member_id
        if identifier is not None:
            key = rows.owner("email", identifier) or rows.owner("matricule", identifier)
        held = rows.get(key) if key is not None else None
        return None if held is None else dict(held.row)

    def admit(self, caller: Caller | None) -> None:
        """Access as it was known; a member of whom nothing is known is not let in, and not sent away either."""
        if caller is None:
            return
        held = self.memory.of(member).get(caller.id)
        if held is None and caller.id not in self.memory.forgotten:
            raise NoAnswer
        if held is None or held.row["token_epoch"] != caller.epoch or held.row["status"] != "active":
            raise Unauthenticated

    def document(self, table: Table, held: Held, view: View = "one") -> Document:
        """A held row as an answer."""
        key = held.row[key_column(table).name]
        return Document(held.text(table, view), self._etag(held), key, self.origin)

    def _etag(self, held: Held) -> str:
        return f'"{self.identity[:8]}-{held.tag}"'

    def _next(self, _: Held | None) -> tuple[int, str]:
        self._version += 1
        return self._version, str(self._version)

    def prepare_insert(self, table: Table, values: Row, caller: Caller, once: Once | None, tag: Tag) -> Prepared:
        """Decides an insert; raises what Postgres would."""
        self.admit(caller)
        key = values[key_column(table).name]
        replayed = self.answers.replay(caller, once)
        if replayed is not None:
            return Prepared("insert", table, key, None, (), replayed)
        self._check_unique(table, values, None)
        self._check_references(table, values)
        version, text = tag(None)
        row = completed(table, values | {"version": version})
        number = number_column(table)
        if number is not None:
            row[number.name] = self._next_number(table, number.name)
        return Prepared("insert", table, key, None, (Effect(table, key, Held(row, text)),))

    def prepare_update(self, table: Table, key: str, change: Change, terms: "Terms", tag: Tag) -> Prepared:
        """Decides an update; no effect when nothing changes."""
        self.admit(terms.caller)
        replayed = self.answers.replay(terms.caller, terms.once)
        if replayed is not None:
            return Prepared("update", table, key, None, (), replayed)
        before = self._matched(table, key, terms.match)
        address = before.row[key_column(table).name]
        changes = {name: value for name, value in change(dict(before.row)).items() if before.row[name] != value}
        if not changes:
            return Prepared("update", table, address, before, ())
        after = before.row | changes
        self._keep_one(table, before.row, after)
        self._check_unique(table, changes, address)
        self._check_references(table, changes)
        if table is member and "token_epoch" not in changes and {"role", "status"} & changes.keys():
            after["token_epoch"] = before.row["token_epoch"] + 1
        version, text = tag(before)
        after |= {"version": version, "updated_at": now()}
        return Prepared("update", table, address, before, (Effect(table, address, Held(after, text)),))

    def prepare_delete(self, table: Table, key: str, check: Check | None, terms: "Terms", tag: Tag) -> Prepared:
        """Decides a delete, and what it does to rows that refer to this one."""
        self.admit(terms.caller)
        replayed = self.answers.replay(terms.caller, terms.once)
        if replayed is not None:
            return Prepared("delete", table, key, None, (), replayed)
        before = self._matched(table, key, terms.match)
        if check is not None:
            check(dict(before.row))
        self._keep_one(table, before.row, None)
        address = before.row[key_column(table).name]
        tag(before)
        return Prepared(
            "delete", table, address, before, (Effect(table, address, None), *self.orphans(table, address, tag))
        )

    def orphans(self, table: Table, key: str, tag: Tag) -> Iterator[Effect]:
        """Rows whose reference to a deleted row becomes null, as the foreign key says."""
        for other in RESOURCES.values():
            for reference in other.foreign_keys:
                if reference.column.table is not table:
                    continue
                name = reference.parent.name
                for held in [held for held in self.memory.of(other) if held.row[name] == key]:
                    version, text = tag(held)
                    row = held.row | {name: None, "version": version, "updated_at": now()}
                    yield Effect(other, row[key_column(other).name], Held(row, text))

    def _matched(self, table: Table, key: str, match: Precondition | None) -> Held:
        held = self.memory.of(table).get(key)
        if held is None:
            raise NotFound
        if match is not None and not match.holds(self._etag(held)):
            raise Stale
        return held

    def _check_unique(self, table: Table, values: Row, own: str | None) -> None:
        key = key_column(table).name
        if own is None and self.memory.of(table).get(values[key]) is not None:
            raise Conflict("Cette valeur est déjà prise.", key)
        for name, _ in unique_columns(table):
            value = values.get(name)
            if value is not None and self.memory.of(table).owner(name, value) not in {None, own}:
                raise Conflict("Cette valeur est déjà prise.", name)

    def _check_references(self, table: Table, values: Row) -> None:
        for reference in table.foreign_keys:
            value = values.get(reference.parent.name)
            if value is not None and self.memory.of(reference.column.table).get(value) is None:
                raise Invalid([FieldError(reference.parent.name, "désigne une ligne qui n'existe pas")])

    def _keep_one(self, table: Table, before: Row, after: Row | None) -> None:
        rule = table.info.get("keep_one")
        if rule is None or not _has(before, rule) or (after is not None and _has(after, rule)):
            return
        key = key_column(table).name
        if not any(_has(held.row, rule) and held.row[key] != before[key] for held in self.memory.of(table)):
            raise Conflict(LAST_ADMIN, "role")

    def _next_number(self, table: Table, name: str) -> int:
        self._number = max([self._number, *(held.row[name] or 0 for held in self.memory.of(table))]) + 1
        return self._number

    def answer(self, prepared: Prepared) -> Document:
        """What a decided write says."""
        if prepared.replayed is not None:
            return replace(prepared.replayed, origin=self.origin)
        held = prepared.after or prepared.before
        if held is None:
            raise AssertionError("a write leaves or had a row")
        return self.document(prepared.table, held)

    def _carry_out(self, prepared: Prepared, caller: Caller | None, once: Once | None) -> Document:
        document = self.answer(prepared)
        self.memory.apply(prepared.effects)
        self.answers.keep(caller, once, document)
        return document


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what terms a row is changed: by whom, if it still matches, once only."""

    caller: Caller | None
    match: Precondition | None = None
    once: Once | None = None


def _has(row: Row, values: dict[str, Any]) -> bool:
    return all(row[name] == value for name, value in values.items())


def _passes(row: Row, item: Filter) -> bool:
    value = row[item.column]
    if item.operator == "json":
        return '"isVisible": false' not in (value or "") or _visible(value)
    if value is None:
        return False
    if item.operator == "=":
        return bool(fold(value) == fold(item.value)) if item.fold else bool(value == item.value)
    return bool(value >= item.value) if item.operator == ">=" else bool(value < item.value)


def _visible(extras: str) -> bool:
    return json.loads(extras).get("isVisible") is not False


def page_of(rows: Rows, table: Table, query: Query, origin: Origin) -> Page:
    """One page of the rows that match, after the cursor's."""
    held = rows.ordered()
    if query.after is not None:
        held = held[_position(held, table, query.after) :]
    if query.filters:
        held = [item for item in held if all(_passes(item.row, one) for one in query.filters)]
    page = held[: query.limit]
    documents = [item.text(table, query.view) for item in page]
    more = len(held) > query.limit
    return Page(documents, _wire_values(table, page[-1].row) if more else None, origin)


def _position(held: list[Held], table: Table, after: tuple[Any, ...]) -> int:
    order = order_of(table)

    def compare(one: Any, other: Any) -> int:
        for (_, descending), left, right in zip(order, one, other, strict=True):
            if left != right:
                return (-1 if left < right else 1) * (-1 if descending else 1)
        return 0

    key = cmp_to_key(compare)
    return bisect_right(held, key(after), key=lambda item: key(sort_values(table, item.row.__getitem__)))


def _wire_values(table: Table, row: Row) -> tuple[Any, ...]:
    """The sort values of a row as its JSON says them."""
    return sort_values(table, lambda name: json.loads(kind_of(table.c[name]).python(row[name])))
