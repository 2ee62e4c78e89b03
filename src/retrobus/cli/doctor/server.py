"""What one connection to PostgreSQL tells: reachable, recent, up to date, durable, with the least rights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from retrobus.cli.doctor.checks import Facts, Item, Rule, judged
from retrobus.cli.doctor.repair import repair_facts
from retrobus.cli.doctor.rules import CONTENTS, FIRST, LIMITS, REPAIRS, SCHEMA, SERVER, SESSIONS
from retrobus.cli.failures import sentence
from retrobus.cli.postgres import with_connection
from retrobus.database import rights
from retrobus.database.pooler import is_pooled
from retrobus.database.revisions import revision_of
from retrobus.database.url import places
from retrobus.model.tables import REVISION
from retrobus.repair.findings import look
from retrobus.settings import Settings
from retrobus.store.diagnosis import unconfirmable
from retrobus.store.opening import SESSION
from retrobus.words import decimal, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrobus.database.connection import AnyConnection

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


def server_items(settings: Settings) -> list[Item]:
    """A line for each check; one alone if there is no connection."""
    if settings.database_url is None:
        if settings.app_env == "development" and settings.enable_memory_fallback:
            return [Item("warning", "DATABASE_URL", "absente : tout vit en mémoire", "indiquer une base")]
        return [Item("error", "DATABASE_URL", "absente", "indiquer la base (voir .env.example)")]
    try:
        facts = with_connection(lambda connection: _ask(connection, settings))
    except Exception as failure:
        known = sentence(failure)
        if known is None:
            raise
        return [Item("error", "DATABASE_URL", known, "vérifier l'adresse, le mot de passe et le serveur")]
    return [Item("ok", "DATABASE_URL", "valide, PostgreSQL répond"), *judged(_rules(facts), facts)]


def _rules(facts: Facts) -> Iterator[Rule]:
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


async def _ask(connection: AnyConnection, settings: Settings) -> Facts:
    """All facts that the checks look at; the tables are read only if the role may read them and the schema suits."""
    before = time.time()
    facts: dict[str, Any] = dict(await connection.fetchrow(FACTS) or {})
    facts |= dict(await connection.fetchrow(LIMITS_HERE) or {})
    facts["skew"] = facts["clock"] - (before + time.time()) / 2
    facts["forgets"] = await connection.fetchval(FORGETS)
    facts["pooled"] = await is_pooled(connection)
    facts["lacking"] = ", ".join(await rights.missing(connection))
    schema = await revision_of(connection)
    facts["revision"] = schema.current or "aucune"
    facts["suits"] = schema.suits(REVISION) and not facts["lacking"]
    if facts["suits"]:
        facts |= dict(await connection.fetchrow(CONTENT) or {})
    if facts["suits"] and schema.current == REVISION:
        facts |= repair_facts(await look(connection, settings.backups_dir))
    return {**facts, **_derived(facts, settings)}


def _derived(facts: Facts, settings: Settings) -> Facts:
    """What follows from the settings and the facts of the server."""
    role = '"' + facts["role"].replace('"', '""') + '"'
    unlimited = [name for name in LIMITS if facts[name] == "0"]
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    return {
        "offset": decimal(facts["skew"], signed=True),
        "servers": len(places(url)),
        "asynchronous": plural(facts["attached"], "réplique asynchrone", "répliques asynchrones"),
        "unconfirmable": unconfirmable(facts),
        "replicas": facts["standbys"] or "aucune réplique attachée",
        "needed": settings.database_pool_size + BESIDE_THE_POOL,
        "statement_cache": settings.database_statement_cache,
        "pooler": "reconnu, aucune requête préparée n'est gardée" if facts["pooled"] else "aucun, adresse directe",
        "unlimited": ", ".join(unlimited),
        "set_limits": " ".join(f"ALTER ROLE {role} SET {name} = '{SESSION[name]}';" for name in unlimited),
    }
