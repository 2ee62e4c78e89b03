"""Makes the rows of a spreadsheet into rows of a table, by the rules that the API has for what clients send.

For example, a list of members with the columns « Identifiant », « Téléphone » and « Version »:

    m1;06 12 34 56 78;812   the new phone of m1, if m1 is still as version 812 left it
    m2;;815                 m2 has no phone any more
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, String
from sqlalchemy.dialects.postgresql import JSONB

from retrobus.backups.conversion import MODELS, checked_member_id
from retrobus.backups.intake import Unfit
from retrobus.model.columns import RULE, label_of
from retrobus.model.events import EventChange
from retrobus.model.field_errors import field_errors
from retrobus.model.fields import EventId, Parc, Wire
from retrobus.model.members import MemberChange
from retrobus.model.names import camel, snake
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row
from retrobus.model.vehicles import VehicleChange
from retrobus.sheets.forms import reader, text, value_of
from retrobus.sheets.grids import Absent, Cell, Grid, GridRow, is_blank
from retrobus.sheets.headings import Headings
from retrobus.sheets.likeness import are_alike, is_doubtful

CHANGES: dict[Resource, type[Wire]] = {VEHICLE: VehicleChange, EVENT: EventChange, MEMBER: MemberChange}
"""What the API checks of a change."""

KEYS: dict[Resource, TypeAdapter[str]] = {VEHICLE: TypeAdapter(Parc), EVENT: TypeAdapter(EventId)}
NEEDED = "obligatoire"


@dataclass(slots=True)
class SheetEntry:
    """One row of a file. `values` are those that it gives, by column; `key` is None until a row without one gets one.

    `version` is the version that the row had when the file was made. `reason` says why the row stays out, `lacking`
    why it stays out if the tables do not have it yet. `refused` says it by column. `doubts` are values as they
    stand in the file, where the API refuses them, or a spreadsheet program may have written them in its own way: the
    row that is here may have them nevertheless.
    """

    line: int
    key: str | None = None
    values: Row = field(default_factory=dict)
    version: int | None = None
    reason: str | None = None
    lacking: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    doubts: Row = field(default_factory=dict)

    def settle(self, here: Mapping[str, Any] | None) -> None:
        """Takes the doubtful values that the row has here already; what is still refused keeps the row out."""
        for name, value in self.doubts.items():
            if here and are_alike(value, here[name]):
                self.values[name] = here[name]
                self.refused.pop(name, None)
        self.reason = self.reason or "; ".join(self.refused[name] for name in sorted(self.refused)) or None


@lru_cache
def writable(resource: Resource) -> frozenset[str]:
    """The columns that a file may change."""
    return frozenset(CHANGES[resource].model_fields) - {"password"}


class Blank(Enum):
    """What an empty cell of a column means."""

    NULL = "no value"
    EMPTY = "an empty text or list"
    NOTHING = "nothing: the value stays, or a new row gets the default"
    REFUSED = "the row stays out"


class SheetField(NamedTuple):
    """A column of the file that an import may write, by its names here, in JSON and in the file."""

    name: str
    wire: str
    said: str
    read: Callable[[Cell], Any]
    blank: Blank
    text: bool


def field_of(resource: Resource, name: str, said: str) -> SheetField:
    """The field of a column that the file calls `said`."""
    column = resource.table.c[name]
    return SheetField(
        name, camel(name), said, reader(column), _blank(resource, column), isinstance(column.type, String)
    )


def _blank(resource: Resource, column: Column[Any]) -> Blank:
    if column.name in resource.images:
        return Blank.NOTHING  # the export leaves images out: who empties such a cell must not lose the image
    if column.nullable:
        return Blank.NULL
    if column.name in needed(resource):
        return Blank.REFUSED
    empty = isinstance(column.type, JSONB) or (isinstance(column.type, String) and RULE not in column.info)
    return Blank.EMPTY if empty else Blank.NOTHING


@lru_cache
def needed(resource: Resource) -> tuple[str, ...]:
    """The columns without which no new row can be, beside the key."""
    fields = MODELS[resource].model_fields
    return tuple(name for name, known in fields.items() if known.is_required() and name != resource.key)


@dataclass(slots=True)
class SheetRows:
    """Converts the rows of one file; `blanks` counts the empty cells that say nothing, by column."""

    resource: Resource
    headings: Headings
    blanks: Counter[str] = field(default_factory=Counter)
    _fields: dict[str, SheetField] = field(init=False)

    def __post_init__(self) -> None:
        """Looks up once what all rows need."""
        known = {name: said for name, said in self.headings.said.items() if name in writable(self.resource)}
        self._fields = {name: field_of(self.resource, name, said) for name, said in known.items()}

    def entries(self, grid: Grid) -> list[SheetEntry]:
        """An entry for each row of the file."""
        return [self._entry(row) for row in grid.rows]

    def _entry(self, row: GridRow) -> SheetEntry:
        if row.trouble:
            return SheetEntry(row.line, reason=row.trouble)
        cells = {name: row.cells[place] for place, name in self.headings.places.items()}
        entry = SheetEntry(row.line)
        try:
            entry.key = self._key(cells.get(self.resource.key))
            entry.version = self._version(cells.get("version"))
            self._fill(entry, cells)
            entry.lacking = self._lacking(entry)
        except Unfit as error:
            entry.reason = str(error)
        except (UnicodeEncodeError, RecursionError):
            entry.reason = "valeurs illisibles"
        return entry

    def _lacking(self, entry: SheetEntry) -> str | None:
        lacking = [name for name in needed(self.resource) if name not in entry.values and name not in entry.refused]
        return "; ".join(f"{self._named(name)} : {NEEDED} pour une ligne nouvelle" for name in lacking) or None

    def _key(self, cell: Cell) -> str | None:
        """The key; None for a row that has none, which only vehicles need."""
        if is_blank(cell):
            if self.resource is VEHICLE:
                raise Unfit(f"{self._named(self.resource.key)} : {NEEDED}")
            return None
        try:
            found = value_of(text, cell)
            return checked_member_id(found) if self.resource is MEMBER else KEYS[self.resource].validate_python(found)
        except ValidationError as error:
            raise Unfit(f"{self._named(self.resource.key)} : {dict(field_errors(error)).popitem()[1]}") from None
        except ValueError as error:
            if isinstance(error, Unfit | UnicodeEncodeError):
                raise
            raise Unfit(f"{self._named(self.resource.key)} : {error}") from None

    def _version(self, cell: Cell) -> int | None:
        if is_blank(cell):
            return None
        text = str(cell).strip().removesuffix(".0")
        if not (text.isdecimal() and len(text) < 19):
            raise Unfit(f"{self._named('version')} : le nombre que l'export y a écrit, ou rien")
        return int(text)

    def _fill(self, entry: SheetEntry, cells: dict[str, Cell]) -> None:
        """Gives the entry the values of the row, and what the API refuses of it."""
        given: dict[str, Any] = {}
        for name, one in self._fields.items():
            cell = cells[name]
            if is_blank(cell):
                self._take_blank(entry, one, cell, given)
                continue
            try:
                given[one.wire] = value_of(one.read, cell)
            except ValueError as error:
                entry.refused[name] = f"« {one.said} » : {error}"
        entry.values = self._checked(entry, given)
        for name, one in self._fields.items():
            value, raw = entry.values.get(name), given.get(one.wire)
            if one.text and isinstance(raw, str) and value != raw:
                entry.doubts[name] = raw
            elif is_doubtful(value):
                entry.doubts[name] = value

    def _take_blank(self, entry: SheetEntry, one: SheetField, cell: Cell, given: dict[str, Any]) -> None:
        """Takes an empty cell for what it means in its column."""
        if cell is Absent.CELL:
            return
        if one.blank is Blank.REFUSED:
            entry.refused[one.name] = f"« {one.said} » : {NEEDED}"
        elif one.blank is Blank.NULL:
            given[one.wire] = cell if one.text else None
        elif one.blank is Blank.EMPTY:
            given[one.wire] = ""
        elif one.name not in self.resource.images:
            self.blanks[one.name] += 1

    def _checked(self, entry: SheetEntry, said: dict[str, Any]) -> Row:
        """The values that the API takes; the others are refused in its words."""
        model = CHANGES[self.resource]
        try:
            found = model.model_validate(said)
        except ValidationError as error:
            told = dict(field_errors(error))
            entry.refused |= {snake(name): f"{self._named(snake(name))} : {text}" for name, text in told.items()}
            found = model.model_validate({name: value for name, value in said.items() if name not in told})
        return found.model_dump(exclude_unset=True)

    def _named(self, name: str) -> str:
        """The column as the file calls it."""
        return f"« {self.headings.said.get(name) or label_of(self.resource.table.c[name])} »"
