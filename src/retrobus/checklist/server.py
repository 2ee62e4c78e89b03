"""What one connection to PostgreSQL tells: reachable, recent, up to date, durable, with the least rights."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retrobus.checklist.judging import Facts, Rule
from retrobus.checklist.server_rules import CONTENTS, FIRST, LIMITS, REPAIRS, SCHEMA, SERVER, SESSIONS
from retrobus.database import rights
from retrobus.database.connection import AnyConnection
from retrobus.database.pooler import is_pooled
from retrobus.database.revisions import revision_of
from retrobus.database.url import places
from retrobus.model.tables import REVISION
from retrobus.store.diagnosis import unconfirmable
from retrobus.store.opening import SESSION
from retrobus.words import decimal, plural

BESIDE_THE_POOL = 3
"""Connections of a service's process beside its pool: the probe, the diagnosis and the follower."""

FACTS = """SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS named,
  current_setting('server_encoding') AS encoding,
  current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('synchronous_standby_names') AS standbys, current_setting('archive_mode') AS archive_mode,
  (SELECT count(*) FROM pg_stat_replication) AS attached,
  (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()
    AND query_start < clock_timestamp() - interval '1 second') AS waiting,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
  extract(epoch FROM clock_timestamp())::float8 AS clock, current_user AS role, pg_is_in_recovery() AS standby,
  current_setting('transaction_read_only') = 'on' AS read_only,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser"""
LIMITS_HERE = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in LIMITS)
FORGETS = "SELECT to_regclass('deletion') IS NOT NULL AND has_table_privilege('deletion', 'DELETE')"
CONTENT = """SELECT (SELECT count(*) FROM member WHERE role = 'ADMIN' AND status = 'active') AS admins,
  (SELECT count(*) FROM conflict WHERE resolution IS NULL) AS conflicts"""


@dataclass(frozen=True, slots=True)
class Way:
    """How a service reaches PostgreSQL: DATABASE_URL, DATABASE_POOL_SIZE and DATABASE_STATEMENT_CACHE."""

    url: str
    pool_size: int
    statement_cache: int


def rules_for(facts: Facts) -> Iterator[Rule]:
    """The rules that these facts suffice for."""
    yield from FIRST
    if facts["lacking"]:
        return
    yield from SCHEMA
    if facts["suits"]:
        yield from CONTENTS
    if "at_home" in facts:
        yield from REPAIRS
    yield from SERVER
    if not facts["statement_cache"]:
        yield from SESSIONS


async def facts_of_server(connection: AnyConnection, way: Way) -> dict[str, Any]:
    """All facts that the rules look at; the tables are read only if the role may read them and the schema suits."""
    before = time.time()
    facts: dict[str, Any] = dict(await connection.fetchrow(FACTS) or {})
    facts["skew"] = _skew(before, facts["clock"], time.time())
    facts |= dict(await connection.fetchrow(LIMITS_HERE) or {})
    facts["forgets"] = await connection.fetchval(FORGETS)
    facts["pooled"] = await is_pooled(connection)
    facts["lacking"] = ", ".join(await rights.missing(connection))
    schema = await revision_of(connection)
    facts["revision"] = schema.current or "aucune"
    facts["suits"] = schema.suits(REVISION) and not facts["lacking"]
    if facts["suits"]:
        facts |= dict(await connection.fetchrow(CONTENT) or {})
    return {**facts, **_derived(facts, way)}


def _skew(before: float, clock: float, after: float) -> float:
    """Seconds by which the server's clock is surely ahead (behind: less than 0), if it was read between these instants.

    A server that answers late shows a time between both, which proves nothing.
    """
    return max(clock - after, 0.0) + min(clock - before, 0.0)


def _derived(facts: Facts, way: Way) -> Facts:
    """What follows from the settings and the facts of the server."""
    role = '"' + facts["role"].replace('"', '""') + '"'
    unlimited = [name for name in LIMITS if facts[name] == "0"]
    return {
        "offset": decimal(facts["skew"], signed=True),
        "servers": len(places(way.url)),
        "asynchronous": plural(facts["attached"], "réplique asynchrone", "répliques asynchrones"),
        "unconfirmable": unconfirmable(facts),
        "replicas": facts["standbys"] or "aucune réplique attachée",
        "needed": way.pool_size + BESIDE_THE_POOL,
        "statement_cache": way.statement_cache,
        "pooler": "reconnu, aucune requête préparée n'est gardée" if facts["pooled"] else "aucun, adresse directe",
        "unlimited": ", ".join(unlimited),
        "set_limits": " ".join(f"ALTER ROLE {role} SET {name} = '{SESSION[name]}';" for name in unlimited),
    }
