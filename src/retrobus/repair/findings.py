"""What is not as the triggers would have left it; looking changes nothing."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from retrobus.backups.intake import Tombstone
from retrobus.database.home import is_at_home
from retrobus.database.triggers import HIGHEST, NUMBERED
from retrobus.model.resources import BY_NAME
from retrobus.model.tables import RESOURCES, key_column
from retrobus.model.wire import pieces
from retrobus.repair import parts
from retrobus.repair.later import remembered

BODIES = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
STATES = """SELECT t.tgname, t.tgenabled IN ('O', 'A') AS fires FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal"""
USED = f"SELECT greatest((SELECT last_value FROM version_floor), {HIGHEST})"
NEXT = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {}"
MAY_LOOK = "SELECT has_sequence_privilege($1, 'SELECT')"
INTERNAL = """SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND t.tgisinternal AND t.tgenabled NOT IN ('O', 'A') ORDER BY 1"""
ORPHANS = """SELECT e.id FROM event e WHERE e.vehicle_id IS NOT NULL
AND NOT EXISTS (SELECT FROM vehicle v WHERE v.parc = e.vehicle_id) ORDER BY 1"""
LATER = """(SELECT k.key, max(k.deleted_at) AS at FROM unnest($1::text[], $2::timestamptz[], $3::bigint[])
  AS k (key, deleted_at, batch) WHERE NOT EXISTS (
    SELECT FROM deletion g WHERE g.key = k.key AND g.batch = k.batch AND g.deleted_at = k.deleted_at) GROUP BY k.key)"""
RETURNED = f"""SELECT t.{{key}} FROM {{table}} t JOIN (
  SELECT key, max(version) AS version FROM deletion WHERE resource = $4 AND cause IN ('api', 'sql') GROUP BY key
) d ON d.key = t.{{key}} WHERE t.version < d.version
UNION SELECT t.{{key}} FROM {{table}} t JOIN {LATER} k ON k.key = t.{{key}} WHERE t.created_at <= k.at ORDER BY 1"""
NAMELESS = "'erased-' || left(encode((retrobus_fingerprints(m.id, NULL, NULL, NULL))[1], 'hex'), 24)"
ERASED = f"""SELECT m.id FROM member m WHERE EXISTS (SELECT FROM erasure) AND EXISTS (
  SELECT FROM erasure e WHERE e.fingerprint = ANY (retrobus_fingerprints(m.id, NULL, NULL, NULL))
  AND m.created_at < e.erased_at)
UNION SELECT m.id FROM member m JOIN {LATER} k ON k.key = {NAMELESS} WHERE m.created_at <= k.at ORDER BY 1"""

ALL = "clés étrangères de {}"
"""How the triggers of foreign keys are named, which only exist together."""

Keys = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that `retrobus db repair` mends; rows by resource and key."""

    at_home: bool = True
    functions: list[str] = field(default_factory=list)
    """Functions that are missing or hold another text than ours."""

    missing: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    """Triggers that are there and do not fire."""

    sequences: list[str] = field(default_factory=list)
    stale: Keys = field(default_factory=dict)
    """Rows whose wire text is not that of their columns: they were written while the triggers did not fire."""

    returned: Keys = field(default_factory=dict)
    """Rows below the tombstone of their own deletion: they came back past the triggers, and nobody created them."""

    orphans: list[str] = field(default_factory=list)
    """Events of a vehicle that is not there: they came in while the foreign key was off."""

    erased: list[str] = field(default_factory=list)
    """Members who were erased and are there again."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return self.at_home and not any(found for name, found in asdict(self).items() if name != "at_home")


async def look(connection: Any, folder: Path, *, restored: bool = False) -> Findings:
    """Reads every row of the three tables; on a schema of the revision that this code expects.

    For a dump that was restored, or that the operator says was, the newest backup of that database tells what was
    deleted after the dump.
    """
    at_home = await is_at_home(connection)
    later: list[Tombstone] = []
    if restored or not at_home:
        later = remembered(folder, await connection.fetchval("SELECT id::text FROM database_identity"))
    missing, disabled = await _triggers(connection)
    erased = await connection.fetch(ERASED, *_arrays(later, "Member", "erase"))
    return Findings(
        at_home=at_home,
        functions=await _functions(connection),
        missing=missing,
        disabled=disabled,
        sequences=await behind(connection),
        stale={name: keys for name, table in RESOURCES.items() if (keys := await _stale(connection, table))},
        returned={name: keys for name in RESOURCES if (keys := await _returned(connection, name, later))},
        orphans=[row[0] for row in await connection.fetch(ORPHANS)],
        erased=[row[0] for row in erased],
    )


async def _functions(connection: Any) -> list[str]:
    bodies = dict(await connection.fetch(BODIES))
    return [name for name, part in parts.FUNCTIONS.items() if bodies.get(name) != part.told]


async def _triggers(connection: Any) -> tuple[list[str], list[str]]:
    fires = dict(await connection.fetch(STATES))
    missing = [name for name in parts.TRIGGERS if name not in fires]
    disabled = [name for name in parts.TRIGGERS if not fires.get(name, True)]
    return missing, disabled + [ALL.format(row[0]) for row in await connection.fetch(INTERNAL)]


async def behind(connection: Any) -> list[str]:
    """The sequences that would draw again what a row already has; those that this role may read."""
    used = await connection.fetchval(USED)  # read first: versions drawn in between raise the sequence, not this
    found = ["row_version"] if await connection.fetchval(NEXT.format("row_version")) < used else []
    for name in NUMBERED:
        if await connection.fetchval(MAY_LOOK, f"{name}_id_seq"):
            highest = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {name}")
            if await connection.fetchval(NEXT.format(f"{name}_id_seq")) < highest:
                found.append(f"{name}_id_seq")
    return found


async def _stale(connection: Any, table: Table) -> list[str]:
    held, right = zip(*pieces(BY_NAME[table.info["resource"]], "t.").items(), strict=True)
    key = key_column(table).name
    differs = f"ROW({', '.join(f't.{name}' for name in held)}) IS DISTINCT FROM ROW({', '.join(right)})"
    rows = await connection.fetch(f"SELECT t.{key} FROM {table.name} t WHERE {differs} ORDER BY 1")
    return [row[0] for row in rows]


async def _returned(connection: Any, resource: str, later: list[Tombstone]) -> list[str]:
    table = RESOURCES[resource]
    statement = RETURNED.format(key=key_column(table).name, table=table.name)
    rows = await connection.fetch(statement, *_arrays(later, resource, "api", "sql"), resource)
    return [row[0] for row in rows]


def _arrays(later: list[Tombstone], resource: str, *causes: str) -> tuple[list[str], list[datetime], list[int]]:
    """Keys, times and batches of the tombstones of a resource that have one of these causes."""
    found = [tombstone for tombstone in later if tombstone.resource == resource and tombstone.cause in causes]
    return [t.key for t in found], [t.deleted_at for t in found], [t.batch for t in found]
