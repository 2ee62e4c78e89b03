"""The dialects of CSV: RFC 4180 for programs, and the one that a French spreadsheet program opens by a double click."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retrobus.sheets.cells import KEPT, disarmed, protected
from retrobus.sheets.columns import SheetColumn
from retrobus.sheets.values import Value

CELL = 32_767
"""Characters that a cell of Excel holds: it would cut a longer text off."""

CLOCK = "time"
"""The column that holds a time of the day, as `14:30`: a spreadsheet program may take it for one."""

MIDNIGHT = "00:00:00.000"


def _as_it_is(written: str) -> str:
    return written


def _french_number(written: str) -> str:
    return written.replace(".", ",")


def french_moment(written: str) -> str:
    """An instant of the wire in French, in UTC: `20/09/2025` at midnight, otherwise `20/09/2025 14:30:00`.

    Milliseconds follow if there are any: `20/09/2025 14:30:00,250`.
    """
    year, month, day = written[:10].split("-")
    time = written[11:-1]
    if time == MIDNIGHT:
        return f"{day}/{month}/{year}"
    return f"{day}/{month}/{year} {time.removesuffix('.000').replace('.', ',')}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write CSV: what stands between cells, before the file, and how each kind of value is written.

    `longest` is the number of characters that a cell may have.
    """

    name: str
    delimiter: str
    mark: str
    text: Callable[[str], str]
    number: Callable[[str], str]
    moment: Callable[[str], str]
    flags: tuple[str, str]
    longest: int | None = None

    def cell(self, column: SheetColumn, found: Value | None) -> str:
        """The cell of a value: KEPT for one that the sheet does not hold, nothing for null and for an empty list."""
        cell = KEPT if found is None else self._written(column, found)
        return cell if self.longest is None or len(cell) <= self.longest else KEPT

    def _written(self, column: SheetColumn, found: Value) -> str:
        value: Any = found.value
        if value is None:
            return ""
        if column.column.name == CLOCK:
            return str(value)
        if column.kind == "text":
            return self.text(value) or empty_text(column)
        if column.kind == "flag":
            return self.flags[value]
        if column.kind == "moment":
            return self.moment(value)
        return self.number(found.written) if column.kind == "number" else json_cell(found)


def empty_text(column: SheetColumn) -> str:
    """The cell of an empty text: an apostrophe where an empty cell means null."""
    return "'" if column.column.nullable else ""


def json_cell(found: Value) -> str:
    """The cell of a JSON value: its JSON, but nothing for an empty list."""
    if isinstance(found.value, str):
        return found.value  # extras are sent as a text that holds JSON
    return found.written if found.value else ""


RFC_4180 = Dialect("rfc4180", ",", "", disarmed, _as_it_is, _as_it_is, ("false", "true"))
EXCEL_FR = Dialect("excel-fr", ";", "\ufeff", protected, _french_number, french_moment, ("non", "oui"), CELL)
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (RFC_4180, EXCEL_FR)}
