"""Rows held in memory: by key, by unique value and in the order of lists."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from hashlib import sha256
from typing import Any

from retrobus.model.resources import ALL, MEMBER, Resource
from retrobus.model.rows import Row, decode, encode, fold
from retrobus.model.sorting import sort_values
from retrobus.model.wire import View, form_of, render
from retrobus.store.contract import Filter, Origin, Page, Query

CHANGED = "changedInMemory"
"""Marks a filed row that is not as Postgres gave it with this version."""


class Held:
    """One row as it is held: never changed, only replaced; its JSON is written once for each view.

    `tag` is the last part of its ETag: the version that PostgreSQL gave, or one that names a journal entry too.
    """

    __slots__ = ("_filed", "_texts", "row", "tag")

    def __init__(self, row: Row, tag: str | None = None) -> None:
        self.row = row
        self.tag = tag or str(row["version"])
        self._texts: dict[View, bytes] = {}
        self._filed: str | None = None

    def filed(self, resource: Resource) -> str:
        """The whole row as the snapshot keeps it; written once, like `text`. `refiled` reads it."""
        if self._filed is None:
            mark = {} if self.tag == str(self.row["version"]) else {CHANGED: True}
            self._filed = json.dumps(encode(resource, self.row) | mark, ensure_ascii=False)
        return self._filed

    def text(self, resource: Resource, view: View) -> bytes:
        """The row's JSON in UTF-8 as a view shows it."""
        found = self._texts.get(view)
        if found is None:
            found = self._texts[view] = render(resource, view, self.row).encode()
        return found

    def image(self, column: str, at: int | None) -> bytes | None:
        """What a column holds as an image, or the entry `at` of its list; None if there is none."""
        value: str | None = self.row[column]
        if at is not None:
            entries = json.loads(value or "[]")
            value = entries[at] if at < len(entries) and isinstance(entries[at], str) else None
        return None if value is None else value.encode()


def refiled(resource: Resource, filed: Mapping[str, Any]) -> Held:
    """The row that was filed; KeyError, ValueError or TypeError if the value is not one of this resource.

    A row that memory had changed may be in Postgres otherwise, with the same version, and its journal entry may be gone
    when the snapshot is read. Its ETag then names its content: that of the version stands for the row in Postgres.
    """
    row: Row = decode(resource, filed)
    if CHANGED not in filed:
        return Held(row)
    return Held(row, f"{row['version']}-{sha256(json.dumps(filed).encode()).hexdigest()[:16]}")


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write does to one key: the row that it leaves there, or None."""

    resource: Resource
    key: str
    held: Held | None


class Rows:
    """The rows of one resource."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._rows: dict[str, Held] = {}
        self._owners: dict[str, dict[str, str]] = {unique.column: {} for unique in resource.unique}
        self._ordered: list[Held] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Held]:
        return iter(self._rows.values())

    def get(self, key: str) -> Held | None:
        """The row with this key."""
        return self._rows.get(key)

    def put(self, key: str, held: Held | None) -> None:
        """Replaces the row of a key; None removes it."""
        for column, value in self._claims(self._rows.pop(key, None)):
            if self._owners[column].get(value) == key:  # else another row has taken it: states come in any order
                del self._owners[column][value]
        for column, value in self._claims(held):
            self._owners[column][value] = key
        if held is not None:
            self._rows[key] = held
        self._ordered = None

    def _claims(self, held: Held | None) -> Iterator[tuple[str, str]]:
        """The unique values of a row."""
        for column, folded in self._resource.unique if held is not None else ():
            value = held.row[column] if held is not None else None
            if value is not None:
                yield column, fold(value) if folded else value

    def owners(self, values: Row) -> dict[str, str]:
        """Of the unique values among these that a row has: the key of that row, by column."""
        found = {}
        for column, folded in self._resource.unique:
            value = values.get(column)
            owner = None if value is None else self._owners[column].get(fold(value) if folded else value)
            if owner is not None:
                found[column] = owner
        return found

    def referring(self, column: str, key: str) -> list[Held]:
        """The rows whose column holds this key of another resource."""
        return [held for held in self if held.row[column] == key]

    def ordered(self) -> list[Held]:
        """Every row in the order of lists; sorted when a list is first asked for after a change."""
        if self._ordered is None:
            placed = [(self._place(held), held) for held in self]
            for position, step in reversed(list(enumerate(self._resource.order))):
                placed.sort(key=lambda pair, at=position: pair[0][at], reverse=step.descending)  # type: ignore[misc]
            self._ordered = [held for _, held in placed]
        return self._ordered

    def _place(self, held: Held) -> tuple[Any, ...]:
        return sort_values(self._resource, held.row.__getitem__)

    def page(self, query: Query, origin: Origin) -> Page:
        """One page of the rows that match, after the cursor's row."""
        held = self.ordered()
        if query.after is not None:
            held = held[self._position(held, query.after) :]
        if query.filters:
            held = [item for item in held if passes(item.row, query.filters)]
        page = held[: query.limit]
        documents = [item.text(self._resource, query.view) for item in page]
        return Page(documents, self._cursor(page[-1].row) if len(held) > query.limit else None, origin)

    def _position(self, held: list[Held], after: tuple[Any, ...]) -> int:
        """Where the rows begin that come after these sort values."""
        order = self._resource.order

        def compare(one: Any, other: Any) -> int:
            for step, left, right in zip(order, one, other, strict=True):
                if left != right:
                    return (-1 if left < right else 1) * (-1 if step.descending else 1)
            return 0

        key = cmp_to_key(compare)
        return bisect_right(held, key(after), key=lambda item: key(self._place(item)))

    def _cursor(self, row: Row) -> tuple[Any, ...]:
        """The sort values of a row as its JSON says them."""
        table = self._resource.table
        return sort_values(self._resource, lambda name: json.loads(form_of(table.c[name]).python(row[name])))


class Memory:
    """The rows of all resources."""

    def __init__(self) -> None:
        self._rows = {resource: Rows(resource) for resource in ALL}
        self.deleted_members: set[str] = set()
        """Ids of members whose deletion was seen: memory knows that they are gone."""

    def of(self, resource: Resource) -> Rows:
        """The rows of one resource."""
        return self._rows[resource]

    def apply(self, effects: Iterable[Effect]) -> None:
        """Carries out what a write decided."""
        for effect in effects:
            self.of(effect.resource).put(effect.key, effect.held)
            if effect.resource is MEMBER:
                change = self.deleted_members.add if effect.held is None else self.deleted_members.discard
                change(effect.key)


def passes(row: Row, filters: tuple[Filter, ...]) -> bool:
    """Whether a row matches every filter, as the same condition in SQL would say."""
    return all(_passes(row, item) for item in filters)


def _passes(row: Row, item: Filter) -> bool:
    value = row[item.column]
    if item.operator == "json":
        return '"isVisible": false' not in (value or "") or json.loads(value).get("isVisible") is not False
    if value is None:
        return False
    if item.operator == "announced":
        return bool(value == "PUBLISHED")
    if item.operator == "=":
        return bool(fold(value) == fold(item.value)) if item.fold else bool(value == item.value)
    return bool(value >= item.value) if item.operator == ">=" else bool(value < item.value)
