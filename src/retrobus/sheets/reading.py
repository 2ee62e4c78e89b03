"""Reads a file of a spreadsheet program into rows of cells, whatever it is: CSV, workbook or JSON."""

from pathlib import Path

from retrobus.files.folder import read_capped
from retrobus.model.resources import Resource
from retrobus.sheets.csv_reading import read_csv
from retrobus.sheets.grids import LARGEST_FILE, BadSheet, Grid
from retrobus.sheets.headings import Headings, matched, score
from retrobus.sheets.json_reading import read_json
from retrobus.sheets.workbook_reading import read_workbook

FOREIGN = {
    b"\xd0\xcf\x11\xe0": "c'est un classeur d'avant 2007 (.xls) : enregistrez-le en .xlsx ou en CSV UTF-8",
    b"%PDF": "c'est un PDF : exportez le tableau en .xlsx ou en CSV UTF-8",
    b"\x1f\x8b": "le fichier est compressé (gzip) : décompressez-le d'abord",
}
"""What stands at the beginning of files that are often taken for a spreadsheet."""


def read_grid(path: Path, resource: Resource) -> tuple[Grid, Headings]:
    """The table of a file and the columns of its headings; BadSheet if it is none of this resource.

    FileNotFoundError or another OSError if the file cannot be read, Refused if it is larger than LARGEST_FILE.
    """
    if path.is_dir():
        raise BadSheet("c'est un dossier, un fichier est attendu")
    content = read_capped(path.absolute().parent, path.name, LARGEST_FILE)
    grid = _grid(content, resource)
    headings = matched(resource, grid.header)
    if not headings.places:
        known = ", ".join(f"« {heading} »" for heading in grid.header[:5] if heading.strip())
        raise BadSheet(
            f"ligne {grid.header_line} : aucun titre de colonne des {resource.label} n'y est (trouvé : {known}) ; "
            f"la première ligne doit être celle des titres, comme dans un export : retrobus export {resource.plural}"
        )
    return grid, headings


def _grid(content: bytes, resource: Resource) -> Grid:
    said = next((said for start, said in FOREIGN.items() if content.startswith(start)), None)
    if said is not None:
        raise BadSheet(said)
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise BadSheet("le fichier est vide")
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[", b"{")):
        return read_json(content, resource)
    if content.startswith(b"PK\x03\x04"):
        return read_workbook(content, lambda headings: score(resource, headings))
    return read_csv(content, lambda headings: score(resource, headings))
