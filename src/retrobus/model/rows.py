"""Rows outside Postgres: their defaults, their content's hash, and their form in files."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, Numeric, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.model.tables import number_column, stored_columns

Row = dict[str, Any]

_FOLD = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Text without regard to ASCII case, as the database's unique indexes see it (`lower(… COLLATE "C")`)."""
    return text.translate(_FOLD)


def now() -> datetime:
    """The present instant, to the millisecond as the columns keep it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@lru_cache
def defaults(table: Table) -> dict[str, Any]:
    """The values that Postgres gives to columns of a new row that nothing is said about; not to be changed."""
    return {column.name: _default(column) for column in stored_columns(table)}


def _default(column: Column[Any]) -> Any:
    argument = getattr(column.server_default, "arg", None)
    written = "" if argument is None else str(argument)
    if not written or written.startswith("now"):
        return None
    text = written.strip("'")
    if isinstance(column.type, Boolean):
        return text == "true"
    return int(text) if isinstance(column.type, Integer) else text


def completed(table: Table, values: Mapping[str, Any]) -> Row:
    """A whole row from some of its columns, with the defaults that Postgres would give it."""
    moment = now()
    return {**defaults(table), "created_at": moment, "updated_at": moment, **values}


@lru_cache
def unique_columns(table: Table) -> tuple[tuple[str, bool], ...]:
    """The columns whose values differ from row to row, and whether ASCII case is ignored."""
    found = []
    for index in sorted((index for index in table.indexes if index.unique), key=lambda index: str(index.name)):
        written = str(index.expressions[0])
        ignored = written.startswith("lower(")
        found.append((written[6:].split(maxsplit=1)[0] if ignored else str(index.columns[0].name), ignored))
    return tuple(found)


@lru_cache
def _content_columns(table: Table) -> tuple[Column[Any], ...]:
    number = number_column(table)
    machinery = {"version", "updated_at", "created_at", *([number.name] if number is not None else [])}
    return tuple(column for column in stored_columns(table) if column.name not in machinery)


def content_hash(table: Table, row: Mapping[str, Any]) -> str:
    """What a row says, whatever its version and stamps: equal hashes mean equal facts."""
    values = [encoded(column, row[column.name]) for column in _content_columns(table)]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


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
    """The value again; ValueError or TypeError if it is none of this column's."""
    if value is None:
        return None
    if isinstance(column.type, TIMESTAMP):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Numeric) and isinstance(value, str):
        return Decimal(value)
    return value


@lru_cache
def _plain(table: Table) -> frozenset[str]:
    """Columns whose values JSON holds as they are."""
    return frozenset(c.name for c in stored_columns(table) if not isinstance(c.type, TIMESTAMP | Numeric | Float))


def encode(table: Table, row: Mapping[str, Any]) -> Row:
    """A whole row as JSON can hold it."""
    plain = _plain(table)
    return {
        column.name: row[column.name] if column.name in plain else encoded(column, row[column.name])
        for column in stored_columns(table)
    }


def decode(table: Table, value: Mapping[str, Any]) -> Row:
    """The row again; KeyError, ValueError or TypeError if it is not one of this table."""
    return {column.name: decoded(column, value[column.name]) for column in stored_columns(table)}
