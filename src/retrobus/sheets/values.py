"""What a sheet holds of one row: each value of the row's JSON, with the characters in which it is written there."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from retrobus.model.resources import Resource
from retrobus.sheets.columns import SheetColumn, columns_of

_decode = json.JSONDecoder().raw_decode


class Value(NamedTuple):
    """A value, and its JSON as PostgreSQL wrote it: `12.50` and `[{"label": "Places"}]` keep every character."""

    value: Any
    written: str


def values_of(resource: Resource, document: bytes) -> Iterator[tuple[SheetColumn, Value | None]]:
    """Each column of the sheet with the row's value; None for an image that the JSON of a list leaves out."""
    found = dict(_members(document.decode()))
    return ((column, found.get(column.wire)) for column in columns_of(resource))


def _members(text: str) -> Iterator[tuple[str, Value]]:
    """The members of a row's JSON: `{"name":value,…}` without spaces around names."""
    place = 1
    while text[place - 1] != "}":
        name, colon = _decode(text, place)
        value, end = _decode(text, colon + 1)
        yield name, Value(value, text[colon + 1 : end])
        place = end + 1
