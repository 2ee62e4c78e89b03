"""What a resource is: one object that says what the rest of the service asks about vehicles, events or members."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Column, Table

from retrobus.model.columns import is_derived


class Unique(NamedTuple):
    """A column whose values differ from row to row; `folded` if upper and lower case of ASCII letters are the same."""

    column: str
    folded: bool = False


class Order(NamedTuple):
    """One step of the order of lists."""

    column: str
    descending: bool = False


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind of row that clients read and write.

    `name` stands in tombstones, journals, backups and command lines; `plural` in addresses and in the snapshot; `label`
    is the French plural that operators read, `singular` the French word for one row. `key` is the column by which
    clients address a row, `number` the column that PostgreSQL counts by itself and that addresses nothing. `order` is
    the total order of lists. `keep_one` names values of which one row at least must stay: the last active ADMIN.
    `reference` is the column that names another row: an event's vehicle, the member who created a member. `images` are
    the columns that lists leave out where they hold data URLs, `private` those that the public website never sees,
    `secret` those that no answer ever holds. `published` is the SQL condition under which the public sees the row
    `{0}`, None if it never does. A row's JSON has its images and then its private columns at the end.
    """

    name: str
    plural: str
    label: str
    singular: str
    table: Table
    key: str
    order: tuple[Order, ...]
    unique: tuple[Unique, ...]
    number: str | None = None
    keep_one: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    published: str | None = None
    secret: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<Resource {self.name}>"

    @cached_property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns that hold facts: all but those that PostgreSQL computes from them (wire JSON, sort keys)."""
        return tuple(column for column in self.table.columns if not is_derived(column))

    @cached_property
    def shown(self) -> tuple[Column[Any], ...]:
        """The columns that members see, in the order of the table."""
        return tuple(column for column in self.columns if column.name not in self.secret)

    @cached_property
    def key_column(self) -> Column[Any]:
        """The column of `key`."""
        column: Column[Any] = self.table.c[self.key]
        return column

    @cached_property
    def machinery(self) -> frozenset[str]:
        """Columns that PostgreSQL or the service fills in: two rows that differ in these alone say the same."""
        return frozenset(
            {"version", "created_at", "updated_at", "updated_by"} | ({self.number} if self.number else set())
        )
