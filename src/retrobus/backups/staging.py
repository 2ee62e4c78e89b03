"""Puts a backup beside the tables that it may return to, so that Postgres compares them in constant memory."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import asyncpg

from retrobus.backups import burials
from retrobus.backups.formats import Reading
from retrobus.backups.intake import Taken, Tombstone
from retrobus.model.tables import RESOURCES, key_column, stored_columns

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

UNSETTLED = "!"
"""Stands for the hash of a password that the file holds in clear: equal to no hash."""

TOMBSTONE_COLUMNS = ("resource", "key", "deleted_at", "cause", "batch", "actor")


@dataclass(frozen=True, slots=True)
class Passwords:
    """How passwords in clear are hashed, and compared with a hash."""

    hash: Callable[[str], Coroutine[Any, Any, str]]
    matches: Callable[[str, str], Coroutine[Any, Any, bool]]


async def stage(connection: "Connection", reading: Reading, scope: Iterable[str]) -> dict[str, str]:
    """Copies every row of these resources into temporary tables; gives the passwords that were in clear, by key."""
    wanted = frozenset(scope)
    await _make_tables(connection)
    passwords: dict[str, str] = {}
    for place, group in groupby(reading, lambda found: found.resource if isinstance(found, Taken) else None):
        if place is None:
            tombstones = (_tombstone_record(found) for found in group if isinstance(found, Tombstone))
            await _copy(connection, "staged_tombstone", TOMBSTONE_COLUMNS, tombstones)
        elif place in wanted:
            columns = [column.name for column in stored_columns(RESOURCES[place])]
            records = _records(columns, group, passwords)
            await _copy(connection, f"staged_{RESOURCES[place].name}", [*columns, "missing"], records)
        else:
            for _ in group:
                pass  # read all the same: a backup that is damaged anywhere is refused
    await _copy(connection, "staged_refused", ("resource", "key"), iter(reading.intake.refused))
    await _index(connection)
    return passwords


async def _make_tables(connection: "Connection") -> None:
    for table in RESOURCES.values():
        columns = ", ".join(column.name for column in stored_columns(table))
        staged = f"staged_{table.name}"
        await connection.execute(
            f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS SELECT {columns} FROM {table.name} WITH NO DATA;"
            f"ALTER TABLE {staged} ADD missing text[] NOT NULL, ADD verdict text, ADD reason text, {burials.COLUMNS}"
        )
    await connection.execute(
        "CREATE TEMP TABLE staged_tombstone ON COMMIT DROP AS"
        f" SELECT {', '.join(TOMBSTONE_COLUMNS)} FROM deletion WITH NO DATA;"
        "CREATE TEMP TABLE staged_refused (resource text, key text) ON COMMIT DROP"
    )


def _records(columns: list[str], group: Iterator[Any], passwords: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    for taken in group:
        row = taken.row
        if taken.password is not None:
            passwords[taken.key] = taken.password
            row = row | {"password_hash": UNSETTLED}
        yield (*(row[column] for column in columns), sorted(taken.missing))


def _tombstone_record(found: Tombstone) -> tuple[Any, ...]:
    return tuple(getattr(found, column) for column in TOMBSTONE_COLUMNS)


async def _copy(
    connection: "Connection", table: str, columns: Iterable[str], records: Iterator[tuple[Any, ...]]
) -> None:
    await connection.copy_records_to_table(table, records=records, columns=list(columns))


async def _index(connection: "Connection") -> None:
    for table in RESOURCES.values():
        await connection.execute(
            f"CREATE UNIQUE INDEX ON staged_{table.name} ({key_column(table).name}); ANALYZE staged_{table.name}"
        )
    await connection.execute("CREATE INDEX ON staged_tombstone (resource, key); ANALYZE staged_tombstone")


async def fill_in(connection: "Connection", scope: Iterable[str]) -> None:
    """What the file does not say about a row that is here stays as it is."""
    for table in (RESOURCES[resource] for resource in scope):
        key = key_column(table).name
        kept = ", ".join(
            f"{c.name} = CASE WHEN '{c.name}' = ANY (s.missing) THEN d.{c.name} ELSE s.{c.name} END"
            for c in stored_columns(table)
            if c.name != key
        )
        await connection.execute(
            f"UPDATE staged_{table.name} s SET {kept} FROM {table.name} d"
            f" WHERE d.{key} = s.{key} AND s.missing <> '{{}}'"
        )


ERASED = (
    ("UPDATE staged_member SET created_by = NULL WHERE", "staged_member", "created_by"),
    ("UPDATE staged_tombstone SET actor = NULL WHERE", "staged_tombstone", "actor"),
    ("DELETE FROM staged_tombstone WHERE resource = 'Member' AND", "staged_tombstone", "key"),
)


async def forget_erased(connection: "Connection") -> None:
    """Takes erased members out of what the backup says of others: they created a member, deleted a row, were deleted.

    Otherwise a restore would write their ids again beside the rows that it brings back.
    """
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM erasure)"):
        return
    for change, table, column in ERASED:
        names = f"SELECT DISTINCT {column} AS name FROM {table}"
        await connection.execute(
            f"{change} {column} IN (SELECT name FROM ({names}) AS n WHERE retrobus_is_erased(name, NULL, NULL, NULL))"
        )


async def settle(connection: "Connection", found: dict[str, str], passwords: Passwords, *, hashed: bool) -> None:
    """A password in clear that the row here has already is no difference; the others are hashed if asked for."""
    here = "SELECT id, password_hash FROM member WHERE id = ANY($1) AND password_hash IS NOT NULL"
    live = {row["id"]: row["password_hash"] for row in await connection.fetch(here, list(found))}

    async def one(key: str) -> str:
        known = live.get(key)
        if known is not None and await passwords.matches(found[key], known):
            return str(known)
        return await passwords.hash(found[key]) if hashed else UNSETTLED

    hashes = await asyncio.gather(*(one(key) for key in found))
    await connection.execute(
        "UPDATE staged_member s SET password_hash = v.hash"
        " FROM unnest($1::text[], $2::text[]) AS v (key, hash) WHERE s.id = v.key",
        list(found),
        hashes,
    )
