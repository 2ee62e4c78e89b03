"""How a row is written as JSON: one rule per kind of column, in SQL and in Python side by side."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring  # escapes what JSON requires and nothing else, as Postgres does
from typing import Any, Literal

from sqlalchemy import Boolean, Column, Float, Integer, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from retrobus.model.tables import SECRET_COLUMNS, event, is_derived, vehicle

View = Literal["list", "one", "public_list", "public_one"]
"""Lists leave out images sent as data URLs; public views leave out the private fields of a vehicle."""

PRIVATE = ("id", "fuel", "mileage", "is_public", "version")
IMAGES = ("background_image", "gallery")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: its SQL form (`{}` stands for the column) and its Python form."""

    sql: str
    python: Callable[[Any], str]


def moment(value: datetime) -> str:
    """An instant as the wire says it: UTC, always three digits of milliseconds."""
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def _decimal(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float(value: float) -> str:
    return repr(value).removesuffix(".0")


TEXT = Kind("to_json({})::text", encode_basestring)
MOMENT = Kind(
    """'"' || to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"'""",
    lambda value: f'"{moment(value)}"',
)
FLAG = Kind("{}::text", lambda value: "true" if value else "false")
INTEGER = Kind("{}::text", str)
FLOAT = Kind("public.retrobus_digits({})", _float)
DECIMAL = Kind("trim_scale({})::text", _decimal)
JSON = Kind("{}::text", str)
JSON_AS_STRING = Kind("to_json({}::text)::text", encode_basestring)


def camel(name: str) -> str:
    """The wire name of a column: `mise_en_circulation` is `miseEnCirculation`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def kind_of(column: Column[Any]) -> Kind:
    """The rule for a column; `extras` is sent as a JSON string because clients parse it themselves."""
    rules = (
        (JSONB, JSON_AS_STRING if column is event.c.extras else JSON),
        (TIMESTAMP, MOMENT),
        (Boolean, FLAG),
        (Integer, INTEGER),
        (Float, FLOAT),
        (Numeric, DECIMAL),
    )
    return next((kind for type_, kind in rules if isinstance(column.type, type_)), TEXT)


def wire_columns(table: Table) -> list[Column[Any]]:
    """The columns that clients see, in the order of the wire."""
    return [c for c in table.columns if not is_derived(c) and c.name not in SECRET_COLUMNS]


def _sql_member(column: Column[Any], prefix: str) -> str:
    value = kind_of(column).sql.format(f"{prefix}{column.name}")
    if column.nullable:
        value = f"coalesce({value}, 'null')"
    return f"""'"{camel(column.name)}":' || {value}"""


@lru_cache
def _python_rule(column: Column[Any]) -> tuple[str, str, Callable[[Any], str]]:
    return column.name, f'"{camel(column.name)}":', kind_of(column).python


def _python_member(column: Column[Any], row: Mapping[str, Any]) -> str:
    name, label, written = _python_rule(column)
    value = row[name]
    return label + ("null" if value is None else written(value))


@lru_cache
def _public(table: Table) -> list[Column[Any]]:
    return [c for c in wire_columns(table) if table is not vehicle or c.name not in PRIVATE + IMAGES]


def _named(names: tuple[str, ...]) -> list[Column[Any]]:
    return [vehicle.c[name] for name in names]


def _joined(columns: list[Column[Any]], prefix: str) -> str:
    return " || ',' ||\n    ".join(_sql_member(column, prefix) for column in columns)


def _images(prefix: str) -> str:
    image, gallery = f"{prefix}background_image", f"{prefix}gallery"
    return f"""CASE WHEN starts_with({image}, 'data:') THEN ',"hasBackgroundImage":true'
      ELSE ',"backgroundImage":' || coalesce(to_json({image})::text, 'null') END ||
    CASE WHEN jsonb_path_exists({gallery}, '$[*] ? (@ starts with "data:")') THEN ',"hasGallery":true'
      ELSE ',"gallery":' || {gallery}::text END"""


def pieces(table: Table, prefix: str) -> dict[str, str]:
    """The SQL expression of each piece of a row's wire JSON, by its column; `prefix` stands before a column's name."""
    if table is not vehicle:
        return {"wire": f"'{{' ||\n    {_joined(wire_columns(table), prefix)} || '}}'"}
    return {
        "wire_public": f"'{{' ||\n    {_joined(_public(vehicle), prefix)}",
        "wire_images": _images(prefix),
        "wire_private": f"',' ||\n    {_joined(_named(PRIVATE), prefix)} || '}}'",
    }


def pieces_sql(table: Table) -> str:
    """The assignments by which the table's trigger keeps the pieces of wire JSON of a row."""
    return "\n  ".join(f"NEW.{column} := {value};" for column, value in pieces(table, "NEW.").items())


def view_sql(table: Table, view: View) -> str:
    """The SQL expression of a row's wire JSON as a view shows it."""
    if table is not vehicle:
        return "wire"
    images = "wire_images" if view.endswith("list") else f"',' || {_joined(_named(IMAGES), '')}"
    return f"wire_public || {images} || " + ("'}'" if view.startswith("public") else "wire_private")


def _has_data_url(gallery: str) -> bool:
    if '"data:' not in gallery:
        return False
    entries = json.loads(gallery)  # SQL may have put anything into the list; the path looks into lists in it
    texts = [text for entry in entries for text in (entry if isinstance(entry, list) else [entry])]
    return any(isinstance(text, str) and text.startswith("data:") for text in texts)


def render(table: Table, view: View, row: Mapping[str, Any]) -> str:
    """The same text as Postgres gives for this row and view, for rows that are held in memory."""
    members = [_python_member(column, row) for column in _public(table)]
    if table is vehicle:
        image, gallery = (_python_member(column, row) for column in _named(IMAGES))
        if view.endswith("list") and (row["background_image"] or "").startswith("data:"):
            image = '"hasBackgroundImage":true'
        if view.endswith("list") and _has_data_url(row["gallery"]):
            gallery = '"hasGallery":true'
        members += [image, gallery]
        if not view.startswith("public"):
            members += [_python_member(column, row) for column in _named(PRIVATE)]
    return "{" + ",".join(members) + "}"
