"""Which deletion counts for each row of a backup, and the option of `retrobus restore` that takes it back.

For example: event e1 was deleted (batch 10), brought back by
`--include-deleted batch:10` and deleted again (batch 12).
For a backup from before all that, batch 12 counts and is what the plan names.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Table

from retrobus.backups.rules import BATCH, Rules, option_of
from retrobus.model.tables import RESOURCES, key_column
from retrobus.model.wire import moment

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

DECIDED = "('api', 'sql', 'erase')"
"""Causes of a deletion that a client or an operator decided about that row; a clean-up decides about none."""

COLUMNS = (
    "ADD erased boolean NOT NULL DEFAULT false, ADD cause text, ADD batch bigint, ADD deleted_at timestamptz,"
    " ADD obstacle text"
)
"""What each staged row is told here: erased for ever, the deletion that counts, why no option brings it back."""

LISTED = 1000
"""Rows of one resource that are named one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Buried:
    """A row of the backup that was deleted since. `option` brings it back; None if nothing may or can."""

    resource: str
    key: str
    cause: str
    batch: int
    deleted_at: str | None
    option: str | None
    obstacle: str | None
    """Why no option brings it back, unless the member was erased."""

    erased: bool
    recreated: bool
    """Whether a row of this key is here again."""


@dataclass(slots=True)
class Buryings:
    """The rows that are named, and how many rows each batch brings back: of the whole backup, not of the named rows."""

    rows: list[Buried] = field(default_factory=list)
    batches: dict[int, int] = field(default_factory=dict)


async def bury(connection: "Connection", table: Table, rules: Rules, erased: str) -> None:
    """Tells each staged row which deletion counts for it; the row stays out unless that deletion is taken back.

    Of all decided deletions of a key that the backup does not know, the last one counts. `erased` is SQL.
    """
    resource, key, staged = table.info["resource"], key_column(table).name, f"staged_{table.name}"
    since = (
        f"FROM deletion g WHERE g.resource = '{resource}' AND g.cause IN {DECIDED}"
        " AND NOT EXISTS (SELECT FROM staged_tombstone k WHERE k.resource = g.resource AND k.key = g.key"
        " AND k.batch = g.batch AND k.deleted_at = g.deleted_at)"
    )
    await connection.execute(
        f"UPDATE {staged} s SET cause = g.cause, batch = g.batch, deleted_at = g.deleted_at FROM (SELECT DISTINCT ON"
        f" (g.key) g.key, g.cause, g.batch, g.deleted_at {since} ORDER BY g.key, g.version DESC) AS g"
        f" WHERE g.key = s.{key};"
        f"UPDATE {staged} s SET erased = true WHERE verdict <> 'same' AND (EXISTS (SELECT {since}"
        f" AND g.cause = 'erase' AND g.key = s.{key}) OR {erased})"
    )
    await connection.execute(
        f"UPDATE {staged} SET verdict = 'buried' WHERE verdict <> 'same' AND (erased OR (cause IS NOT NULL"
        f" AND NOT ({key} = ANY ($1::text[]) OR batch = ANY ($2::bigint[]))))",
        rules.keys_of(resource),
        list(rules.batches),
    )


async def buryings(connection: "Connection", scope: tuple[str, ...]) -> Buryings:
    """The rows that stay out because they were deleted since, in the order of their keys, and every option for them."""
    found = Buryings()
    counts: Counter[int] = Counter()
    unnamed: set[int] = set()
    for table in (RESOURCES[resource] for resource in scope):
        found.rows += await _listed(connection, table)
        for row in await _batches(connection, table):
            counts[row["batch"]] += row["count"]
            unnamed |= {row["batch"]} if row["unnamed"] else set()
    found.batches = {batch: count for batch, count in counts.items() if count > 1 or batch in unnamed}
    return found


async def _listed(connection: "Connection", table: Table) -> list[Buried]:
    resource, key = table.info["resource"], key_column(table).name
    rows = await connection.fetch(
        f"SELECT s.{key} AS key, s.cause, s.batch, s.deleted_at, s.obstacle, s.erased,"
        f" EXISTS (SELECT FROM deletion o WHERE o.resource = ANY ($1::text[]) AND o.key = s.{key}) AS shared,"
        f" EXISTS (SELECT FROM {table.name} d WHERE d.{key} = s.{key}) AS recreated"
        f" FROM staged_{table.name} s WHERE s.verdict = 'buried' ORDER BY 1 LIMIT {LISTED}",
        [other for other in RESOURCES if other != resource],
    )
    return [_buried(resource, row) for row in rows]


def _buried(resource: str, row: asyncpg.Record) -> Buried:
    lasting = row["erased"] or row["obstacle"] is not None
    return Buried(
        resource,
        row["key"],
        row["cause"] or "erase",
        row["batch"] or 0,
        moment(row["deleted_at"]) if row["deleted_at"] else None,
        None if lasting else option_of(resource, row["key"], shared=row["shared"]),
        None if row["erased"] else row["obstacle"],
        row["erased"],
        row["recreated"],
    )


async def _batches(connection: "Connection", table: Table) -> list[asyncpg.Record]:
    """How many rows each batch brings back, and whether one of them is beyond those that are named one by one."""
    return await connection.fetch(
        f"SELECT batch, count(*) AS count, bool_or(place > {LISTED}) AS unnamed FROM (SELECT batch, erased, obstacle,"
        f" row_number() OVER (ORDER BY {key_column(table).name}) AS place FROM staged_{table.name}"
        " WHERE verdict = 'buried') AS b WHERE NOT erased AND obstacle IS NULL GROUP BY batch ORDER BY batch"
    )


async def unknown_deletions(connection: "Connection", rules: Rules) -> list[str]:
    """What was named and is no deletion at all, or one that stays whatever is asked."""
    exists = f"EXISTS (SELECT FROM deletion WHERE cause IN {DECIDED} AND cause <> 'erase' AND"
    return [
        said
        for said, condition, values in _named(rules)
        if not await connection.fetchval(f"SELECT {exists} {condition})", *values)
    ]


async def idle_deletions(connection: "Connection", rules: Rules) -> list[str]:
    """What was named and is, for no row of this backup, the deletion that counts."""
    counting = " UNION ALL ".join(
        f"SELECT '{resource}' AS resource, {key_column(RESOURCES[resource]).name} AS key, batch"
        f" FROM staged_{RESOURCES[resource].name} WHERE cause IS NOT NULL AND NOT erased"
        for resource in rules.scope
    )
    return [
        said
        for said, condition, values in _named(rules)
        if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM ({counting}) AS c WHERE {condition})", *values)
    ]


def _named(rules: Rules) -> list[tuple[str, str, tuple[object, ...]]]:
    """Each thing that was named: as it was said, the SQL that finds it, the values of that SQL."""
    return [
        *((key, "key = $1", (key,)) for key in rules.keys),
        *((f"{r.lower()}:{key}", "resource = $1 AND key = $2", (r, key)) for r, key in rules.rows),
        *((f"{BATCH}:{batch}", "batch = $1", (batch,)) for batch in rules.batches),
    ]
