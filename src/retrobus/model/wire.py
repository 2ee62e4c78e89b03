"""How a row is written as JSON, in SQL and in Python side by side: both give the same bytes."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring  # escapes what JSON requires and nothing else, as PostgreSQL does
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import Boolean, Column, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from retrobus.model.names import camel
from retrobus.model.resources import Resource

View = Literal["list", "one", "public_list", "public_one"]
"""Lists leave out images that are data URLs; public views leave out the private columns."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of value is written: as an SQL expression (`{}` stands for the column) and by a Python function."""

    sql: str
    python: Callable[[Any], str]


def moment(value: datetime) -> str:
    """An instant in UTC, always with three digits of milliseconds."""
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def _decimal(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float(value: float) -> str:
    return repr(value).removesuffix(".0")


TEXT = Form("to_json({})::text", encode_basestring)
MOMENT = Form(
    """'"' || to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"'""",
    lambda value: f'"{moment(value)}"',
)
FLAG = Form("{}::text", lambda value: "true" if value else "false")
INTEGER = Form("{}::text", str)
FLOAT = Form("public.retrobus_digits({})", _float)
DECIMAL = Form("trim_scale({})::text", _decimal)
JSON = Form("{}::text", str)
JSON_AS_STRING = Form("to_json({}::text)::text", encode_basestring)


def form_of(column: Column[Any]) -> Form:
    """The form of a column's values."""
    rules = (
        (JSONB, JSON_AS_STRING if column.info.get("as_text") else JSON),
        (TIMESTAMP, MOMENT),
        (Boolean, FLAG),
        (Integer, INTEGER),
        (Float, FLOAT),
        (Numeric, DECIMAL),
    )
    return next((form for type_, form in rules if isinstance(column.type, type_)), TEXT)


@lru_cache
def known_names(resource: Resource) -> frozenset[str]:
    """Every name that a row's JSON may hold, read-only ones included."""
    return frozenset(camel(column.name) for column in resource.shown)


@lru_cache
def _open(resource: Resource) -> tuple[Column[Any], ...]:
    """The columns that every view shows whole."""
    apart = {*resource.images, *resource.private}
    return tuple(column for column in resource.shown if column.name not in apart)


def _named(resource: Resource, names: Iterable[str]) -> tuple[Column[Any], ...]:
    return tuple(resource.table.c[name] for name in names)


def _left_out(resource: Resource, column: Column[Any]) -> str:
    """What begins the members that stand in a list for an image which is left out; the address of it is the rest."""
    return f'"{camel(f"has_{column.name}")}":true,"{address_name(resource, column.name)}":'


def address_name(resource: Resource, column: str) -> str:
    """The member with the address of an image, `imageUrl`, or with those of a list of images, `galleryUrls`."""
    listed = isinstance(resource.table.c[column].type, JSONB)
    return f"{resource.images[column]}Url{'s' if listed else ''}"


# --- in SQL ---------------------------------------------------------------------------------------


def _sql_value(column: Column[Any], prefix: str) -> str:
    value = form_of(column).sql.format(f"{prefix}{column.name}")
    return f"coalesce({value}, 'null')" if column.nullable else value


def _sql_members(columns: Iterable[Column[Any]], prefix: str) -> str:
    return " || ',' ||\n    ".join(f"""'"{camel(c.name)}":' || {_sql_value(c, prefix)}""" for c in columns)


BASE = r"""E'"\\/'"""
"""How the address of an image begins in `wire_images`, in SQL: a quote, a backslash and a slash.

PostgreSQL escapes no slash, so no text of a user is ever written like this. Lists put `"/api/` or `"/public/` in its
place. It is valid JSON as it stands, for a version of the service that knows of no addresses.
"""


def _sql_image(resource: Resource, column: Column[Any], prefix: str) -> str:
    name, part = f"{prefix}{column.name}", resource.images[column.name]
    test = f"starts_with({name}, 'data:')"
    address = f"""{BASE} || '{resource.plural}/' || public.retrobus_path_part({prefix}{resource.key}) || '/{part}'"""
    value = f"""{address} || '"'"""
    if isinstance(column.type, JSONB):
        test = f"""jsonb_path_exists({name}, '$[*] ? (@ starts with "data:")')"""
        value = f"public.retrobus_addresses({name}, {address})"
    return f"""CASE WHEN {test} THEN ',{_left_out(resource, column)}' || {value}
      ELSE ',"{camel(column.name)}":' || {_sql_value(column, prefix)} END"""


def pieces(resource: Resource, prefix: str) -> dict[str, str]:
    """The SQL expression of each piece of a row's JSON, by its column; `prefix` stands before a column's name.

    A member has one piece, `wire`. The public website reads events and vehicles without their private columns. Images
    of vehicles are large: they are a piece of their own, so that a list need not read them.
    """
    if not resource.private:
        return {"wire": f"'{{' ||\n    {_sql_members(resource.shown, prefix)} || '}}'"}
    images = " ||\n    ".join(_sql_image(resource, column, prefix) for column in _named(resource, resource.images))
    return {
        "wire_public": f"'{{' ||\n    {_sql_members(_open(resource), prefix)}",
        **({"wire_images": images} if images else {}),
        "wire_private": f"',' ||\n    {_sql_members(_named(resource, resource.private), prefix)} || '}}'",
    }


def pieces_sql(resource: Resource) -> str:
    """The assignments by which the table's trigger keeps the pieces of a row's JSON."""
    return "\n  ".join(f"NEW.{column} := {value};" for column, value in pieces(resource, "NEW.").items())


def view_sql(resource: Resource, view: View) -> str:
    """The SQL expression of a row's JSON in a view."""
    if not resource.private:
        return "wire"
    end = "'}'" if view.startswith("public") else "wire_private"
    if not resource.images:
        return f"wire_public || {end}"
    images = f"',' || {_sql_members(_named(resource, resource.images), '')}"
    if view.endswith("list"):
        images = f"""replace(wire_images, {BASE}, '"{_root(view)}/')"""
    return f"wire_public || {images} || {end}"


def _root(view: View) -> str:
    return "/public" if view.startswith("public") else "/api"


# --- in Python ------------------------------------------------------------------------------------


@lru_cache
def _rule(column: Column[Any]) -> tuple[str, str, Callable[[Any], str]]:
    return column.name, f'"{camel(column.name)}":', form_of(column).python


def _member(column: Column[Any], row: Mapping[str, Any]) -> str:
    name, label, written = _rule(column)
    value = row[name]
    return label + ("null" if value is None else written(value))


def _holds_data_url(column: Column[Any], value: str | None) -> bool:
    """Whether a value of this column is a data URL, or a list that holds one."""
    if not isinstance(column.type, JSONB):
        return value is not None and value.startswith("data:")
    if value is None or '"data:' not in value:
        return False
    entries = json.loads(value)  # the SQL path also looks into lists inside of the list, which only SQL could write
    texts = [text for entry in entries for text in (entry if isinstance(entry, list) else [entry])]
    return any(isinstance(text, str) and text.startswith("data:") for text in texts)


def _addresses(column: Column[Any], value: str, address: str) -> str:
    """The address of an image; for a list of images the links in it, and the address and place of each other image."""
    if not isinstance(column.type, JSONB):
        return f'"{address}"'
    entries = [
        encode_basestring(entry) if isinstance(entry, str) and not entry.startswith("data:") else f'"{address}/{place}"'
        for place, entry in enumerate(json.loads(value))
    ]
    return f"[{','.join(entries)}]"


def _image(resource: Resource, view: View, column: Column[Any], row: Mapping[str, Any]) -> str:
    """The member of an image, or the members that stand for it in a list."""
    value = row[column.name]
    if not view.endswith("list") or not _holds_data_url(column, value):
        return _member(column, row)
    part = resource.images[column.name]
    address = f"{_root(view)}/{resource.plural}/{quote(row[resource.key], safe='')}/{part}"
    return _left_out(resource, column) + _addresses(column, value, address)


def render(resource: Resource, view: View, row: Mapping[str, Any]) -> str:
    """The text that PostgreSQL gives for this row in this view, for rows that are held in memory."""
    members = [_member(column, row) for column in _open(resource)]
    members += [_image(resource, view, column, row) for column in _named(resource, resource.images)]
    if not view.startswith("public"):
        members += [_member(column, row) for column in _named(resource, resource.private)]
    return "{" + ",".join(members) + "}"
