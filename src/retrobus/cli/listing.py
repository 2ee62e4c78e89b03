"""Lists for people: a heading over each column, and columns that are as wide as their longest value."""

from collections.abc import Sequence


def columns(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table, headings first; a value that is missing is shown as `-`."""
    cells = [list(headings), *([_shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _shown(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
