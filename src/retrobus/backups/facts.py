"""Reduces a row to small facts: a restore compares the tables with a backup without holding the rows of either.

For example, an event with its 18 columns and a description of two pages becomes 16 digests of 8 bytes and the number
of its vehicle. Two rows say the same if their digests are the same; where they differ, the plan names the column.
"""

import struct
import sys
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Column, Float, Numeric
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.model.resources import Resource, Unique
from retrobus.model.rows import fold

NONE = 0
"""The digest of a missing value."""

CENT = Decimal("0.01")


class Values(Protocol):
    """A row, as a dict or as the driver gives it."""

    def __getitem__(self, column: str, /) -> Any: ...


class Facts(NamedTuple):
    """What a restore keeps of a row.

    `digests` has 8 bytes for each column of `compared`. `unique` are the values of `uniques`, without regard to case.
    `reference` and `number` are the values of the columns of that name. `missing` are the columns that the backup does
    not name: a row that is here already keeps them as they are.
    """

    digests: bytes
    unique: tuple[str | None, ...] = ()
    reference: str | None = None
    number: int | None = None
    missing: frozenset[str] = frozenset()


@lru_cache
def compared(resource: Resource) -> tuple[str, ...]:
    """The columns by which a row here and a row of a backup are the same.

    Who changed the row last is not among them: older backups do not say it, and an erasure takes it away.
    """
    apart = {"version", "token_epoch", "updated_by", resource.key, resource.number}
    return tuple(column.name for column in resource.columns if column.name not in apart)


@lru_cache
def uniques(resource: Resource) -> tuple[Unique, ...]:
    """The columns beside the key whose values differ from row to row."""
    return tuple(unique for unique in resource.unique if unique.column != resource.key)


def facts_of(resource: Resource, row: Values, missing: frozenset[str] = frozenset()) -> Facts:
    """The facts of a whole row."""
    digests = [NONE if (value := row[name]) is None else hash(plain(value)) for name, plain in _plain(resource)]
    return Facts(
        _packer(resource).pack(*digests),
        tuple(_folded(unique, row[unique.column]) for unique in uniques(resource)),
        _interned(row[resource.reference]) if resource.reference else None,
        row[resource.number] if resource.number else None,
        missing,
    )


def differing(resource: Resource, here: Facts, there: Facts) -> tuple[str, ...]:
    """The columns whose values here are others than those that the backup names."""
    if here.digests == there.digests:
        return ()
    unpack = _packer(resource).unpack
    pairs = zip(compared(resource), unpack(here.digests), unpack(there.digests), strict=True)
    return tuple(name for name, one, other in pairs if one != other and name not in there.missing)


def with_value(resource: Resource, facts: Facts, column: str, value: str | None) -> Facts:
    """The facts of the same row with another text in one column."""
    digests = list(_packer(resource).unpack(facts.digests))
    digests[compared(resource).index(column)] = NONE if value is None else hash(value)
    return facts._replace(digests=_packer(resource).pack(*digests))


def says(resource: Resource, facts: Facts, column: str, value: str) -> bool:
    """Whether the row holds this text in this column."""
    digests: tuple[int, ...] = _packer(resource).unpack(facts.digests)
    return digests[compared(resource).index(column)] == hash(value)


def without_lost(resource: Resource, facts: Facts, lost: AbstractSet[str]) -> Facts:
    """The facts of the same row, with null for a reference to a row that will not be there."""
    if resource.reference is None or facts.reference not in lost:
        return facts
    return with_value(resource, facts, resource.reference, None)


def _interned(name: str | None) -> str | None:
    """The same text as one object for all rows: many events have one vehicle."""
    return None if name is None else sys.intern(name)


def _folded(unique: Unique, value: str | None) -> str | None:
    return fold(value) if unique.folded and value is not None else value


@lru_cache
def _packer(resource: Resource) -> struct.Struct:
    return struct.Struct(f"{len(compared(resource))}q")


@lru_cache
def _plain(resource: Resource) -> tuple[tuple[str, Callable[[Any], Hashable]], ...]:
    """Each compared column, and how its values become instants or text: what is equal in PostgreSQL is equal then.

    A digest is Python's 64-bit hash of that. Numbers are hashed as text, for -1 and -2 have the same hash.
    """
    return tuple((name, _plain_form(resource.table.c[name])) for name in compared(resource))


def _plain_form(column: Column[Any]) -> Callable[[Any], Hashable]:
    if isinstance(column.type, TIMESTAMP):
        return lambda value: value
    if isinstance(column.type, Float):
        return lambda value: repr(float(value))
    if isinstance(column.type, Numeric):
        return lambda value: str(value.quantize(CENT, ROUND_HALF_UP))
    return str
