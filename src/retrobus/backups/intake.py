"""Rows on their way out of a backup: each key and each unique value once, and a reason for every row that stays out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from retrobus.model.limits import KEY
from retrobus.model.names import camel
from retrobus.model.resources import BY_NAME, EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row, fold

NAMES = {
    "Vehicle": VEHICLE,
    "vehicles": VEHICLE,
    "Event": EVENT,
    "events": EVENT,
    "members": MEMBER,
    "Member": MEMBER,
}
"""The tables that are ours, by every name that files give them."""

KEPT = 1000
"""Rejected rows that are listed one by one; all are counted."""


class Damaged(ValueError):
    """The file is no JSON, is cut off, or does not hold what it announces; the text says which, without the content."""


class Unfit(ValueError):
    """A row that no table can hold; the text names the field."""


class Illegible(dict[str, Any]):
    """A row of which only the key can be read; `reason` says why."""

    def __init__(self, key: dict[str, Any], reason: str) -> None:
        super().__init__(key)
        self.reason = reason


class TableRead(NamedTuple):
    """One table of a backup: its rows one at a time (None if it holds no list), and how many the file announces."""

    name: str
    rows: Iterator[Any] | None
    announced: Any = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion that the backup knows of."""

    resource: str
    key: str
    deleted_at: datetime
    cause: str
    batch: int
    actor: str | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that stays out, and why; `key` is None if the row names none, `position` counts from 1 in its table."""

    resource: str
    key: str | None
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A whole row for its table.

    `missing` are the columns that the file does not name: `row` has their defaults. `password` is one that the file
    holds in clear; it is not in `row`, for it must be hashed first.
    """

    resource: str
    row: Row
    missing: frozenset[str] = frozenset()
    password: str | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """The value by which clients address the row."""
        key: str = self.row[BY_NAME[self.resource].key]
        return key


@dataclass(slots=True)
class Intake:
    """Takes the rows of one backup in their order.

    Of two rows with one key, e-mail, matricule or member number, the first comes in and the second is a reject.
    `refused` holds resource and key of every reject: `restore --replace` must not delete these rows here.
    """

    rejects: list[Reject] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    refused: set[tuple[str, str]] = field(default_factory=set)
    _seen: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _positions: Counter[str] = field(default_factory=Counter)

    def take(self, resource: Resource, raw: Any, convert: Callable[[Resource, Any], Taken]) -> Taken | None:
        """The row as `convert` makes it; None after noting why it stays out."""
        self._positions[resource.name] += 1
        try:
            taken = convert(resource, raw)
            self._claim(resource, taken)
        except (Unfit, RecursionError, UnicodeEncodeError) as error:
            self._reject(resource, raw, str(error) if isinstance(error, Unfit) else "valeurs illisibles")
            return None
        return taken

    def forget(self) -> None:
        """Gives back the memory of all keys and unique values, when no row follows."""
        self._seen.clear()

    def _claim(self, resource: Resource, taken: Taken) -> None:
        claims = {resource.key: taken.key}
        for column, folded in resource.unique:
            value = taken.row[column]
            if value is not None:
                claims[column] = fold(value) if folded else value
        for column, value in claims.items():
            if value in self._seen[resource.name, column]:
                raise Unfit(f"{camel(column)} : déjà pris par une autre ligne du backup")
        for column, value in claims.items():
            self._seen[resource.name, column].add(value)

    def _reject(self, resource: Resource, raw: Any, reason: str) -> None:
        key = raw.get(resource.key) if isinstance(raw, dict) else None
        key = str(key)[:KEY] if isinstance(key, str | int) else None
        self.rejected[resource.name] += 1
        if key is not None:
            self.refused.add((resource.name, key))
        if len(self.rejects) < KEPT:
            self.rejects.append(Reject(resource.name, key, self._positions[resource.name], reason))
