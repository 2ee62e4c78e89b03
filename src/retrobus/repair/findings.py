"""What is not as the triggers would have left it; looking changes nothing."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from retrobus.backups.intake import Tombstone
from retrobus.database.connection import AnyConnection
from retrobus.database.identity import is_at_home
from retrobus.database.numbers import NUMBERED
from retrobus.database.triggers import HIGHEST
from retrobus.model.resources import ALL, Resource
from retrobus.model.wire import pieces
from retrobus.repair import parts
from retrobus.repair.newest_backup import remembered

BODIES = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
STATES = """SELECT tgname, tgenabled IN ('O', 'A') AS fires FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal"""
INTERNAL = """SELECT DISTINCT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'public'::regnamespace AND tgisinternal AND tgenabled NOT IN ('O', 'A') ORDER BY 1"""
USED = f"SELECT greatest((SELECT last_value FROM version_floor), {HIGHEST})"
LAST = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {}"
MAY_LOOK = "SELECT has_sequence_privilege($1, 'SELECT')"
ORPHANS = """SELECT id FROM event WHERE vehicle_id IS NOT NULL
AND NOT EXISTS (SELECT FROM vehicle WHERE vehicle.parc = event.vehicle_id) ORDER BY 1"""

LATER = """SELECT later.key, max(later.deleted_at) AS at
  FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS later (key, deleted_at, batch)
  WHERE NOT EXISTS (SELECT FROM deletion WHERE deletion.key = later.key AND deletion.batch = later.batch
    AND deletion.deleted_at = later.deleted_at) GROUP BY later.key"""
"""Of the tombstones that a backup remembers, given as three arrays, those that this database does not have."""

RETURNED = f"""SELECT {{table}}.{{key}} FROM {{table}} JOIN (
  SELECT key, max(version) AS version FROM deletion WHERE resource = $4 AND cause IN ('api', 'sql') GROUP BY key
) AS buried ON buried.key = {{table}}.{{key}} WHERE {{table}}.version < buried.version
UNION SELECT {{table}}.{{key}} FROM {{table}} JOIN ({LATER}) AS gone ON gone.key = {{table}}.{{key}}
WHERE {{table}}.created_at <= gone.at ORDER BY 1"""
ERASED = f"""SELECT id FROM member WHERE EXISTS (SELECT FROM erasure
  WHERE fingerprint = ANY (retrobus_fingerprints(member.id, NULL, NULL, NULL)) AND member.created_at < erased_at)
UNION SELECT id FROM member JOIN ({LATER}) AS gone
ON gone.key = 'erased-' || left(encode((retrobus_fingerprints(member.id, NULL, NULL, NULL))[1], 'hex'), 24)
WHERE member.created_at <= gone.at ORDER BY 1"""

FOREIGN_KEYS = "clés étrangères de {}"
"""The name, among the disabled triggers, of those by which PostgreSQL keeps a table's foreign keys."""

Keys = dict[str, list[str]]
"""Keys of rows, by the name of their resource."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that `retrobus db repair` mends."""

    at_home: bool = True
    """Whether the identity was given to this database, not to the one that a dump was made of."""

    functions: list[str] = field(default_factory=list)
    """Functions that are missing or hold another text than ours."""

    missing: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    """Triggers that are not there, and triggers that are there and do not fire."""

    sequences: list[str] = field(default_factory=list)
    """Sequences that would draw again a number that a row already has."""

    stale: Keys = field(default_factory=dict)
    """Rows whose JSON is not that of their columns: they were written while the triggers did not fire."""

    returned: Keys = field(default_factory=dict)
    """Rows below the tombstone of their own deletion: they came back past the triggers, without being created."""

    orphans: list[str] = field(default_factory=list)
    """Events of a vehicle that is not there: they came in while the foreign key was off."""

    erased: list[str] = field(default_factory=list)
    """Members who were erased and are there again."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return self.at_home and not any(found for name, found in asdict(self).items() if name != "at_home")


async def look(connection: AnyConnection, folder: Path, *, restored: bool = False) -> Findings:
    """Reads every row of the three tables; the schema must be at the revision that this code expects.

    If this is a restored dump, or the operator says so, the newest backup of that database in the folder tells what
    was deleted after the dump.
    """
    at_home = await is_at_home(connection)
    later: list[Tombstone] = []
    if restored or not at_home:
        later = remembered(folder, await connection.fetchval("SELECT id::text FROM database_identity"))
    missing, disabled = await _triggers(connection)
    return Findings(
        at_home=at_home,
        functions=await _functions(connection),
        missing=missing,
        disabled=disabled,
        sequences=await behind(connection),
        stale={resource.name: keys for resource in ALL if (keys := await _stale(connection, resource))},
        returned={resource.name: keys for resource in ALL if (keys := await _returned(connection, resource, later))},
        orphans=await _firsts(connection, ORPHANS),
        erased=await _firsts(connection, ERASED, *_arrays(later, "Member", "erase")),
    )


async def _firsts(connection: AnyConnection, statement: str, *values: object) -> list[str]:
    """The first column of what a statement gives."""
    return [row[0] for row in await connection.fetch(statement, *values)]


async def _functions(connection: AnyConnection) -> list[str]:
    rows = await connection.fetch(BODIES)
    bodies = {row["proname"]: row["prosrc"] for row in rows}
    return [name for name, part in parts.FUNCTIONS.items() if bodies.get(name) != part.told]


async def _triggers(connection: AnyConnection) -> tuple[list[str], list[str]]:
    fires = {row["tgname"]: row["fires"] for row in await connection.fetch(STATES)}
    missing = [name for name in parts.TRIGGERS if name not in fires]
    disabled = [name for name in parts.TRIGGERS if not fires.get(name, True)]
    return missing, disabled + [FOREIGN_KEYS.format(table) for table in await _firsts(connection, INTERNAL)]


async def behind(connection: AnyConnection) -> list[str]:
    """The sequences, among those that this role may read, that would draw again what a row already has."""
    used = await connection.fetchval(USED)  # read first: a version drawn in between raises the sequence, not `used`
    found = ["row_version"] if await connection.fetchval(LAST.format("row_version")) < used else []
    for name in NUMBERED:
        if await connection.fetchval(MAY_LOOK, f"{name}_id_seq"):
            highest = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {name}")
            if await connection.fetchval(LAST.format(f"{name}_id_seq")) < highest:
                found.append(f"{name}_id_seq")
    return found


async def _stale(connection: AnyConnection, resource: Resource) -> list[str]:
    table = resource.table.name
    held, right = zip(*pieces(resource, f"{table}.").items(), strict=True)
    differs = f"ROW({', '.join(held)}) IS DISTINCT FROM ROW({', '.join(right)})"
    return await _firsts(connection, f"SELECT {resource.key} FROM {table} WHERE {differs} ORDER BY 1")


async def _returned(connection: AnyConnection, resource: Resource, later: list[Tombstone]) -> list[str]:
    statement = RETURNED.format(key=resource.key, table=resource.table.name)
    return await _firsts(connection, statement, *_arrays(later, resource.name, "api", "sql"), resource.name)


def _arrays(later: list[Tombstone], resource: str, *causes: str) -> tuple[list[str], list[datetime], list[int]]:
    """Keys, times and batches of the tombstones of a resource that have one of these causes."""
    found = [tombstone for tombstone in later if tombstone.resource == resource and tombstone.cause in causes]
    return [one.key for one in found], [one.deleted_at for one in found], [one.batch for one in found]
