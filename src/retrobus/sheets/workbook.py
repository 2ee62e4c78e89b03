"""Rows as a workbook (.xlsx) whose cells have types: dates are dates, amounts numbers, and a text is no formula."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, BinaryIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from retrobus.model.resources import Resource
from retrobus.sheets.cells import KEPT, typed
from retrobus.sheets.columns import SheetColumn, columns_of
from retrobus.sheets.dialects import CELL, MIDNIGHT, empty_text, french_moment, json_cell
from retrobus.sheets.values import Value, values_of
from retrobus.sheets.xstrings import escaped

FIRST_YEAR = 1901
"""Dates of earlier years are texts: workbooks count days from 1900, and with a mistake in that year."""

EXACT = ".16g"
"""How the library writes a number; one with more digits is written as a text, so that it comes back unchanged."""

TEXT, DAY, INSTANT = "@", "dd/mm/yyyy", "dd/mm/yyyy hh:mm:ss"
"""Formats of cells. With `@`, a phone number that a person retypes keeps its first zero."""


class WorkbookFile:
    """Writes the rows of a resource, given as JSON, into a temporary file of the library; keeps none of them."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._book = Workbook(write_only=True)
        self._sheet: Any = self._book.create_sheet(resource.label.capitalize())
        self._formatted: dict[str, Any] = {}
        self.left_out = 0
        """Values that the rows so far have and the workbook does not hold."""
        self._begin()

    def _begin(self) -> None:
        """The headers, which stay in sight."""
        self._sheet.freeze_panes = "A2"
        headers = [one.header for one in columns_of(self._resource)]
        for number, header in enumerate(headers, 1):
            self._sheet.column_dimensions[get_column_letter(number)].width = max(12, len(header) + 2)
        cells = [WriteOnlyCell(self._sheet, header) for header in headers]
        for cell in cells:
            cell.font = Font(bold=True)
        self._sheet.append(cells)

    def add(self, documents: Iterable[bytes]) -> None:
        """Writes these rows."""
        for document in documents:
            self._sheet.append([self._cell(column, found) for column, found in values_of(self._resource, document)])

    def save(self, file: BinaryIO) -> None:
        """Writes the whole workbook into the file."""
        self._book.save(file)

    def _cell(self, column: SheetColumn, found: Value | None) -> Any:
        value: Any = None if found is None else found.value
        if found is None:
            return self._text(KEPT)
        if value is None:
            return None
        if column.kind == "number":
            return value if float(format(value, EXACT)) == value else self._text(found.written.replace(".", ","))
        if column.kind == "flag":
            return value
        if column.kind == "moment":
            return self._moment(value)
        return self._text(typed(value) or empty_text(column) if column.kind == "text" else json_cell(found))

    def _moment(self, written: str) -> Any:
        if int(written[:4]) < FIRST_YEAR:
            return self._text(french_moment(written))
        return self._as(DAY if written[11:-1] == MIDNIGHT else INSTANT, datetime.fromisoformat(written[:-1]))

    def _text(self, text: str) -> Any:
        text = escaped(text)
        if len(text) > CELL:
            text = KEPT
        self.left_out += text == KEPT
        cell = self._as(TEXT, text)
        cell.data_type = "s"  # else the library takes `=1+1` for a formula and `#N/A` for an error
        return cell if text else None

    def _as(self, form: str, value: Any) -> Any:
        """A cell in this format; the library looks a format up slowly, so each is looked up once."""
        cell: Any = WriteOnlyCell(self._sheet, value)
        if form not in self._formatted:
            cell.number_format = form
            self._formatted[form] = cell._style  # noqa: SLF001 - no other way shares what was looked up
        cell._style = self._formatted[form]  # noqa: SLF001
        return cell
