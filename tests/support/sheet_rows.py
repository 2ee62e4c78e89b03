"""Files for spreadsheets: rows that no program should change, and files read back as the JSON list has them."""

import csv
import json
import re
from typing import Any

from builders import Body
from harness import Api, Person
from retrobus.model.resources import Resource
from retrobus.sheets.cells import KEPT, restored
from retrobus.sheets.columns import SheetColumn, columns_of
from rows import create, rows_of

IMAGE = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = (
    "=1+1", "+33612345678", "-12", "@SUM(A1)", "'", "''", "'=1", "'Allô", KEPT, f"'{KEPT}", "a;b,c d", 'dit "oui"',
    '"', ";", ",", "01000", "0612345678", "3-12", "1E5", "8 mai 1945", "VRAI", "12,5", "null",
    "\u05e9\u05dc\u05d5\u05dd",
    "𝄞 é ★ 🚌", '=HYPERLINK("https://example.org";"x")', "<img src=x onerror=alert(1)>", "%0a", "\\",
    "a\\nb",
)  # fmt: skip
LINES = ("=1\n=2", "a\r\nb", "\n", "\t=1", 'un\n\n"deux";trois,\n', "é" * 20_000, '"' * 20_000)
MARK = "\ufeff"
FRENCH = re.compile(r"(\d\d)/(\d\d)/(\d{4})(?: (\d\d:\d\d:\d\d)(?:,(\d{3}))?)?")
FLAGS = {"oui": True, "non": False, "true": True, "false": False}


def lines_of(content: bytes, dialect: str) -> list[list[str]]:
    """The cells of a file."""
    text = content.decode()
    assert text.startswith(MARK) == (dialect == "excel-fr")
    assert text.endswith("\r\n")
    delimiter = ";" if dialect == "excel-fr" else ","
    return list(csv.reader(text.removeprefix(MARK).splitlines(keepends=True), delimiter=delimiter, strict=True))


def rows_of_file(resource: Resource, content: bytes, dialect: str) -> list[Body]:
    """The rows of a file as JSON has them; a value that the file leaves out is no key."""
    headers, *lines = lines_of(content, dialect)
    columns = columns_of(resource)
    assert headers == [column.header for column in columns]
    assert {len(line) for line in lines} <= {len(columns)}
    return [
        {one.wire: _value(one, cell) for one, cell in zip(columns, line, strict=True) if cell != KEPT} for line in lines
    ]


def _value(column: SheetColumn, cell: str) -> Any:
    if cell == "":
        return [] if column.kind == "json" and not column.column.nullable else None if column.column.nullable else ""
    if column.kind == "number":
        return json.loads(cell.replace(",", "."))
    if column.kind == "flag":
        return FLAGS[cell]
    if column.kind == "moment":
        return _moment(cell)
    if column.kind == "json":
        return cell if column.column.info.get("as_text") else json.loads(cell)
    return restored(cell)


def _moment(cell: str) -> str:
    found = FRENCH.fullmatch(cell)
    if found is None:
        return cell
    day, month, year, time, milliseconds = found.groups()
    return f"{year}-{month}-{day}T{time or '00:00:00'}.{milliseconds or '000'}Z"


def stocked(api: Api, who: Person) -> None:
    """Rows whose texts are hostile, whose numbers are small and large, with every field and with none."""
    for number, text in enumerate(HOSTILE):
        create(
            api, who, "members", firstName=text, city=text, notes=LINES[number % len(LINES)], phone="+33 6 12 34 56 78"
        )
        create(api, who, "vehicles", parc=f"v{number}", modele=text, immat=text, history=LINES[number % len(LINES)],
               caracteristiques=[{"label": text, "value": text}, {"label": "Places", "value": 31}],
               gallery=[text], fuel=number * 2.5, mileage=number / 7, isPublic=number % 2 == 0)  # fmt: skip
        create(api, who, "events", id=f"e{number}", title=f"x{text}", location=text, vehicleId=f"v{number}",
               extras={text: [1, 2.50, None, text]}, adultPrice=number + 0.05,
               date=f"2026-05-01T11:30:00.{number:03}+02:00")  # fmt: skip
    create(api, who, "vehicles", parc="image", backgroundImage=IMAGE, gallery=[IMAGE, "https://example.org/1.jpg"])
    create(api, who, "vehicles", parc="920", miseEnCirculation="1899-12-31")
    create(api, who, "events", id="rien", date="2026-05-01")


def listed(api: Api, who: Person, resource: Resource) -> list[Body]:
    """The JSON list, without the words and addresses that stand for images."""
    known = {one.wire for one in columns_of(resource)}
    rows = rows_of(api, who, resource.plural)
    return [{name: value for name, value in row.items() if name in known} for row in rows]
