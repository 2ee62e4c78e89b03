"""Facts about `retrobus export`: what each kind of file holds, and that no file is lost or half written."""

import json
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from builders import Body
from harness import Api, Person, run_sql
from retrobus.model.resources import BY_NAME, EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.wire import moment
from retrobus.sheets.cells import KEPT, restored
from retrobus.sheets.columns import SheetColumn, columns_of
from retrobus.sheets.xstrings import unescaped
from rows import create
from sheet_rows import IMAGE, listed, rows_of_file, stocked

Ended = tuple[int, str, str]
Retrobus = Callable[..., Ended]
every_resource = pytest.mark.parametrize("resource", BY_NAME.values(), ids=repr)


def exported(terminal: Retrobus, api: Api, *arguments: str) -> Ended:
    return terminal("export", *arguments, url=api.database_url)


def cells_of(path: Path) -> list[list[Any]]:
    """The cells of a workbook, as openpyxl reads them."""
    [sheet] = openpyxl.load_workbook(path).worksheets
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "b", "d"}
    return [
        [unescaped(cell.value) if isinstance(cell.value, str) else cell.value for cell in row]
        for row in sheet.iter_rows()
    ]


def row_of(resource: Resource, cells: list[Any]) -> Body:
    """A row of a workbook as JSON has it; a value that is left out is no key."""
    pairs = zip(columns_of(resource), cells, strict=True)
    return {column.wire: _value(column, cell) for column, cell in pairs if cell != KEPT}


def _value(column: SheetColumn, cell: Any) -> Any:
    if cell is None:
        return [] if column.kind == "json" and not column.column.nullable else None if column.column.nullable else ""
    if isinstance(cell, datetime):
        return moment(cell)
    if column.kind == "moment":
        day, month, year = cell.split("/")
        return f"{year}-{month}-{day}T00:00:00.000Z"
    if column.kind == "json":
        return cell if column.column.info.get("as_text") else json.loads(cell)
    if column.kind == "number":
        return float(cell.replace(",", ".")) if isinstance(cell, str) else cell
    return restored(cell) if column.kind == "text" else cell


@every_resource
def test_a_csv_says_what_the_list_says_in_the_french_dialect(
    api: Api, admin: Person, terminal: Retrobus, tmp_path: Path, resource: Resource
) -> None:
    stocked(api, admin)
    path = tmp_path / "liste.csv"

    ended = exported(terminal, api, resource.label, "--out", str(path))

    rows = listed(api, admin, resource)
    assert ended[:2] == (0, f"✅ {len(rows)} {resource.label} dans {path}\n")
    assert rows_of_file(resource, path.read_bytes(), "excel-fr") == rows


@every_resource
def test_a_workbook_says_what_the_list_says(
    api: Api, admin: Person, terminal: Retrobus, tmp_path: Path, resource: Resource
) -> None:
    stocked(api, admin)
    path = tmp_path / "liste.xlsx"

    code, _, _ = exported(terminal, api, resource.name, "--out", str(path))

    headers, *rows = cells_of(path)
    assert code == 0
    assert headers == [column.header for column in columns_of(resource)]
    assert [row_of(resource, cells) for cells in rows] == listed(api, admin, resource)


@every_resource
def test_a_json_has_every_row_whole(
    api: Api, admin: Person, terminal: Retrobus, tmp_path: Path, resource: Resource
) -> None:
    stocked(api, admin)
    path = tmp_path / "liste.json"

    code, _, _ = exported(terminal, api, resource.plural, "--out", str(path))

    rows = json.loads(path.read_bytes())[resource.plural]
    keys = [row[resource.key] for row in listed(api, admin, resource)]
    assert (code, [row[resource.key] for row in rows]) == (0, keys)
    for row in rows:
        answer = api.get(f"/api/{resource.plural}/{row[resource.key]}", headers=admin.headers)
        assert row == answer.json()


@pytest.mark.parametrize(("name", "content"), [("a.json", b'{"events":[\n\n]}\n'), ("a.csv", None), ("a.xlsx", None)])
def test_an_empty_list_is_a_whole_file(
    api: Api, terminal: Retrobus, tmp_path: Path, name: str, content: bytes | None
) -> None:
    ended = exported(terminal, api, "événements", "--out", str(tmp_path / name))

    assert ended == (0, f"✅ 0 événement dans {tmp_path / name}\n", "")
    assert content is None or (tmp_path / name).read_bytes() == content
    assert not name.endswith("xlsx") or len(cells_of(tmp_path / name)) == 1


def test_the_cells_of_a_workbook_have_types(api: Api, admin: Person, terminal: Retrobus, tmp_path: Path) -> None:
    create(api, admin, "vehicles", parc="0920", modele="=1+1", immat="#N/A", fuel=62.5, miseEnCirculation="2001-07-31")
    api.sql("UPDATE vehicle SET subtitle = E'a\\u000bb', marque = '_x0041_'")
    path = tmp_path / "a.xlsx"

    exported(terminal, api, "véhicules", "--out", str(path))

    sheet = openpyxl.load_workbook(path).worksheets[0]
    found = {one.wire: cell for one, cell in zip(columns_of(VEHICLE), sheet[2], strict=True)}
    assert {name: (found[name].value, found[name].data_type) for name in ("parc", "modele", "immat", "fuel")} == {
        "parc": ("0920", "s"), "modele": ("=1+1", "s"), "immat": ("#N/A", "s"), "fuel": (62.5, "n"),
    }  # fmt: skip
    assert found["isPublic"].data_type == "b"
    assert found["miseEnCirculation"].value == datetime(2001, 7, 31)  # noqa: DTZ001 - workbooks know no zone
    assert found["miseEnCirculation"].number_format == "dd/mm/yyyy"
    assert found["parc"].number_format == "@"
    assert [found[name].value for name in ("subtitle", "marque")] == ["a_x000B_b", "_x005F_x0041_"]


