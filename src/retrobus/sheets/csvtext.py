"""Rows as CSV, in pieces."""

import csv
from collections.abc import Iterable
from io import StringIO

from retrobus.model.resources import Resource
from retrobus.sheets.cells import KEPT
from retrobus.sheets.columns import columns_of
from retrobus.sheets.dialects import Dialect
from retrobus.sheets.values import values_of

MEDIA = "text/csv; charset=utf-8; header=present"


class CsvText:
    """Writes the rows of a resource, given as JSON; keeps none of them."""

    def __init__(self, resource: Resource, dialect: Dialect) -> None:
        self._resource, self._dialect = resource, dialect
        self.left_out = 0
        """Values that the rows so far have and the sheet does not hold."""

    def head(self) -> bytes:
        """The beginning of the file, with the headers."""
        return (self._dialect.mark + self._lines([[one.header for one in columns_of(self._resource)]])).encode()

    def rows(self, documents: Iterable[bytes]) -> bytes:
        """The lines of these rows."""
        return self._lines(self._cells(document) for document in documents).encode()

    def _cells(self, document: bytes) -> list[str]:
        cells = [self._dialect.cell(column, found) for column, found in values_of(self._resource, document)]
        self.left_out += cells.count(KEPT)
        return cells

    def _lines(self, rows: Iterable[list[str]]) -> str:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self._dialect.delimiter, lineterminator="\r\n").writerows(rows)
        return text.getvalue()
