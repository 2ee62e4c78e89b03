"""Empties tables for `db clean` and `db reset`: safety backup, deletes and a new identity, all or nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrobus.backups import create
from retrobus.backups.create import Progress, silent
from retrobus.backups.manifest import Manifest
from retrobus.backups.restore import RENEW_IDENTITY, lock_maintenance, lock_tables
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import ALL, BY_NAME
from retrobus.store.confirmed import confirmed

Cause = Literal["clean", "reset"]
NOTES = {"clean": "avant un nettoyage", "reset": "avant une remise à zéro"}


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many rows were deleted, by resource, and the backup of what the tables held before."""

    counts: dict[str, int]
    safety: Manifest


async def count_rows(connection: AnyConnection, scope: tuple[str, ...]) -> dict[str, int]:
    """How many rows each of these resources has."""
    return {name: await connection.fetchval(f"SELECT count(*) FROM {BY_NAME[name].table.name}") for name in scope}


async def count_released(connection: AnyConnection, scope: tuple[str, ...]) -> int:
    """How many events stay and lose their vehicle."""
    if "Vehicle" not in scope or "Event" in scope:
        return 0
    found: int = await connection.fetchval("SELECT count(*) FROM event WHERE vehicle_id IS NOT NULL")
    return found


async def clean(
    connection: AnyConnection, scope: tuple[str, ...], cause: Cause, folder: Path, progress: Progress = silent
) -> Cleaned:
    """Deletes every row of these resources.

    Their tombstones carry `cause`, which is no decision about a row: a restore may bring the rows back.
    """
    with create.alone(folder):
        async with confirmed(connection):
            await lock_maintenance(connection)
            await lock_tables(connection)
            safety = await create.write(connection, folder, kind="safety", note=NOTES[cause], progress=progress)
            counts = await count_rows(connection, scope)
            await connection.execute("SELECT set_config('retrobus.cause', $1, true)", cause)
            for resource in reversed(ALL):  # events before the vehicles that they refer to
                if resource.name in scope:
                    await connection.execute(f"DELETE FROM {resource.table.name}")
            await connection.execute(RENEW_IDENTITY)
    return Cleaned(counts, safety)
