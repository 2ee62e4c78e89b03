"""What `retrobus doctor` says of PostgreSQL: reachable, recent, up to date, durable, with the least rights."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retrobus.cli.checklist import Item, bad, doubtful, good
from retrobus.cli.checklist_pooler import LIMITS_HERE, pooler_items
from retrobus.cli.checklist_repair import repair_items
from retrobus.cli.postgres import sentence, with_connection
from retrobus.database import rights
from retrobus.database.migrate import OLDEST_SERVER
from retrobus.database.pooler import is_pooled
from retrobus.database.revisions import revision_of
from retrobus.database.url import places
from retrobus.model.tables import REVISION
from retrobus.repair.findings import look
from retrobus.settings import Settings
from retrobus.store.diagnosis import unconfirmable

EXTRA = 3
"""Connections beside the pool: the probe, the diagnosis and the follower."""

SKEW = 2.0
"""Seconds by which the clocks of service and server may differ: tokens allow 10."""

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
TABLES = """SELECT to_regclass('deletion') IS NOT NULL AND has_table_privilege('deletion', 'DELETE') AS forgets"""
CONTENT = """SELECT (SELECT count(*) FROM member WHERE role = 'ADMIN' AND status = 'active') AS admins,
  (SELECT count(*) FROM conflict WHERE resolution IS NULL) AS conflicts"""

Facts = dict[str, Any]


def database_items(settings: Settings) -> list[Item]:
    """Everything that one connection can tell."""
    if settings.database_url is None:
        if settings.app_env == "development" and settings.enable_memory_fallback:
            return [doubtful("DATABASE_URL", "absente : tout vit en mémoire", "indiquer une base")]
        return [bad("DATABASE_URL", "absente", "indiquer la base (voir .env.example)")]
    try:
        facts = with_connection(lambda connection: _ask(connection, settings.backups_dir))
        facts["servers"] = len(places(settings.database_url.get_secret_value()))
    except Exception as error:
        known = sentence(error)
        if known is None:
            raise
        return [bad("DATABASE_URL", known, "vérifier l'adresse, le mot de passe et le serveur")]
    return [good("DATABASE_URL", "valide, PostgreSQL répond"), *_judged(facts, settings)]


async def _ask(connection: Any, folder: Path) -> Facts:
    before = time.time()
    facts = dict(await connection.fetchrow(FACTS))
    facts["skew"] = facts["clock"] - (before + time.time()) / 2
    facts |= dict(await connection.fetchrow(LIMITS_HERE))
    facts["pooled"] = await is_pooled(connection)
    facts |= dict(await connection.fetchrow(TABLES))
    facts["missing"] = await rights.missing(connection)
    facts["schema"] = await revision_of(connection)
    facts["suits"] = facts["schema"].suits(REVISION) and not facts["missing"]
    if facts["suits"]:
        facts |= dict(await connection.fetchrow(CONTENT))
    if facts["suits"] and facts["schema"].current == REVISION:
        facts["findings"] = await look(connection, folder)
    return facts


def _judged(facts: Facts, settings: Settings) -> Iterator[Item]:
    yield _version(facts)
    yield _encoding(facts)
    if facts["missing"]:
        yield _rights(facts)
        return
    yield _schema(facts)
    if facts["suits"]:
        yield _admin(facts)
        yield _conflicts(facts)
    if "findings" in facts:
        yield from repair_items(facts["findings"])
    judges: tuple[Callable[[Facts], Item], ...] = (_durability, _standbys, _archive, _clock, _role)
    for judge in judges:
        yield judge(facts)
    yield _connections(facts, settings.database_pool_size)
    yield from pooler_items(facts, settings)


def _version(facts: Facts) -> Item:
    if facts["version"] < OLDEST_SERVER * 10_000:
        return bad("Version de PostgreSQL", facts["named"], f"PostgreSQL {OLDEST_SERVER} ou plus récent")
    return good("Version de PostgreSQL", facts["named"])


def _encoding(facts: Facts) -> Item:
    if facts["encoding"] != "UTF8":
        cure = "une base créée avec ENCODING 'UTF8' TEMPLATE template0, puis retrobus restore"
        return bad("Encodage de la base", f"{facts['encoding']} : les accents s'y perdent", cure)
    return good("Encodage de la base", "UTF8")


def _schema(facts: Facts) -> Item:
    if not facts["suits"]:
        return bad(
            "Migrations", f"{facts['schema'].current or 'aucune'} (attendue : {REVISION})", "retrobus db upgrade"
        )
    return good("Migrations", facts["schema"].current)


def _rights(facts: Facts) -> Item:
    found = f"il manque à {facts['role']} : {', '.join(facts['missing'])}"
    return bad("Droits", found, f"avec le rôle propriétaire : retrobus db grant --role {facts['role']}")


def _admin(facts: Facts) -> Item:
    if not facts["admins"]:
        return bad("Administrateur actif", "aucun", "retrobus member create-admin --email …")
    return good("Administrateur actif", str(facts["admins"]))


def _conflicts(facts: Facts) -> Item:
    if facts["conflicts"]:
        return doubtful("Conflits à trancher", str(facts["conflicts"]), "retrobus resync --list")
    return good("Conflits à trancher", "aucun")


def _durability(facts: Facts) -> Item:
    found = ", ".join(f"{name}={facts[name]}" for name in ("fsync", "full_page_writes", "synchronous_commit"))
    if facts["fsync"] != "on" or facts["full_page_writes"] != "on":
        return bad("Durabilité", f"{found} : une panne du serveur peut tout perdre", "fsync=on, full_page_writes=on")
    if facts["synchronous_commit"] == "off":
        return bad("Durabilité", f"{found} : une écriture acquittée peut se perdre", "synchronous_commit=on")
    return good("Durabilité", found)


def _standbys(facts: Facts) -> Item:
    if facts["standby"]:
        cure = "nommer aussi le primaire dans DATABASE_URL : postgresql://a,b/retrobus"
        return bad("Répliques", "ce serveur est une réplique : aucune écriture", cure)
    reason = unconfirmable(facts)
    if reason is not None:
        return bad("Répliques", reason, "rattacher la réplique (SELECT * FROM pg_stat_replication)")
    if facts["read_only"]:
        cure = "ALTER DATABASE … RESET default_transaction_read_only"
        return bad("Répliques", "ce serveur est en lecture seule : aucune écriture", cure)
    if not facts["standbys"] and (facts["attached"] or facts["servers"] > 1):
        text = f"{facts['attached']} asynchrone(s) : une bascule peut perdre les dernières écritures acquittées"
        return doubtful("Répliques", text, "synchronous_standby_names, si aucune ne doit se perdre")
    return good("Répliques", facts["standbys"] or "aucune réplique attachée")


def _archive(facts: Facts) -> Item:
    if facts["archive_mode"] == "off":
        return doubtful("Archivage WAL", "off", "archive_mode=on, pour revenir à un instant donné (docs/operations.md)")
    return good("Archivage WAL", facts["archive_mode"])


def _clock(facts: Facts) -> Item:
    text = f"{facts['skew']:+.1f} s par rapport à cette machine"
    if abs(facts["skew"]) > SKEW:
        return doubtful("Horloge du serveur", text, "synchroniser les deux par NTP")
    return good("Horloge du serveur", text)


def _role(facts: Facts) -> Item:
    cure = "un rôle de service, voir README.md"
    if facts["superuser"]:
        return doubtful("Rôle de DATABASE_URL", f"{facts['role']} est superutilisateur", cure)
    if facts["forgets"]:
        return doubtful("Rôle de DATABASE_URL", f"{facts['role']} peut effacer la trace des suppressions", cure)
    return good("Rôle de DATABASE_URL", f"{facts['role']}, moindres droits")


def _connections(facts: Facts, pool: int) -> Item:
    text = f"{facts['connections']} possibles, {pool + EXTRA} au plus par processus du service"
    if facts["connections"] < pool + EXTRA:
        return bad("Connexions", text, "réduire DATABASE_POOL_SIZE ou augmenter max_connections")
    return good("Connexions", text)
