"""The SQL for one row of a resource, written in one place: select, put, delete, ETag, latest tombstone.

Names of tables and columns come from `retrobus.model.resources`, never from a client; values are always bound.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from retrobus.database.connection import AnyConnection
from retrobus.model.resources import Resource

Row = dict[str, Any]
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not type it

ETAG = """'"' || (SELECT left(id::text, 8) FROM database_identity) || '-' || version || '"'"""
"""SQL expression: the ETag of a row of any resource, in quotes as HTTP wants it."""

READ_ALL_AGAIN = "UPDATE database_identity SET created_at = clock_timestamp()"
"""Makes every mirror read everything again, after a change that no version tells of: an erasure, a repair."""

GIVEN_STAMPS = "SELECT set_config('retrobus.stamps', 'given', true)"
"""Lets this transaction write `updated_at` and `updated_by` itself, or leave them as they are."""

STAMPED = "SELECT set_config('retrobus.stamps', '', true)"
"""Ends GIVEN_STAMPS: from here on the triggers write both columns again."""

AS_COMMAND = "SELECT set_config('retrobus.actor', 'cli', true)"
"""Names the commands as the author of the rows that this transaction changes: `updatedBy` says `cli`."""

TOMBSTONE = "SELECT coalesce(max(version), 0) FROM deletion WHERE resource = $1 AND key = $2"


def columns(resource: Resource) -> str:
    """The columns that hold facts, separated by commas."""
    return ", ".join(column.name for column in resource.columns)


def select(resource: Resource, condition: str = "true") -> str:
    """Whole rows under a condition in SQL, which may also order or lock them."""
    return f"SELECT {columns(resource)} FROM {resource.table.name} WHERE {condition}"


def batch(columns: Sequence[Column[Any]]) -> str:
    """A FROM item `new` with these columns; the values of each are bound as one array, in the order of the columns."""
    types = [str(column.type.compile(dialect=DIALECT)).split(" COLLATE")[0] for column in columns]
    arrays = ", ".join(f"${place}::{name}[]" for place, name in enumerate(types, start=1))
    return f"unnest({arrays}) AS new ({', '.join(column.name for column in columns)})"


async def row_of(connection: AnyConnection, resource: Resource, key: str, *, lock: bool = False) -> Row | None:
    """The row with this key, held until the transaction ends if `lock`; None if there is none."""
    found = await connection.fetchrow(select(resource, f"{resource.key} = $1{' FOR UPDATE' if lock else ''}"), key)
    return None if found is None else dict(found)


async def put_row(connection: AnyConnection, resource: Resource, row: Row, *, replace: bool) -> None:
    """Inserts a whole row, or gives these values to the row of its key; PostgreSQL gives number and version."""
    names = [column.name for column in resource.columns if column.name not in {"version", resource.number}]
    places = [f"${place}" for place in range(1, len(names) + 1)]
    table, values = resource.table.name, [row[name] for name in names]
    if replace:
        pairs = ", ".join(f"{name} = {place}" for name, place in zip(names, places, strict=True))
        place = places[names.index(resource.key)]
        await connection.execute(f"UPDATE {table} SET {pairs} WHERE {resource.key} = {place}", *values)
    else:
        listed = f"({', '.join(names)}) VALUES ({', '.join(places)})"
        await connection.execute(f"INSERT INTO {table} {listed}", *values)


async def delete_row(connection: AnyConnection, resource: Resource, key: str) -> None:
    """Deletes the row with this key; the trigger leaves a tombstone."""
    await connection.execute(f"DELETE FROM {resource.table.name} WHERE {resource.key} = $1", key)


def nonce_of(resource: Resource) -> str:
    """SQL for the nonce of the write that left the row with this key, `$1`."""
    return f"SELECT nonce FROM {resource.table.name} WHERE {resource.key} = $1"


async def latest_tombstone(connection: AnyConnection, resource: Resource, key: str) -> int:
    """The version of the last deletion of this key; 0 if it was never deleted."""
    found: int = await connection.fetchval(TOMBSTONE, resource.name, key)
    return found
