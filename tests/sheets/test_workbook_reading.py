"""Facts about reading workbooks: cells keep their types, and what is no workbook is named."""

from collections.abc import Callable
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from openpyxl import Workbook

from retrobus.model.resources import MEMBER
from retrobus.sheets import workbook_reading
from retrobus.sheets.forms import reader, value_of
from retrobus.sheets.grids import Absent, BadSheet, Grid, Unreadable
from retrobus.sheets.reading import read_grid


def read(folder: Path, content: bytes) -> Grid:
    (folder / "liste.xlsx").write_bytes(content)
    return read_grid(folder / "liste.xlsx", MEMBER)[0]


def saved(fill: Callable[[Any], object]) -> bytes:
    book, file = Workbook(), BytesIO()
    fill(book)
    book.save(file)
    return file.getvalue()


def table(*rows: list[Any]) -> bytes:
    def fill(book: Any) -> None:
        for row in rows:
            book.active.append(row)

    return saved(fill)


def archive(*names: str, size: int = 1) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as inside:
        for name in names:
            inside.writestr(name, bytes(size))
    return file.getvalue()


def test_a_row_has_the_number_that_the_program_shows_and_the_cells_of_the_header(tmp_path: Path) -> None:
    grid = read(tmp_path, table([], ["id", "Téléphone", None], ["m1"], [], [], ["m2", "'007", None, ""]))

    assert (grid.shape, grid.header_line) == ("classeur .xlsx", 2)
    assert [(row.line, row.cells) for row in grid.rows] == [(3, ["m1", None]), (6, ["m2", "007"])]


def test_values_have_the_forms_of_the_api_whatever_type_the_program_gave_them(tmp_path: Path) -> None:
    names = ["phone", "city", "postalCode", "birthDate", "membershipEndDate", "paymentAmount", "newsletter", "notes"]
    moments = [datetime(1961, 2, 3), datetime(2026, 5, 1, 9, 30)]  # noqa: DTZ001 - workbooks know no zones
    cells = [612345678, True, 1000.0, *moments, 12.5, False, time(14, 30)]

    grid = read(tmp_path, table(names, cells))

    columns = ["phone", "city", "postal_code", "birth_date", "membership_end_date", "payment_amount", "newsletter"]
    typed = zip(columns, grid.rows[0].cells, strict=False)
    values = [value_of(reader(MEMBER.table.c[name]), cell) for name, cell in typed]
    assert values == ["612345678", "TRUE", "1000", "1961-02-03", "2026-05-01T09:30:00.000Z", 12.5, False]
    assert value_of(reader(MEMBER.table.c.notes), grid.rows[0].cells[7]) == "14:30:00"


def test_a_formula_an_error_and_a_date_among_texts_are_refused_by_their_cell(tmp_path: Path) -> None:
    grid = read(tmp_path, table(["id", "phone", "city", "notes"], ["m1", "=1+1", date(2026, 1, 2), "(inchangé)"]))

    formula, day, kept = grid.rows[0].cells[1:]
    assert isinstance(formula, Unreadable)
    assert "cellule B2 : formule" in formula.reason
    with pytest.raises(ValueError, match="texte attendu, date trouvée"):
        value_of(reader(MEMBER.table.c.city), day)
    assert kept is Absent.CELL


def test_a_filled_cell_beyond_the_last_heading_keeps_its_row_out(tmp_path: Path) -> None:
    grid = read(tmp_path, table(["id"], ["m1", None, "perdu"]))

    assert grid.rows[0].trouble == "une cellule est remplie à droite du dernier titre"


def test_the_sheet_with_known_headings_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.title = "Notice"
        book.active.append(["À lire"])
        book.create_sheet("Vide")
        book.create_sheet("Membres").append(["Identifiant"])

    assert read(tmp_path, saved(fill)).remarks == ["feuille « Membres » lue ; les autres non : « Notice »"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table(), "le classeur est vide"),
        (table(["couleur"], ["rouge"]), "aucun titre de colonne des membres"),
        (table(["id"])[:-200], "endommagé ou coupé"),
        (archive("content.xml"), "OpenDocument (.ods)"),
        (archive("photo.jpg"), "c'est une archive zip, pas un classeur"),
        (archive("xl/workbook.xml"), "le classeur est endommagé ("),
        (archive("xl/workbook.xml", size=257 << 20), "dépasse 256 Mio une fois ouvert"),
    ],
    ids=range(7),
)
def test_what_is_no_workbook_is_refused_with_the_reason(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadSheet) as refused:
        read(tmp_path, content)

    assert said in str(refused.value)


def test_a_sheet_with_a_format_down_to_its_last_row_ends_where_its_rows_end(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.append(["id"])
        book.active.append(["m1"])
        for line in range(3, workbook_reading.MOST_BLANK + 10):
            book.active.cell(line, 1).number_format = "@"
        book.active.cell(workbook_reading.MOST_BLANK + 10, 1).value = "m2"

    assert [row.cells for row in read(tmp_path, saved(fill)).rows] == [["m1"]]
