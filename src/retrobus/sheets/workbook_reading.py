"""Reads the first sheet of an .xlsx workbook; a cell keeps the type that the spreadsheet program gave it."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from openpyxl import load_workbook

from retrobus.sheets.grids import MOST_ROWS, BadSheet, Cell, Grid, GridRow, Unreadable, capped, is_blank, of_text
from retrobus.sheets.xstrings import unescaped

LARGEST_CONTENT = 256 << 20
"""Bytes of the unpacked workbook: a small archive can unpack to many gigabytes."""

MOST_COLUMNS = 200
"""Columns that are read: a format over a whole row would make it 16,384 cells wide."""

MOST_BLANK = 1000
"""Blank rows after which the sheet ends: a format over a whole column would make it a million rows long."""


def read_workbook(content: bytes, score: Callable[[Iterable[str]], int]) -> Grid:
    """The table of the first sheet whose headings are known, else of the first one; BadSheet if there is none."""
    _check(content)
    try:
        book = load_workbook(BytesIO(content), read_only=True)
        sheets = [(sheet.title, list(_rows(sheet))) for sheet in book.worksheets]
    except BadSheet:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged workbook makes the library raise anything
        raise BadSheet(f"le classeur est endommagé ({type(error).__name__}) : enregistrez-le de nouveau") from None
    filled = [(title, rows) for title, rows in sheets if rows]
    if not filled:
        raise BadSheet("le classeur est vide")
    title, rows = next((one for one in filled if score(_names(one[1][0]))), filled[0])
    others = [f"« {other} »" for other, _ in filled if other != title]
    remarks = [f"feuille « {title} » lue ; les autres non : {', '.join(others)}"] if others else []
    return _grid(rows, remarks)


def _check(content: bytes) -> None:
    """BadSheet unless this is a workbook whose content fits into memory."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            size = sum(part.file_size for part in archive.infolist())
            names = set(archive.namelist())
    except BadZipFile:
        raise BadSheet("le classeur est endommagé ou coupé : enregistrez-le de nouveau") from None
    if "content.xml" in names:
        raise BadSheet("c'est un classeur OpenDocument (.ods) : enregistrez-le en .xlsx ou en CSV UTF-8")
    if "xl/workbook.xml" not in names:
        raise BadSheet("c'est une archive zip, pas un classeur .xlsx")
    if size > LARGEST_CONTENT:
        raise BadSheet(f"le classeur dépasse {LARGEST_CONTENT >> 20} Mio une fois ouvert")


def _rows(sheet: Any) -> Iterator[GridRow]:
    """The rows that are not blank, each with its number in the program."""
    blank = 0
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for line, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS), 1):
        cells = [_cell(cell) for cell in row]
        blank = blank + 1 if all(map(is_blank, cells)) else 0
        if blank > MOST_BLANK:
            return
        if line > MOST_ROWS + MOST_BLANK:
            raise BadSheet(f"plus de {MOST_ROWS} lignes : partagez le fichier")
        if not blank:
            yield GridRow(line, cells)


def _cell(cell: Any) -> Cell:
    """The value of one cell; a formula and an error have none that an import may trust."""
    if cell.data_type == "f":
        return Unreadable(f"cellule {cell.coordinate} : formule ; collez sa valeur à la place (Collage spécial)")
    if cell.data_type == "e":
        return Unreadable(f"cellule {cell.coordinate} : {cell.value}, une erreur de calcul")
    value = cell.value
    return of_text(unescaped(value)) if isinstance(value, str) else value


def _names(row: GridRow) -> list[str]:
    return ["" if is_blank(cell) else str(cell) for cell in row.cells]


def _grid(rows: list[GridRow], remarks: list[str]) -> Grid:
    header, *body = rows
    names = _names(header)
    while names and not names[-1].strip():
        names.pop()
    even = [_even(row, len(names)) for row in body]
    return Grid("classeur .xlsx", names, capped(even), header.line, remarks)


def _even(row: GridRow, width: int) -> GridRow:
    """The row with exactly the header's cells: a workbook leaves out the empty ones at its end."""
    cells = row.cells + [None] * (width - len(row.cells))
    if any(not is_blank(cell) for cell in cells[width:]):
        return GridRow(row.line, cells[:width], "une cellule est remplie à droite du dernier titre")
    return GridRow(row.line, cells[:width])
