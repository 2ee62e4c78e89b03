"""What a file of a spreadsheet program holds before its columns are known: a header, and rows of cells with lines."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from retrobus.sheets.cells import KEPT, restored

LARGEST_FILE = 128 << 20
"""Bytes of a file: 50,000 members take nine millions as CSV, thirty as JSON; JSON may hold images, too."""

MOST_ROWS = 100_000
"""Rows of a file: more are no list of an association, and all of them are held in memory."""


class BadSheet(ValueError):
    """A file that cannot be read as a table; the text is a French sentence without the content of any cell."""


class Absent(Enum):
    """A cell that the file does not have: a JSON row without this name."""

    CELL = "absent"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell whose value cannot be known; `reason` says why and what to do."""

    reason: str


Cell = Any
"""Text, a number, true or false, a moment, JSON, None for an empty cell, Absent.CELL or Unreadable."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row; `line` is the number that an editor (CSV) or a spreadsheet program (workbook) shows beside it.

    `trouble` says why the row cannot be read: then its cells say nothing.
    """

    line: int
    cells: list[Cell]
    trouble: str | None = None


@dataclass(slots=True)
class Grid:
    """One table as the file gives it, blank rows left out.

    `shape` is told to the operator (`CSV, séparateur « ; », UTF-8`). `remarks` are what the reader had to guess.
    """

    shape: str
    header: list[str]
    rows: list[GridRow]
    header_line: int = 1
    remarks: list[str] = field(default_factory=list)


def is_blank(cell: Cell) -> bool:
    """Whether a cell holds nothing, or spaces alone."""
    return cell is None or cell is Absent.CELL or (isinstance(cell, str) and not cell.strip())


def of_text(cell: str | None) -> Cell:
    """The cell of a text: what the export put in front of it is gone, and what it left out is absent.

    The export writes an apostrophe alone for an empty text in a column that can be null: this says nothing either.
    """
    if cell == KEPT:
        return Absent.CELL
    return None if cell is None else restored(cell) or Absent.CELL


def capped(rows: list[GridRow]) -> list[GridRow]:
    """The rows that are not blank; BadSheet if the file has more than an import takes."""
    kept = [row for row in rows if not all(is_blank(cell) for cell in row.cells)]
    if len(kept) > MOST_ROWS:
        raise BadSheet(f"{len(kept)} lignes, {MOST_ROWS} au plus : partagez le fichier")
    return kept
