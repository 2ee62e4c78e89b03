"""Facts about reading spreadsheets: whatever program wrote the file, its cells come out as a person typed them."""

import json
from pathlib import Path

import pytest

from retrobus.files.folder import Refused
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.sheets import grids
from retrobus.sheets.forms import reader, value_of
from retrobus.sheets.grids import Absent, BadSheet, Grid
from retrobus.sheets.headings import Headings
from retrobus.sheets.reading import read_grid

TEXT = "Identifiant;E-mail;Téléphone\r\nm1;zoé@example.org;'+33 6\r\n"


def read(path: Path, content: str | bytes, resource: Resource = MEMBER) -> tuple[Grid, Headings]:
    file = path / "liste.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_grid(file, resource)


@pytest.mark.parametrize(
    ("content", "encoding", "remarks"),
    [
        (TEXT.encode(), "UTF-8", 0),
        (TEXT.encode("utf-8-sig"), "UTF-8 avec BOM", 0),
        (TEXT.encode("cp1252"), "Windows-1252", 1),
        (TEXT.encode("utf-16"), "UTF-16", 0),
    ],
)
def test_the_encoding_is_found_out_and_told(tmp_path: Path, content: bytes, encoding: str, remarks: int) -> None:
    grid, headings = read(tmp_path, content)

    assert grid.shape == f"CSV, séparateur « ; », {encoding}"
    assert grid.rows[0].cells == ["m1", "zoé@example.org", "+33 6"]
    assert headings.said == {"id": "Identifiant", "email": "E-mail", "phone": "Téléphone"}
    assert len(grid.remarks) == remarks


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("preamble", ["", "\r\n", "sep={}\r\n", "{0}{0}\r\n\r\n"])
def test_the_separator_is_found_out_also_after_blank_lines_and_where_the_file_says_it(
    tmp_path: Path, separator: str, preamble: str
) -> None:
    text = preamble.format(separator) + TEXT.replace(";", separator)

    grid, headings = read(tmp_path, text)

    assert [grid.rows[0].cells[place] for place in headings.places] == ["m1", "zoé@example.org", "+33 6"]
    assert grid.rows[0].line == preamble.count("\n") + 2


def test_headings_stand_in_any_order_in_any_case_and_without_accents(tmp_path: Path) -> None:
    _, headings = read(tmp_path, "TELEPHONE;n° d'adherent;firstName;last_name;Couleur;Telephonne\na;b;c;d;e;f\n")

    assert headings.places == {0: "phone", 1: "member_number", 2: "first_name", 3: "last_name"}
    assert headings.unknown == {"Couleur": None, "Telephonne": "Téléphone"}


def test_a_text_of_several_lines_keeps_them_and_the_lines_after_it_their_numbers(tmp_path: Path) -> None:
    grid, _ = read(tmp_path, 'id;notes\nm1;"un\ndeux ""trois"""\n\nm2;quatre\n')

    assert [(row.line, row.cells) for row in grid.rows] == [(2, ["m1", 'un\ndeux "trois"']), (5, ["m2", "quatre"])]


