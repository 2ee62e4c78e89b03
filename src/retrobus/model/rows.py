"""Rows outside PostgreSQL: their defaults, the hash of their content, and their form in files."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.model.resources import Resource

Row = dict[str, Any]
"""A row by column name, each value as the driver gives it; JSON values as text."""

_FOLD = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Text without regard to ASCII case, as the database's unique indexes see it (`lower(… COLLATE "C")`)."""
    return text.translate(_FOLD)


def now() -> datetime:
    """The present instant, to the millisecond as the columns keep it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@lru_cache
def defaults(resource: Resource) -> dict[str, Any]:
    """The value that PostgreSQL gives to each column of a new row without a value of its own; not to be changed."""
    return {column.name: _default(column) for column in resource.columns}


def _default(column: Column[Any]) -> Any:
    argument = getattr(column.server_default, "arg", None)
    written = "" if argument is None else str(argument)
    if not written or written.startswith("now"):
        return None
    text = written.strip("'")
    if isinstance(column.type, Boolean):
        return text == "true"
    return int(text) if isinstance(column.type, Integer) else text


def completed(resource: Resource, values: Mapping[str, Any]) -> Row:
    """A whole row from some of its columns, with the defaults that PostgreSQL would give it."""
    moment = now()
    return {**defaults(resource), "created_at": moment, "updated_at": moment, **values}


def content_hash(resource: Resource, row: Mapping[str, Any]) -> str:
    """A hash of the row without its `machinery`: two rows with the same hash say the same."""
    facts = [column for column in resource.columns if column.name not in resource.machinery]
    return hashlib.sha256(json.dumps([encoded(c, row[c.name]) for c in facts]).encode()).hexdigest()


def encoded(column: Column[Any], value: Any) -> Any:
    """A column's value as JSON can hold it, without loss."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if value is None:
        return None
    if isinstance(column.type, Numeric):
        return f"{Decimal(value):.2f}"
    return float(value) if isinstance(column.type, Float) else value


def decoded(column: Column[Any], value: Any) -> Any:
    """The value that was encoded; ValueError or TypeError if the column cannot hold it."""
    if value is None:
        return None
    if isinstance(column.type, TIMESTAMP):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Numeric) and isinstance(value, str):
        return Decimal(value)
    return value


@lru_cache
def _plain(resource: Resource) -> frozenset[str]:
    """Columns whose values JSON holds as they are."""
    return frozenset(c.name for c in resource.columns if not isinstance(c.type, TIMESTAMP | Numeric | Float))


def encode(resource: Resource, row: Mapping[str, Any]) -> Row:
    """A whole row as JSON can hold it."""
    plain = _plain(resource)
    return {
        column.name: row[column.name] if column.name in plain else encoded(column, row[column.name])
        for column in resource.columns
    }


def decode(resource: Resource, value: Mapping[str, Any]) -> Row:
    """The row that was encoded; KeyError, ValueError or TypeError if the value is not a row of this resource.

    A file of an older version lacks columns that are newer: those are null.
    """
    known = ((c, value.get(c.name) if c.nullable else value[c.name]) for c in resource.columns)
    return {column.name: decoded(column, found) for column, found in known}