@pytest.mark.parametrize(("name", "warned"), [("a.csv", True), ("a.xlsx", True), ("a.json", False)])
def test_what_the_file_does_not_hold_is_counted(
    api: Api,
    admin: Person,
    terminal: Retrobus,
    tmp_path: Path,
    name: str,
    warned: bool,  # noqa: FBT001
) -> None:
    create(api, admin, "vehicles", parc="920", backgroundImage=IMAGE, gallery=[IMAGE])

    code, said, warning = exported(terminal, api, "vehicles", "--out", str(tmp_path / name))

    assert (code, said) == (0, f"✅ 1 véhicule dans {tmp_path / name}\n")
    assert warning == ("⚠️  2 valeurs trop longues ou images n'y sont pas : un .json a tout\n" if warned else "")
    assert (IMAGE.encode() in (tmp_path / name).read_bytes()) == (not warned)


def test_the_other_dialect_is_that_of_the_api(api: Api, admin: Person, terminal: Retrobus, tmp_path: Path) -> None:
    stocked(api, admin)
    path = tmp_path / "a.csv"

    exported(terminal, api, "members", "--out", str(path), "--dialect", "rfc4180")

    assert rows_of_file(MEMBER, path.read_bytes(), "rfc4180") == listed(api, admin, MEMBER)


def test_no_password_is_in_any_file(api: Api, admin: Person, terminal: Retrobus, tmp_path: Path) -> None:
    api.sql(f"UPDATE member SET password_hash = '$argon2id$kilroy' WHERE id = '{admin.id}'")

    for suffix in ("csv", "json", "xlsx"):
        exported(terminal, api, "membres", "--out", str(tmp_path / f"a.{suffix}"))

    texts = [(tmp_path / f"a.{suffix}").read_text() for suffix in ("csv", "json")]
    texts.append(str(cells_of(tmp_path / "a.xlsx")))
    assert all(admin.id in text and "kilroy" not in text for text in texts)


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx", "a.json"])
def test_a_file_is_private_and_never_replaced_without_force(
    api: Api, admin: Person, terminal: Retrobus, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"kept")

    refused = exported(terminal, api, "membres", "--out", str(path))
    left = path.read_bytes()
    done = exported(terminal, api, "membres", "--out", str(path), "--force")

    assert refused == (1, "", f"❌ {path} existe déjà : choisissez un autre nom, ou --force\n")
    assert (left, done[0]) == (b"kept", 0)
    assert admin.id not in left.decode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".a")] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bus", "--out", "a.csv"), "ressource inconnue : bus (véhicules, événements, membres)"),
        (("membres", "--out", "a.ods"), "--out a.ods : un nom en .csv, .xlsx, .json est attendu"),
        (("membres", "--out", "a"), "--out a : un nom en .csv, .xlsx, .json est attendu"),
        (("membres", "--out", "a.xlsx", "--dialect", "excel-fr"), "--dialect ne vaut que pour un .csv"),
        (("membres", "--out", "nulle-part/a.csv"), "nulle-part"),
        (("membres",), "il manque l'option --out"),
        (("membres", "--out", "a.csv", "--dialect", "tsv"), "valeurs possibles : 'excel-fr', 'rfc4180'"),
    ],
)
def test_what_is_asked_wrongly_is_said(api: Api, terminal: Retrobus, arguments: tuple[str, ...], said: str) -> None:
    code, out, wrong = exported(terminal, api, *arguments)

    assert (code != 0, out) == (True, "")
    assert said.replace("'excel", "excel").replace("'rfc", "rfc").replace("fr'", "fr").replace("0'", "0") in wrong
    assert not list(Path.cwd().glob("*.csv"))


@pytest.mark.parametrize("name", ["membre", "Membres", "MEMBER", "members"])
def test_a_resource_has_french_and_english_names(api: Api, terminal: Retrobus, tmp_path: Path, name: str) -> None:
    assert exported(terminal, api, name, "--out", str(tmp_path / "a.csv"))[0] == 0


def test_an_export_that_postgresql_stops_leaves_no_file(database: str, terminal: Retrobus, tmp_path: Path) -> None:
    run_sql(database, "ALTER TABLE vehicle RENAME TO truck")

    code, _, wrong = terminal("export", "vehicles", "--out", str(tmp_path / "a.csv"), url=database)

    assert code == 1
    assert "retrobus db upgrade" in wrong
    assert list(tmp_path.glob("*a.csv*")) == []


def test_a_script_reads_what_was_done(api: Api, admin: Person, terminal: Retrobus, tmp_path: Path) -> None:
    create(api, admin, "events", id="a")
    path = tmp_path / "a.csv"

    code, said, _ = exported(terminal, api, "events", "--out", str(path), "--json")

    assert (code, json.loads(said)) == (0, {"resource": EVENT.name, "rows": 1, "file": str(path), "leftOut": 0})
