"""Decides about each staged row: insert, update, same, differs, buried (deleted since) or reject."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Table

from retrobus.backups.burials import bury
from retrobus.backups.rules import Rules
from retrobus.model.names import camel
from retrobus.model.tables import RESOURCES, key_column, number_column, stored_columns, unique_columns

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


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
        await bury(connection, table, rules, erased(table))
        while await _reject_taken(connection, table, rules):
            pass  # a reject leaves the row here as it is, and that may take a value from another
        await _hinder(connection, table, rules)
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
    found = 0
    for reason, taken in _taken(table, rules):
        done = await connection.execute(
            f"UPDATE staged_{table.name} s SET verdict = 'reject', reason = {reason} {taken}"
            " AND s.verdict IN ('insert', 'update')"
        )
        found += _count(done)
    return found


def _taken(table: Table, rules: Rules) -> Iterator[tuple[str, str]]:
    """SQL for each unique column: the reason, and where a row here (d) keeps the value of the staged one (s)."""
    key, name = key_column(table).name, table.name
    for column, folded in unique_columns(table):
        if column == key:
            continue
        equal = " = ".join(f'lower({r}.{column} COLLATE "C")' if folded else f"{r}.{column}" for r in "ds")
        stays = f"o.verdict IS DISTINCT FROM 'update' AND NOT {leaving(table, rules)}"
        kept = f"o.verdict = 'update' AND '{column}' = ANY (o.missing)"
        holder = f"FROM {name} d LEFT JOIN staged_{name} o ON o.{key} = d.{key}"
        where = f"WHERE {equal} AND d.{key} <> s.{key} AND ({stays} OR {kept})"
        yield f"'{camel(column)} : déjà pris ici par ' || d.{key}", f"{holder} {where}"


async def _hinder(connection: "Connection", table: Table, rules: Rules) -> None:
    """Notes of rows deleted since why they would not come back even if an operator named them."""
    for reason, taken in _taken(table, rules):
        await connection.execute(
            f"UPDATE staged_{table.name} s SET obstacle = {reason} {taken} AND s.verdict = 'buried'"
        )
    if not rules.replace:
        key = key_column(table).name
        await connection.execute(
            f"UPDATE staged_{table.name} s SET obstacle = 'de retour depuis, laissé tel quel' FROM {table.name} d"
            f" WHERE d.{key} = s.{key} AND s.verdict = 'buried'"
        )


async def _free_numbers(connection: "Connection", rules: Rules) -> None:
    """A vehicle gets its number back if nobody else has it, else a new one."""
    gone = leaving(RESOURCES["Vehicle"], rules)
    await connection.execute(
        "UPDATE staged_vehicle s SET id = NULL WHERE verdict = 'insert' AND ("
        "EXISTS (SELECT FROM staged_vehicle o WHERE o.id = s.id AND o.verdict = 'insert' AND o.parc < s.parc)"
        f" OR EXISTS (SELECT FROM vehicle d WHERE d.id = s.id AND NOT {gone}))"
    )


def _count(done: str) -> int:
    return int(done.rsplit(" ", 1)[1])
