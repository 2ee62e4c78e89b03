"""Facts about the dialects: what each writes for a value of each kind."""

import pytest

from retrobus.model.resources import EVENT, VEHICLE, Resource
from retrobus.sheets.columns import column_named
from retrobus.sheets.dialects import DIALECTS
from retrobus.sheets.values import Value, values_of


@pytest.mark.parametrize(
    ("resource", "name", "value", "written", "cells"),
    [
        (VEHICLE, "fuel", -12.5, "-12.5", ("-12.5", "-12,5")),
        (VEHICLE, "mileage", -3, "-3", ("-3", "-3")),
        (VEHICLE, "isPublic", True, "true", ("true", "oui")),
        (VEHICLE, "gallery", [], "[]", ("", "")),
        (VEHICLE, "gallery", ["=1"], '["=1"]', ('["=1"]', '["=1"]')),
        (VEHICLE, "immat", None, "null", ("", "")),
        (VEHICLE, "immat", "", '""', ("'", "'")),
        (VEHICLE, "modele", "", '""', ("", "")),
        (EVENT, "date", "1789-07-14T00:00:00.000Z", "", ("1789-07-14T00:00:00.000Z", "14/07/1789")),
        (EVENT, "date", "2026-05-01T09:30:00.000Z", "", ("2026-05-01T09:30:00.000Z", "01/05/2026 09:30:00")),
        (EVENT, "date", "2026-05-01T00:00:00.001Z", "", ("2026-05-01T00:00:00.001Z", "01/05/2026 00:00:00,001")),
        (EVENT, "extras", '{"a": 2.50}', '"…"', ('{"a": 2.50}', '{"a": 2.50}')),
        (EVENT, "time", "09:05", '"09:05"', ("09:05", "09:05")),
        (EVENT, "title", "09:05", '"09:05"', ("09:05", "'09:05")),
        (EVENT, "extras", "{}", '"{}"', ("{}", "{}")),
    ],
)
def test_each_dialect_writes_a_value_in_its_way(
    resource: Resource, name: str, value: object, written: str, cells: tuple[str, str]
) -> None:
    column = column_named(resource, name)
    assert column is not None

    found = tuple(dialect.cell(column, Value(value, written)) for dialect in DIALECTS.values())

    assert found == cells


def test_the_characters_of_a_row_are_kept() -> None:
    document = '{"parc":"9\\"}","caracteristiques":[{"label": "a", "value": 2.50}],"fuel":0.1,"marque":null}'

    found = {column.wire: value for column, value in values_of(VEHICLE, document.encode()) if value is not None}

    assert found == {
        "parc": ('9"}', '"9\\"}"'),
        "caracteristiques": ([{"label": "a", "value": 2.5}], '[{"label": "a", "value": 2.50}]'),
        "fuel": (0.1, "0.1"),
        "marque": (None, "null"),
    }