def test_what_the_export_left_out_is_absent_and_an_empty_cell_is_empty(tmp_path: Path) -> None:
    grid, _ = read(tmp_path, "parc;gallery;subtitle;marque\n920;(inchangé);';\n", VEHICLE)

    assert grid.rows[0].cells == ["920", Absent.CELL, Absent.CELL, None]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "le fichier est vide"),
        (b"\xef\xbb\xbf\r\n \r\n", "le fichier est vide"),
        (";;\n;;\n", "le fichier est vide"),
        ("couleur;taille\nrouge;2\n", "ligne 1 : aucun titre de colonne des membres"),
        ("Téléphone;id;phone\n", "« Téléphone » et « phone » sont la même colonne"),
        ("id;notes\nm1;a\x00b\n", "ligne 2 : octet nul"),
        (b"id;notes\nm1;\x81\x8d\n", "ni en Windows-1252"),
        ('id;notes\nm1;"ouvert\nm2;x\n', "ligne 2 : un guillemet y est ouvert et jamais fermé"),
        ('id;notes\nm1;"un"deux\n', "ligne 2 : un guillemet y est mal placé"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "d'avant 2007 (.xls)"),
        (b"%PDF-1.7", "c'est un PDF"),
        (b"\x1f\x8b\x08", "compressé (gzip)"),
        ("[]", "le tableau JSON est vide"),
        ('[{"id": "m1"}', "JSON mal formé"),
        ("[1]", "élément 1 : objet JSON attendu"),
        ('{"events": []}', "tableau JSON attendu"),
        (b'[{"id": "\xff"}]', "texte qui n'est pas en UTF-8"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(BadSheet) as refused:
        read(tmp_path, content)

    assert said in str(refused.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MOST_ROWS", 2)
    with pytest.raises(BadSheet, match="3 lignes, 2 au plus"):
        read(tmp_path, "id\nm1\nm2\n")
    with (tmp_path / "liste.csv").open("wb") as file:
        file.truncate(grids.LARGEST_FILE + 1)

    with pytest.raises(Refused, match="134217729 octets, 134217728 au plus"):
        read_grid(tmp_path / "liste.csv", MEMBER)


def test_rows_of_json_have_the_lines_of_the_file_and_only_the_names_that_they_say(tmp_path: Path) -> None:
    text = '[{"id":"m1","notes":"a\\nb"},\n {"id": "m2",\n  "phone": null},\n\n{"id":"m3"}]\n'

    grid, headings = read(tmp_path, text)
    wrapped, _ = read(tmp_path, json.dumps({"members": [{"id": "m1"}]}))

    absent = Absent.CELL
    assert list(headings.places.values()) == ["id", "notes", "phone"]
    assert [(row.line, row.cells) for row in grid.rows] == [
        (1, ["m1", "a\nb", absent]),
        (2, ["m2", absent, None]),
        (5, ["m3", absent, absent]),
    ]
    assert wrapped.rows[0].cells == ["m1"]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("payment_amount", "1 234,50 €", "1234.50"),
        ("payment_amount", "1\u202f234.5", "1234.5"),
        ("payment_amount", "1E2", "1E2"),
        ("birth_date", "3/2/1961", "1961-02-03"),
        ("birth_date", "03/02/1961 14:05", "1961-02-03T14:05:00.000Z"),
        ("birth_date", "03/02/1961 14:05:06,25", "1961-02-03T14:05:06.250Z"),
        ("birth_date", "1961-02-03", "1961-02-03"),
        ("birth_date", "1961-02-03T14:05:06+02:00", "1961-02-03T14:05:06+02:00"),
        ("newsletter", "Oui", True),
        ("newsletter", "FAUX", False),
        ("newsletter", "1", True),
        ("newsletter", 0, False),
        ("phone", 612345678.0, "612345678"),
        ("phone", "007", "007"),
        ("phone", True, "TRUE"),
    ],
)
def test_the_forms_that_people_type_become_those_of_the_api(column: str, cell: object, value: object) -> None:
    assert value_of(reader(MEMBER.table.c[column]), cell) == value


@pytest.mark.parametrize(("cell", "value"), [("14h30", "14:30"), ("9:05", "09:05"), ("14:30:00", "14:30")])
def test_the_time_of_an_event_is_read_in_the_forms_of_a_spreadsheet(cell: str, value: str) -> None:
    assert value_of(reader(EVENT.table.c.time), cell) == value


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("payment_amount", "1.234,50", "nombre attendu"),
        ("payment_amount", "douze", "nombre attendu"),
        ("birth_date", "31/02/1961", "cette date n'existe pas"),
        ("birth_date", "02/24/1961", "cette date n'existe pas"),
        ("birth_date", "3/2/61", "année sur quatre chiffres"),
        ("newsletter", "peut-être", "oui ou non attendu"),
        ("newsletter", "", "oui ou non attendu"),
    ],
)
def test_a_form_that_could_mean_something_else_is_refused(column: str, cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        value_of(reader(MEMBER.table.c[column]), cell)
