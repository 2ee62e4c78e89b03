"""A spreadsheet as the source of a restore: each row with its key, its line and the reason for which it stays out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from retrobus.backups.formats import Reading
from retrobus.backups.intake import KEPT, Reject, Taken
from retrobus.backups.sheet_rows import SheetEntry
from retrobus.model.resources import Resource
from retrobus.model.rows import completed

AUTHOR = "import"
"""Who changed a row last, as `updatedBy` says it."""


@dataclass(slots=True)
class Sheet:
    """A file of one resource, read whole. `names` are the headings of the file by column, `shape` how it was read.

    `ignored` are headings of columns that an import never writes, `remarks` what the operator should look at.
    """

    resource: Resource
    name: str
    shape: str
    names: dict[str, str]
    entries: list[SheetEntry] = field(repr=False)
    ignored: list[str]
    remarks: list[str]

    @property
    def lines(self) -> dict[str, int]:
        """The line of each row by its key."""
        return {entry.key: entry.line for entry in self.entries if entry.key is not None}

    @property
    def versions(self) -> dict[str, int]:
        """The version of each row when the file was made, where the file says it."""
        return {entry.key: entry.version for entry in self.entries if entry.key and entry.version is not None}


class SheetReading(Reading):
    """One pass through a file: `intake.rejects` have the line of each row that stays out as their position."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(BytesIO(), sheet.name, None)
        self.sheet = sheet
        self.shape = sheet.shape
        self.warnings += sheet.remarks
        self._lines = sheet.lines

    def __iter__(self) -> Iterator[Taken]:
        """Every row that fits, in the order of the file."""
        resource = self.sheet.resource
        for entry in self.sheet.entries:
            if entry.reason is not None or entry.key is None:
                self._refuse(entry)
                continue
            row = completed(resource, {**entry.values, resource.key: entry.key})
            given = entry.values.keys() | {resource.key, resource.number, "version"}
            yield Taken(resource.name, row, frozenset(row) - given)

    def position(self, key: str) -> int:
        """The line of the row with this key."""
        return self._lines[key]

    def _refuse(self, entry: SheetEntry) -> None:
        name = self.sheet.resource.name
        self.intake.rejected[name] += 1
        if entry.key is not None:
            self.intake.refused.add((name, entry.key))
        if len(self.intake.rejects) < KEPT:
            self.intake.rejects.append(Reject(name, entry.key, entry.line, entry.reason or ""))
