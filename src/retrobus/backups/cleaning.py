"""Empties tables: safety backup, tombstones and a new identity, in one transaction that does all of it or nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import asyncpg

from retrobus.backups import create
from retrobus.backups.create import Progress, silent
from retrobus.backups.manifest import Manifest
from retrobus.backups.restore import lock_maintenance, lock_tables
from retrobus.model.tables import RESOURCES
from retrobus.store.confirmed import confirmed

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

Cause = Literal["clean", "reset"]
NOTES = {"clean": "avant un nettoyage", "reset": "avant une remise à zéro"}
RENEW_IDENTITY = "UPDATE database_identity SET id = gen_random_uuid(), created_at = now()"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many rows went, by resource, and the backup of what was there before."""

    counts: dict[str, int]
    safety: Manifest


async def count_rows(connection: "Connection", scope: tuple[str, ...]) -> dict[str, int]:
    """The rows of these resources."""
    return {r: await connection.fetchval(f"SELECT count(*) FROM {RESOURCES[r].name}") for r in scope}


async def count_released(connection: "Connection", scope: tuple[str, ...]) -> int:
    """The events that stay and lose their vehicle."""
    if "Vehicle" not in scope or "Event" in scope:
        return 0
    found: int = await connection.fetchval("SELECT count(*) FROM event WHERE vehicle_id IS NOT NULL")
    return found


async def clean(
    connection: "Connection", scope: tuple[str, ...], cause: Cause, folder: Path, progress: Progress = silent
) -> Cleaned:
    """Deletes every row of these resources; the tombstones decide about none, so that a restore brings them back."""
    with create.alone(folder):
        async with confirmed(connection):
            await lock_maintenance(connection)
            await lock_tables(connection)
            safety = await create.write(connection, folder, kind="safety", note=NOTES[cause], progress=progress)
            counts = await count_rows(connection, scope)
            await connection.execute("SELECT set_config('retrobus.cause', $1, true)", cause)
            for resource in reversed([resource for resource in RESOURCES if resource in scope]):
                await connection.execute(f"DELETE FROM {RESOURCES[resource].name}")
            await connection.execute(RENEW_IDENTITY)
    return Cleaned(counts, safety)
