"""Makes the rows of a spreadsheet into rows of a table, by the rules that the API has for what clients send.

For example, a list of members with the columns « Identifiant », « Téléphone » and « Version »:

    m1;06 12 34 56 78;812   the new phone of m1, if m1 is still as version 812 left it
    m2;;815                 m2 has no phone any more
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
from retrobus.sheets.forms import value_of
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


def writable(resource: Resource) -> frozenset[str]:
    """The columns that a file may change."""
    return frozenset(CHANGES[resource].model_fields) - {"password"}


def is_text(column: Column[Any]) -> bool:
    """Whether the column holds text."""
    return isinstance(column.type, String)


@dataclass(slots=True)
class SheetRows:
    """Converts the rows of one file; `blanks` counts the empty cells that say nothing, by column."""

    resource: Resource
    headings: Headings
    blanks: Counter[str] = field(default_factory=Counter)

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
            lacking = [name for name in self._needed() if name not in {*entry.values, *entry.refused}]
            said = (f"{self._named(name)} : {NEEDED} pour une ligne nouvelle" for name in lacking)
            entry.lacking = "; ".join(said) or None
        except Unfit as error:
            entry.reason = str(error)
        return entry

    def _key(self, cell: Cell) -> str | None:
        """The key; None for a row that has none, which only vehicles need."""
        if is_blank(cell):
            if self.resource is VEHICLE:
                raise Unfit(f"{self._named(self.resource.key)} : {NEEDED}")
            return None
        found = self._read(self.resource.key, cell)
        try:
            if self.resource is MEMBER:
                return checked_member_id(found)
            return KEYS[self.resource].validate_python(found, strict=True)
        except ValidationError as error:
            raise Unfit(f"{self._named(self.resource.key)} : {dict(field_errors(error)).popitem()[1]}") from None

    def _version(self, cell: Cell) -> int | None:
        if is_blank(cell):
            return None
        text = str(cell).strip().removesuffix(".0")
        if not (text.isdecimal() and len(text) < 19):
            raise Unfit(f"{self._named('version')} : le nombre que l'export y a écrit, ou rien")
        return int(text)

    def _fill(self, entry: SheetEntry, cells: dict[str, Cell]) -> None:
        """Gives the entry the values of the row, and what the API refuses of it."""
        said: dict[str, Any] = {}
        for name in cells.keys() & writable(self.resource):
            try:
                if cells[name] is not Absent.CELL:
                    said |= self._said(name, cells[name])
            except Unfit as error:
                entry.refused[name] = str(error)
        entry.values = self._checked(entry, said)
        for name in map(snake, said):
            value, given = entry.values.get(name), said[camel(name)]
            if is_text(self.resource.table.c[name]) and isinstance(given, str) and value != given:
                entry.doubts[name] = given
            elif is_doubtful(value):
                entry.doubts[name] = value

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

    def _said(self, name: str, cell: Cell) -> dict[str, Any]:
        """The value by its JSON name; nothing for an empty cell that says nothing."""
        if not is_blank(cell):
            return {camel(name): self._read(name, cell)}
        column = self.resource.table.c[name]
        if name in self.resource.images:
            return {}  # the export leaves images out: who empties such a cell must not lose the image
        if column.nullable:
            return {camel(name): cell if is_text(column) else None}
        if name in self._needed():
            raise Unfit(f"{self._named(name)} : {NEEDED}")
        if isinstance(column.type, JSONB) or (is_text(column) and RULE not in column.info):
            return {camel(name): ""}
        self.blanks[name] += 1
        return {}

    def _read(self, name: str, cell: Cell) -> Any:
        try:
            return value_of(self.resource.table.c[name], cell)
        except ValueError as error:
            raise Unfit(f"{self._named(name)} : {error}") from None

    def _needed(self) -> list[str]:
        fields = MODELS[self.resource].model_fields
        return [name for name, known in fields.items() if known.is_required() and name != self.resource.key]

    def _named(self, name: str) -> str:
        """The column as the file calls it."""
        return f"« {self.headings.said.get(name) or label_of(self.resource.table.c[name])} »"
