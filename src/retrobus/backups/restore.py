"""Puts a backup back into Postgres: a plan first, then one transaction that does all of it or nothing."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from retrobus.backups import BadBackup, create
from retrobus.backups.burials import unknown_deletions
from retrobus.backups.create import Progress, silent
from retrobus.backups.formats import Reading, open_reading
from retrobus.backups.manifest import Manifest
from retrobus.backups.plan import Plan, described
from retrobus.backups.rules import Rules
from retrobus.backups.staging import Passwords, fill_in, forget_erased, settle, stage
from retrobus.backups.verdicts import judge
from retrobus.backups.writing import verified, write_rows
from retrobus.model.tables import RESOURCES
from retrobus.store.confirmed import confirmed

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

MAINTENANCE = "retrobus:maintenance"
"""Name of the advisory lock that restore, clean and reset share."""

LOCK_TIMEOUT = "10s"
TABLES = "vehicle, event, member, deletion"


@dataclass(frozen=True, slots=True)
class Request:
    """Which backup, by which rules."""

    path: Path
    rules: Rules
    public_when_missing: bool = False
    empty: bool = False
    """Whether a backup without any row may empty the tables."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, and the backup of what was there before."""

    plan: Plan
    safety: Manifest


async def planned(connection: "Connection", request: Request, passwords: Passwords) -> Plan:
    """What a restore would do now; changes nothing."""
    with open_reading(request.path, public_when_missing=request.public_when_missing) as reading:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            await connection.execute(create.UNHURRIED)
            await _staged(connection, reading, request, passwords, hashed=False)
            return await _judged(connection, reading, request)
        finally:
            await transaction.rollback()


async def restore(
    connection: "Connection",
    request: Request,
    passwords: Passwords,
    folder: Path,
    progress: Progress = silent,
) -> Restored:
    """Does it in one transaction: whatever fails or dies, the tables are as before or as planned."""
    with (
        create.alone(folder),
        open_reading(request.path, public_when_missing=request.public_when_missing) as reading,
    ):
        async with confirmed(connection):
            await connection.execute(create.UNHURRIED)
            await lock_maintenance(connection)
            await _staged(connection, reading, request, passwords, hashed=True)
            await lock_tables(connection)
            safety = await create.write(
                connection, folder, kind="safety", note=f"avant la restauration de {reading.name}", progress=progress
            )
            plan = await _judged(connection, reading, request)
            if plan.empties and not request.empty:
                raise BadBackup(f"{reading.name} est vide : --replace viderait les tables. Confirmez par --yes-empty.")
            before = await _row_counts(connection, request.rules)
            await write_rows(connection, request.rules, epoch=later_epoch())
            await _verify(connection, request.rules, plan, before)
    return Restored(plan, safety)


async def lock_maintenance(connection: "Connection") -> None:
    """Until the transaction ends, no other restore, clean or reset runs; BadBackup if one does."""
    free = await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", MAINTENANCE)
    if not free:
        raise BadBackup("Une restauration ou un nettoyage de cette base est en cours : attendez sa fin.")


async def lock_tables(connection: "Connection") -> None:
    """Until the transaction ends, nobody else writes; who reads is not disturbed."""
    await connection.execute(
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; LOCK TABLE {TABLES} IN SHARE ROW EXCLUSIVE MODE"
    )


async def _staged(
    connection: "Connection", reading: Reading, request: Request, passwords: Passwords, *, hashed: bool
) -> None:
    unknown = await unknown_deletions(connection, request.rules)
    if unknown:
        raise BadBackup(f"Aucune suppression à annuler pour --include-deleted {', '.join(unknown)}.")
    in_clear = await stage(connection, reading, request.rules.scope)
    await settle(connection, in_clear, passwords, hashed=hashed)


async def _judged(connection: "Connection", reading: Reading, request: Request) -> Plan:
    await fill_in(connection, request.rules.scope)
    await forget_erased(connection)
    released = await judge(connection, request.rules)
    return await described(connection, reading, request.rules, released)


async def _row_counts(connection: "Connection", rules: Rules) -> dict[str, int]:
    return {r: await connection.fetchval(f"SELECT count(*) FROM {RESOURCES[r].name}") for r in rules.scope}


async def _verify(connection: "Connection", rules: Rules, plan: Plan, before: dict[str, int]) -> None:
    after = await _row_counts(connection, rules)
    for resource, counts in plan.counts.items():
        expected = before[resource] + counts["insert"] - counts["delete"]
        if after[resource] != expected or not await verified(connection, resource):
            raise BadBackup(f"La vérification de {resource} n'a pas réussi : rien n'a été changé.")


def later_epoch() -> int:
    """A token epoch later than any that a member ever had here or in another database: seconds since 2020."""
    return int(time.time()) - 1_577_836_800
