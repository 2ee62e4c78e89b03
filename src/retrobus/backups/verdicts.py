"""Decides about each staged row: insert, update, same, differs, buried (deleted since) or reject."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Table

from retrobus.rows import unique_columns
from retrobus.tables import RESOURCES, key_column, number_column, stored_columns
from retrobus.wire import camel

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

DECIDED = "('api', 'sql', 'erase')"
"""Causes of a deletion that somebody decided about that row; a clean-up decides about none."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a restore is asked to do."""

    replace: bool = False
    scope: tuple[str, ...] = tuple(RESOURCES)
    keys: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    """Deletions that do not count, by the key of their row or by their transaction."""


def compared(table: Table) -> list[str]:
    """The columns by which a row here and a row of the backup are the same."""
    number = number_column(table)
    apart = {"version", "token_epoch", key_column(table).name, *([number.name] if number is not None else [])}
    return [column.name for column in stored_columns(table) if column.name not in apart]


def different(table: Table) -> str:
    """SQL: whether the row here (d) and the staged one (s) differ."""
    columns = compared(table)
    here, staged = (", ".join(f"{side}.{name}" for name in columns) for side in "ds")
    return f"ROW({here}) IS DISTINCT FROM ROW({staged})"


def leaving(table: Table, rules: Rules, row: str = "d") -> str:
    """SQL: whether the row here goes because the backup does not have it."""
    resource, key = table.info["resource"], key_column(table).name
    if not rules.replace or resource not in rules.scope:
        return "false"
    return (
        f"(NOT EXISTS (SELECT FROM staged_{table.name} o WHERE o.{key} = {row}.{key})"
        f" AND NOT EXISTS (SELECT FROM staged_refused r WHERE r.resource = '{resource}' AND r.key = {row}.{key}))"
    )


def deleted_since(resource: str, key: str) -> str:
    """SQL: the tombstones (g) of this key that the backup does not know; $1 and $2 are the rules' keys and batches."""
    return (
        f"FROM deletion g WHERE g.resource = '{resource}' AND g.key = {key} AND g.cause IN {DECIDED}"
        " AND NOT EXISTS (SELECT FROM staged_tombstone k WHERE k.resource = g.resource AND k.key = g.key"
        " AND k.batch = g.batch AND k.deleted_at = g.deleted_at)"
        " AND (g.cause = 'erase' OR NOT (g.key = ANY ($1::text[]) OR g.batch = ANY ($2::bigint[])))"
    )


def erased(table: Table) -> str:
    """SQL: whether the staged row is of a member who was erased, under whatever id; nothing brings them back."""
    if table.info["resource"] != "Member":
        return "false"
    known = "s.id, s.email, s.matricule, s.member_number"
    return f"(EXISTS (SELECT FROM erasure) AND retrobus_is_erased({known}))"


async def judge(connection: "Connection", rules: Rules) -> int:
    """Gives every staged row its verdict; tells how many events lose a vehicle that will not be there."""
    released = 0
    for table in (RESOURCES[resource] for resource in RESOURCES if resource in rules.scope):
        if table.name == "event":
            released = await _release(connection, rules)
        await _compare(connection, table, rules)
        await _bury(connection, table, rules)
        while await _reject_taken(connection, table, rules):
            pass  # a reject leaves the row here as it is, and that may take a value from another
    await _free_numbers(connection, rules)
    return released


async def _compare(connection: "Connection", table: Table, rules: Rules) -> None:
    key, name = key_column(table).name, table.name
    changed = "update" if rules.replace else "differs"
    await connection.execute(
        f"UPDATE staged_{name} s SET verdict = CASE WHEN {different(table)} THEN '{changed}' ELSE 'same' END"
        f" FROM {name} d WHERE d.{key} = s.{key};"
        f"UPDATE staged_{name} SET verdict = 'insert' WHERE verdict IS NULL"
    )


async def _bury(connection: "Connection", table: Table, rules: Rules) -> None:
    buried = deleted_since(table.info["resource"], f"s.{key_column(table).name}")
    await connection.execute(
        f"UPDATE staged_{table.name} s SET verdict = 'buried' WHERE verdict <> 'same'"
        f" AND (EXISTS (SELECT {buried}) OR {erased(table)})",
        list(rules.keys),
        list(rules.batches),
    )


async def _release(connection: "Connection", rules: Rules) -> int:
    vehicle = RESOURCES["Vehicle"]
    done = await connection.execute(
        "UPDATE staged_event s SET vehicle_id = NULL WHERE vehicle_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM staged_vehicle v WHERE v.parc = s.vehicle_id AND v.verdict = 'insert')"
        f" AND NOT EXISTS (SELECT FROM vehicle d WHERE d.parc = s.vehicle_id AND NOT {leaving(vehicle, rules)})"
    )
    return _count(done)


async def _reject_taken(connection: "Connection", table: Table, rules: Rules) -> int:
    """A value that must be unique and stays with another row here keeps the staged row out."""
    key, name, found = key_column(table).name, table.name, 0
    for column, folded in unique_columns(table):
        if column == key:
            continue
        equal = " = ".join(f'lower({r}.{column} COLLATE "C")' if folded else f"{r}.{column}" for r in "ds")
        stays = f"o.verdict IS DISTINCT FROM 'update' AND NOT {leaving(table, rules)}"
        kept = f"o.verdict = 'update' AND '{column}' = ANY (o.missing)"
        done = await connection.execute(
            f"UPDATE staged_{name} s SET verdict = 'reject', reason = '{camel(column)} : déjà pris ici par ' || d.{key}"
            f" FROM {name} d LEFT JOIN staged_{name} o ON o.{key} = d.{key}"
            f" WHERE s.verdict IN ('insert', 'update') AND {equal} AND d.{key} <> s.{key} AND ({stays} OR {kept})"
        )
        found += _count(done)
    return found


async def _free_numbers(connection: "Connection", rules: Rules) -> None:
    """A vehicle gets its number back if nobody else has it, else a new one."""
    gone = leaving(RESOURCES["Vehicle"], rules)
    await connection.execute(
        "UPDATE staged_vehicle s SET id = NULL WHERE verdict = 'insert' AND ("
        "EXISTS (SELECT FROM staged_vehicle o WHERE o.id = s.id AND o.verdict = 'insert' AND o.parc < s.parc)"
        f" OR EXISTS (SELECT FROM vehicle d WHERE d.id = s.id AND NOT {gone}))"
    )


async def unknown_deletions(connection: "Connection", rules: Rules) -> list[str]:
    """The rules' keys and batches that name no deletion at all, or one that stays whatever is asked."""
    kinds: Iterable[tuple[str, str, tuple[object, ...]]] = (
        ("key", "text", rules.keys),
        ("batch", "bigint", rules.batches),
    )
    wrong = []
    for column, type_, values in kinds:
        rows = await connection.fetch(
            f"SELECT v::text FROM unnest($1::{type_}[]) AS v WHERE NOT EXISTS (SELECT FROM deletion g"
            f" WHERE g.{column} = v AND g.cause IN {DECIDED} AND g.cause <> 'erase')",
            list(values),
        )
        wrong += [row["v"] if column == "key" else f"batch:{row['v']}" for row in rows]
    return wrong


def _count(done: str) -> int:
    return int(done.rsplit(" ", 1)[1])
