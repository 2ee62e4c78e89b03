"""What an export writes its rows to: CSV, a workbook, or the JSON of the API."""

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from retrobus.model.resources import Resource
from retrobus.model.wire import View
from retrobus.sheets.csvtext import CsvText
from retrobus.sheets.dialects import DIALECTS
from retrobus.sheets.workbook import WorkbookFile


class Output(Protocol):
    """Takes the rows of an export in the order in which they come, as the JSON of its `view`."""

    view: View

    @property
    def left_out(self) -> int:
        """Values that the rows have and the file does not hold."""

    def add(self, documents: Sequence[bytes]) -> None:
        """Writes these rows."""

    def end(self) -> None:
        """Writes what is left."""


def output_of(resource: Resource, suffix: str, dialect: str, file: BinaryIO) -> Output:
    """The output for a file whose name ends like this; the dialect is that of CSV."""
    if suffix == ".json":
        return JsonOutput(resource, file)
    if suffix == ".csv":
        return CsvOutput(CsvText(resource, DIALECTS[dialect]), file)
    return WorkbookOutput(resource, file)


class JsonOutput:
    """The rows as the API answers one row, images included: `{"members":[…]}`, one row on each line."""

    view: View = "one"
    left_out = 0

    def __init__(self, resource: Resource, file: BinaryIO) -> None:
        self._file = file
        self._between = b""
        file.write(f'{{"{resource.plural}":[\n'.encode())

    def add(self, documents: Sequence[bytes]) -> None:
        """Writes these rows."""
        self._file.write(self._between + b",\n".join(documents))
        self._between = b",\n"

    def end(self) -> None:
        """Closes the list."""
        self._file.write(b"\n]}\n")


class CsvOutput:
    """The rows as CSV."""

    view: View = "list"

    def __init__(self, text: CsvText, file: BinaryIO) -> None:
        self._text, self._file = text, file
        file.write(text.head())

    @property
    def left_out(self) -> int:
        """Values that the file does not hold."""
        return self._text.left_out

    def add(self, documents: Sequence[bytes]) -> None:
        """Writes these rows."""
        self._file.write(self._text.rows(documents))

    def end(self) -> None:
        """Nothing is left."""


class WorkbookOutput:
    """The rows as a workbook; until the end they are in a temporary file of the library."""

    view: View = "list"

    def __init__(self, resource: Resource, file: BinaryIO) -> None:
        self._book, self._file = WorkbookFile(resource), file

    @property
    def left_out(self) -> int:
        """Values that the file does not hold."""
        return self._book.left_out

    def add(self, documents: Sequence[bytes]) -> None:
        """Writes these rows."""
        self._book.add(documents)

    def end(self) -> None:
        """Writes the workbook."""
        self._book.save(self._file)
