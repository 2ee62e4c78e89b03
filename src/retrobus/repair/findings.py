"""What is not as the triggers would have left it; looking changes nothing."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from retrobus.home import is_at_home
from retrobus.repair import parts
from retrobus.tables import RESOURCES, key_column
from retrobus.triggers import HIGHEST, NUMBERED
from retrobus.wire import pieces

BODIES = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
STATES = """SELECT t.tgname, t.tgenabled IN ('O', 'A') AS fires FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal"""
USED = f"SELECT greatest((SELECT last_value FROM version_floor), {HIGHEST})"
NEXT = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {}"
MAY_LOOK = "SELECT has_sequence_privilege($1, 'SELECT')"
RETURNED = """SELECT t.{key} FROM {table} t JOIN (
  SELECT key, max(version) AS version FROM deletion WHERE resource = $1 AND cause IN ('api', 'sql') GROUP BY key
) d ON d.key = t.{key} WHERE t.version < d.version ORDER BY 1"""
ERASED = """SELECT m.id FROM member m WHERE EXISTS (SELECT FROM erasure) AND EXISTS (
  SELECT FROM erasure e WHERE e.fingerprint = ANY (retrobus_fingerprints(m.id, NULL, NULL, NULL))
  AND m.created_at < e.erased_at) ORDER BY 1"""

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

    erased: list[str] = field(default_factory=list)
    """Members who were erased and are there again."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        lists = (self.functions, self.missing, self.disabled, self.sequences, self.stale, self.returned, self.erased)
        return self.at_home and not any(lists)


async def look(connection: Any) -> Findings:
    """Reads every row of the three tables; on a schema of the revision that this code expects."""
    missing, disabled = await _triggers(connection)
    return Findings(
        at_home=await is_at_home(connection),
        functions=await _functions(connection),
        missing=missing,
        disabled=disabled,
        sequences=await behind(connection),
        stale=await _rows(connection, _stale_sql),
        returned=await _rows(connection, _returned_sql),
        erased=[row[0] for row in await connection.fetch(ERASED)],
    )


async def _functions(connection: Any) -> list[str]:
    bodies = dict(await connection.fetch(BODIES))
    return [name for name, part in parts.FUNCTIONS.items() if bodies.get(name) != part.told]


async def _triggers(connection: Any) -> tuple[list[str], list[str]]:
    fires = dict(await connection.fetch(STATES))
    missing = [name for name in parts.TRIGGERS if name not in fires]
    return missing, [name for name in parts.TRIGGERS if not fires.get(name, True)]


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


async def _rows(connection: Any, query: Any) -> Keys:
    found = {}
    for resource, table in RESOURCES.items():
        statement, arguments = query(table)
        keys = [row[0] for row in await connection.fetch(statement, *arguments)]
        if keys:
            found[resource] = keys
    return found


def _stale_sql(table: Table) -> tuple[str, list[str]]:
    held, right = zip(*pieces(table, "t.").items(), strict=True)
    key = key_column(table).name
    differs = f"ROW({', '.join(f't.{name}' for name in held)}) IS DISTINCT FROM ROW({', '.join(right)})"
    return f"SELECT t.{key} FROM {table.name} t WHERE {differs} ORDER BY 1", []


def _returned_sql(table: Table) -> tuple[str, list[str]]:
    return RETURNED.format(key=key_column(table).name, table=table.name), [table.info["resource"]]
