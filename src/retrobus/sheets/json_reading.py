"""Reads a JSON array of rows, as the export and the API write them."""

import json
from collections.abc import Iterator
from typing import Any

from retrobus.model.jsontext import BadJson, strict
from retrobus.model.resources import Resource
from retrobus.sheets.grids import Absent, BadSheet, Grid, GridRow, capped

VALUES = 5_000_000
"""Values of a file: MOST_ROWS rows of the widest table."""

_decode = json.JSONDecoder().raw_decode


def read_json(content: bytes, resource: Resource) -> Grid:
    """The rows of the file, each with the line on which it begins; BadSheet if it holds no rows."""
    try:
        text = content.decode("utf-8-sig")
        rows = _rows(strict(text, values=VALUES), resource)
    except UnicodeDecodeError:
        raise BadSheet("texte qui n'est pas en UTF-8") from None
    except BadJson as error:
        raise BadSheet(str(error)) from None
    if not rows:
        raise BadSheet("le tableau JSON est vide")
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = ([row.get(name, Absent.CELL) for name in names] for row in rows)
    lines = _lines(text, len(rows))
    return Grid("JSON", names, capped([GridRow(line, found) for line, found in zip(lines, cells, strict=True)]))


def _rows(said: Any, resource: Resource) -> list[dict[str, Any]]:
    """The rows of an array, or of the array that stands alone under the name of the resource."""
    if isinstance(said, dict) and list(said) == [resource.plural]:
        said = said[resource.plural]
    if not isinstance(said, list):
        raise BadSheet("tableau JSON attendu, une ligne par objet, comme dans un export")
    for place, row in enumerate(said, 1):
        if not isinstance(row, dict):
            raise BadSheet(f"élément {place} : objet JSON attendu, comme dans un export")
    return said


def _lines(text: str, count: int) -> Iterator[int]:
    """The line on which each element of the array begins."""
    place, line = text.index("[") + 1, text.count("\n", 0, text.index("[") + 1) + 1
    for _ in range(count):
        start = text.index("{", place)
        line += text.count("\n", place, start)
        _, end = _decode(text, start)
        yield line
        line += text.count("\n", start, end)
        place = end
