"""What a restore does or would do, row by row and counted, for the operator to read first."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from retrobus.backups.burials import LISTED, Buried, buryings, idle_deletions
from retrobus.backups.formats import Reading
from retrobus.backups.intake import Reject
from retrobus.backups.rules import Rules
from retrobus.backups.verdicts import compared, leaving
from retrobus.model.tables import RESOURCES, key_column
from retrobus.model.wire import moment

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

VERDICTS = ("insert", "update", "same", "differs", "buried", "reject", "delete")


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is here and in the backup with other values in these columns."""

    resource: str
    key: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts by resource and verdict, and the rows that an operator must see."""

    name: str
    shape: str
    timestamp: str | None
    replace: bool
    counts: dict[str, dict[str, int]]
    differences: list[Difference]
    deletes: list[tuple[str, str]]
    buried: list[Buried]
    batches: dict[int, int]
    """Rows that `batch:N` brings back, for every batch of several rows or of rows beyond those named in `buried`."""

    rejects: list[Reject]
    ignored_tables: dict[str, int]
    warnings: list[str]

    def total(self, *verdicts: str) -> int:
        """Rows of all resources with these verdicts."""
        return sum(counts.get(verdict, 0) for counts in self.counts.values() for verdict in verdicts)

    @property
    def changes(self) -> int:
        """Rows that the restore writes or deletes."""
        return self.total("insert", "update", "delete")

    @property
    def empties(self) -> bool:
        """Whether the backup has no row to give, and rows here would go."""
        return self.total("delete") > 0 and self.total("insert", "update", "same") == 0


async def described(connection: "Connection", reading: Reading, rules: Rules, released: int) -> Plan:
    """The plan, once every staged row has its verdict."""
    buried = await buryings(connection, rules.scope)
    return Plan(
        reading.name,
        reading.shape,
        moment(reading.timestamp) if reading.timestamp else None,
        rules.replace,
        await _counts(connection, reading, rules),
        await _differences(connection, rules),
        await _deletes(connection, rules),
        buried.rows,
        buried.batches,
        [*(r for r in reading.intake.rejects if r.resource in rules.scope), *await _rejects(connection, rules)],
        reading.foreign,
        [*reading.warnings, *await _warnings(connection, reading, rules, released)],
    )


async def _counts(connection: "Connection", reading: Reading, rules: Rules) -> dict[str, dict[str, int]]:
    counts = {}
    for resource in rules.scope:
        table = RESOURCES[resource]
        rows = await connection.fetch(f"SELECT verdict, count(*) FROM staged_{table.name} GROUP BY verdict")
        found = Counter({row["verdict"]: row["count"] for row in rows})
        found["reject"] += reading.intake.rejected[resource]
        found["delete"] = await connection.fetchval(
            f"SELECT count(*) FROM {table.name} d WHERE {leaving(table, rules)}"
        )
        counts[resource] = {verdict: found[verdict] for verdict in VERDICTS}
    return counts


async def _differences(connection: "Connection", rules: Rules) -> list[Difference]:
    found = []
    for resource in rules.scope:
        table = RESOURCES[resource]
        key = key_column(table).name
        named = ", ".join(f"CASE WHEN d.{c} IS DISTINCT FROM s.{c} THEN '{c}' END" for c in compared(table))
        rows = await connection.fetch(
            f"SELECT s.{key} AS key, array_remove(ARRAY[{named}], NULL) AS columns FROM staged_{table.name} s"
            f" JOIN {table.name} d ON d.{key} = s.{key} WHERE s.verdict IN ('update', 'differs')"
            f" ORDER BY 1 LIMIT {LISTED}"
        )
        found += [Difference(resource, row["key"], row["columns"]) for row in rows]
    return found


async def _deletes(connection: "Connection", rules: Rules) -> list[tuple[str, str]]:
    found = []
    for resource in rules.scope:
        table = RESOURCES[resource]
        key = key_column(table).name
        rows = await connection.fetch(
            f"SELECT d.{key} AS key FROM {table.name} d WHERE {leaving(table, rules)} ORDER BY 1 LIMIT {LISTED}"
        )
        found += [(resource, row["key"]) for row in rows]
    return found


async def _rejects(connection: "Connection", rules: Rules) -> list[Reject]:
    found = []
    for resource in rules.scope:
        table = RESOURCES[resource]
        rows = await connection.fetch(
            f"SELECT {key_column(table).name} AS key, reason FROM staged_{table.name}"
            f" WHERE verdict = 'reject' ORDER BY 1 LIMIT {LISTED}"
        )
        found += [Reject(resource, row["key"], 0, row["reason"]) for row in rows]
    return found


async def _warnings(connection: "Connection", reading: Reading, rules: Rules, released: int) -> list[str]:
    said = [
        f"--include-deleted {named} n'annule la suppression d'aucune ligne de ce backup"
        for named in await idle_deletions(connection, rules)
    ]
    if released:
        said.append(f"Event : vehicleId inconnu, mis à null ({released})")
    if "Event" not in rules.scope:
        lost = await connection.fetchval(
            "SELECT count(*) FROM event e JOIN vehicle d ON d.parc = e.vehicle_id WHERE "
            + leaving(RESOURCES["Vehicle"], rules)
        )
        said += [f"{lost} événements perdent leur véhicule"] if lost else []
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    if reading.manifest is not None and reading.manifest.ours and reading.manifest.revision != revision:
        said.append(f"backup du schéma {reading.manifest.revision}, base au schéma {revision}")
    if "Member" in rules.scope and rules.replace and not await _admins_after(connection, rules):
        said.append("plus aucun ADMIN actif après la restauration : retrobus member create-admin")
    return said


async def _admins_after(connection: "Connection", rules: Rules) -> bool:
    admin = "role = 'ADMIN' AND status = 'active'"
    found: bool = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM staged_member WHERE verdict IN ('insert', 'update') AND {admin}) OR EXISTS"
        f" (SELECT FROM member d WHERE {admin} AND NOT {leaving(RESOURCES['Member'], rules)}"
        " AND NOT EXISTS (SELECT FROM staged_member u WHERE u.id = d.id AND u.verdict = 'update'))"
    )
    return found
