"""Files for spreadsheets, read back by the standard library alone: the rows as the JSON list has them."""

import csv
import json
import re
from typing import Any

from builders import Body
from retrobus.model.resources import Resource
from retrobus.sheets.cells import KEPT, restored
from retrobus.sheets.columns import SheetColumn, columns_of

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
