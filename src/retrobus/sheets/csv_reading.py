"""Reads CSV as spreadsheet programs write it: the encoding and the separator are found out, and told."""

import codecs
import csv
import re
from collections.abc import Callable, Iterable
from io import StringIO

from retrobus.sheets.cells import restored
from retrobus.sheets.grids import BadSheet, Grid, GridRow, capped, of_text
from retrobus.words import plural

SEPARATORS = {";": "« ; »", ",": "« , »", "\t": "tabulation"}
LONGEST_CELL = 1 << 20
"""Characters of a cell. A quote that is never closed makes the rest of the file one cell."""

_GIVEN = re.compile(r'"?sep=([;,\t])"?[;,\t]*\r?\n', re.IGNORECASE)
Score = Callable[[Iterable[str]], int]
"""How many of these names are names of columns."""


def read_csv(content: bytes, score: Score) -> Grid:
    """The table of a CSV file; BadSheet with the line if it is none."""
    text, encoding, remarks = _decoded(content)
    given = _GIVEN.match(text)
    separator = given[1] if given else _separator(text, score)
    first = 2 if given else 1
    rows = capped(_rows(text[given.end() :] if given else text, separator, first))
    if not rows:
        raise BadSheet("le fichier est vide")
    header, *body = rows
    names = [restored(cell or "") for cell in header.cells]
    while names and not names[-1].strip():
        names.pop()
    shape = f"CSV, séparateur {SEPARATORS[separator]}, {encoding}"
    return Grid(shape, names, [_even(row, len(names)) for row in body], header.line, remarks)


def _decoded(content: bytes) -> tuple[str, str, list[str]]:
    """The text, its encoding's name, and what the operator should look at."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(_tried(content, "utf-16")), "UTF-16", []
    if content.startswith(codecs.BOM_UTF8):
        return _checked(_tried(content, "utf-8-sig")), "UTF-8 avec BOM", []
    try:
        return _checked(content.decode("utf-8")), "UTF-8", []
    except UnicodeDecodeError:
        text = _checked(_tried(content, "cp1252"))
    return text, "Windows-1252", ["le fichier n'est pas en UTF-8 : lu en Windows-1252, vérifiez les accents"]


def _tried(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise BadSheet("ce n'est pas un texte en UTF-8 ni en Windows-1252 : enregistrez en CSV UTF-8") from None


def _checked(text: str) -> str:
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise BadSheet(f"ligne {line} : octet nul ; ce n'est pas un fichier CSV")
    return text


def _separator(text: str, score: Score) -> str:
    """The separator by which the first line has the most names of columns, else the most cells."""
    first = next((line for line in text.splitlines() if line.strip(" ;,\t")), "")

    def rank(separator: str) -> tuple[int, int]:
        cells = first.split(separator)
        return score(cell.strip(' "') for cell in cells), len(cells)

    return max(SEPARATORS, key=rank)


def _rows(text: str, separator: str, first: int) -> list[GridRow]:
    """All rows; the line of a row is the one on which it begins, for a cell may hold several lines."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    found, line = [], first
    try:
        for cells in reader:
            found.append(GridRow(line, [cell or None for cell in cells]))
            line = first + reader.line_num
    except csv.Error as error:
        raise BadSheet(f"ligne {line} : {_meaning(str(error))}") from None
    return found


def _meaning(said: str) -> str:
    if "unexpected end" in said:
        return "un guillemet y est ouvert et jamais fermé"
    if "limit" in said:
        return f"une cellule dépasse {LONGEST_CELL} caractères ; un guillemet n'est sans doute pas fermé"
    return "un guillemet y est mal placé ; dans une cellule entre guillemets, il s'écrit deux fois"


def _even(row: GridRow, width: int) -> GridRow:
    """The row with exactly the header's cells; in trouble if it has fewer, or more that are not empty."""
    cells = [of_text(cell) for cell in row.cells]
    if len(cells) < width or any(cells[width:]):
        said = (
            f"{plural(len(cells), 'cellule')}, {width} attendues comme dans les titres ; un texte qui contient le "
            "séparateur doit être entre guillemets"
        )
        return GridRow(row.line, cells[:width], said)
    return GridRow(row.line, cells[:width])
