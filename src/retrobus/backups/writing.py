"""Writes the staged rows that a restore decided on, deletes what goes, and looks whether all of it is there."""

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Table

from retrobus.backups.rules import Rules
from retrobus.backups.verdicts import compared, different, leaving
from retrobus.model.tables import RESOURCES, key_column, stored_columns, unique_columns

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

LEARN = """INSERT INTO deletion (version, resource, key, deleted_at, actor, cause, batch)
SELECT retrobus_next_version(0), k.resource, k.key, k.deleted_at, k.actor, k.cause, k.batch FROM staged_tombstone k
WHERE k.resource = $1 AND k.cause IN ('api', 'sql', 'erase')
  AND NOT EXISTS (SELECT FROM deletion g WHERE g.resource = k.resource AND g.key = k.key
    AND g.batch = k.batch AND g.deleted_at = k.deleted_at)
  AND NOT EXISTS (SELECT FROM {table} d WHERE d.{key} = k.key)
ORDER BY k.deleted_at"""
"""Deletions of another database that the backup remembers hold here too, or an older backup would undo them."""

NUMBERS = """SELECT setval(pg_get_serial_sequence('vehicle', 'id'), greatest(
  (SELECT last_value FROM {sequence}), (SELECT max(id) FROM vehicle), (SELECT max(id) FROM staged_vehicle)))"""


async def write_rows(connection: "Connection", rules: Rules, *, epoch: int) -> None:
    """Carries out every verdict; the triggers note the deletions as those of a restore."""
    await connection.execute("SELECT set_config('retrobus.cause', 'restore', true)")
    scope = [RESOURCES[resource] for resource in RESOURCES if resource in rules.scope]
    for table in scope:
        await connection.execute(LEARN.format(table=table.name, key=key_column(table).name), table.info["resource"])
    if rules.replace:
        for table in reversed(scope):
            await connection.execute(f"DELETE FROM {table.name} d WHERE {leaving(table, rules)}")
    for table in scope:
        await _update(connection, table, epoch)
        await _insert(connection, table, epoch)
    if rules.replace:
        await connection.execute("UPDATE database_identity SET id = gen_random_uuid(), created_at = now()")


async def _update(connection: "Connection", table: Table, epoch: int) -> None:
    name, key = table.name, key_column(table).name
    matching = f"FROM staged_{name} s WHERE d.{key} = s.{key} AND s.verdict = 'update'"
    free = [column for column, _ in unique_columns(table) if column != key]
    if free:  # two members may have exchanged their values: nobody holds one while they are written
        await connection.execute(
            f"UPDATE {name} d SET {', '.join(f'{c} = {_nobodys(table, c)}' for c in free)} {matching} AND ("
            + " OR ".join(f"d.{column} IS DISTINCT FROM s.{column}" for column in free)
            + ")"
        )
    # The trigger takes an unchanged updated_at for a missing one.
    await connection.execute(
        f"UPDATE {name} d SET updated_at = d.updated_at + interval '1 ms' {matching} AND d.updated_at = s.updated_at"
    )
    values = [f"{column} = s.{column}" for column in compared(table)]
    if "token_epoch" in table.c:
        values.append(f"token_epoch = greatest(d.token_epoch + 1, {epoch})")
    await connection.execute(f"UPDATE {name} d SET {', '.join(values)} {matching}")


def _nobodys(table: Table, column: str) -> str:
    return "NULL" if table.c[column].nullable else f"md5(d.{key_column(table).name}) || '@restore.invalid'"


async def _insert(connection: "Connection", table: Table, epoch: int) -> None:
    name = table.name
    if name == "vehicle":
        await _number(connection)
    columns = [column.name for column in stored_columns(table) if column.name != "version"]
    values = [f"greatest(token_epoch + 1, {epoch})" if column == "token_epoch" else column for column in columns]
    await connection.execute(
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM staged_{name}"
        f" WHERE verdict = 'insert' ORDER BY {key_column(table).name}"
    )


async def _number(connection: "Connection") -> None:
    """Numbers of their own for vehicles whose number is taken; later ones continue after all of them."""
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence('vehicle', 'id')")
    await connection.execute(NUMBERS.format(sequence=sequence))
    await connection.execute(
        "UPDATE staged_vehicle SET id = nextval(pg_get_serial_sequence('vehicle', 'id'))"
        " WHERE verdict = 'insert' AND id IS NULL"
    )


async def verified(connection: "Connection", resource: str) -> bool:
    """Whether every row that should be as in the backup is."""
    table = RESOURCES[resource]
    key = key_column(table).name
    wrong: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM staged_{table.name} s LEFT JOIN {table.name} d ON d.{key} = s.{key}"
        f" WHERE s.verdict IN ('insert', 'update', 'same') AND (d.{key} IS NULL OR {different(table)}))"
    )
    return not wrong
