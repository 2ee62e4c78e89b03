"""The rules about PostgreSQL: what may be wrong with server, schema and content, and the cure of each."""

from retrobus.checklist.judging import error, good, warning
from retrobus.database.revisions import OLDEST_SERVER
from retrobus.model.tables import REVISION

SKEW = 2.0
"""Seconds by which the clocks of service and server may differ: tokens allow 10."""

LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
"""Limits that the service sets when it connects; neither a pooler nor a service without prepared statements does."""

DURABLE = "fsync={fsync}, full_page_writes={full_page_writes}, synchronous_commit={synchronous_commit}"
CLOCK = "{offset} s par rapport à cette machine"
PLACES = "{connections} possibles, {needed} au plus par processus du service"
POOLED = "reconnu, avec DATABASE_STATEMENT_CACHE={statement_cache} : le service refuse de servir"

FIRST = (
    error(
        "Version de PostgreSQL",
        lambda f: f["version"] < OLDEST_SERVER * 10_000,
        "{named}",
        f"PostgreSQL {OLDEST_SERVER} ou plus récent",
    ),
    good("Version de PostgreSQL", "{named}"),
    error(
        "Encodage de la base",
        lambda f: f["encoding"] != "UTF8",
        "{encoding} : les accents s'y perdent",
        "une base créée avec ENCODING 'UTF8' TEMPLATE template0, puis retrobus restore",
    ),
    good("Encodage de la base", "UTF8"),
    error(
        "Droits",
        lambda f: f["lacking"],
        "il manque à {role} : {lacking}",
        "avec le rôle propriétaire : retrobus db grant --role {role}",
    ),
)
"""Told always; the others only if no right is missing."""

SCHEMA = (
    error("Migrations", lambda f: not f["suits"], f"{{revision}} (attendue : {REVISION})", "retrobus db upgrade"),
    good("Migrations", "{revision}"),
)
CONTENTS = (
    error("Administrateur actif", lambda f: not f["admins"], "aucun", "retrobus member create-admin --email …"),
    good("Administrateur actif", "{admins}"),
    warning("Conflits à trancher", lambda f: f["conflicts"], "{conflicts}", "retrobus resync --list"),
    good("Conflits à trancher", "aucun"),
)
SERVER = (
    error(
        "Durabilité",
        lambda f: f["fsync"] != "on" or f["full_page_writes"] != "on",
        f"{DURABLE} : une panne du serveur peut tout perdre",
        "fsync=on, full_page_writes=on",
    ),
    error(
        "Durabilité",
        lambda f: f["synchronous_commit"] == "off",
        f"{DURABLE} : une écriture acquittée peut se perdre",
        "synchronous_commit=on",
    ),
    good("Durabilité", DURABLE),
    error(
        "Répliques",
        lambda f: f["standby"],
        "ce serveur est une réplique : aucune écriture",
        "nommer aussi le primaire dans DATABASE_URL : postgresql://a,b/retrobus",
    ),
    error(
        "Répliques",
        lambda f: f["unconfirmable"],
        "{unconfirmable}",
        "rattacher la réplique (SELECT * FROM pg_stat_replication)",
    ),
    error(
        "Répliques",
        lambda f: f["read_only"],
        "ce serveur est en lecture seule : aucune écriture",
        "ALTER DATABASE … RESET default_transaction_read_only",
    ),
    warning(
        "Répliques",
        lambda f: not f["standbys"] and (f["attached"] or f["servers"] > 1),
        "{asynchronous} : une bascule peut perdre les dernières écritures acquittées",
        "synchronous_standby_names, si aucune ne doit se perdre",
    ),
    good("Répliques", "{replicas}"),
    warning(
        "Archivage WAL",
        lambda f: f["archive_mode"] == "off",
        "off",
        "archive_mode=on, pour revenir à un instant donné",
    ),
    good("Archivage WAL", "{archive_mode}"),
    warning("Horloge du serveur", lambda f: abs(f["skew"]) > SKEW, CLOCK, "synchroniser les deux par NTP"),
    good("Horloge du serveur", CLOCK),
    warning(
        "Rôle de DATABASE_URL",
        lambda f: f["superuser"],
        "{role} est superutilisateur",
        "un rôle de service, sans autre droit",
    ),
    warning(
        "Rôle de DATABASE_URL",
        lambda f: f["forgets"],
        "{role} peut effacer la trace des suppressions",
        "un rôle de service, sans autre droit",
    ),
    good("Rôle de DATABASE_URL", "{role}, moindres droits"),
    error(
        "Connexions",
        lambda f: f["connections"] < f["needed"],
        PLACES,
        "réduire DATABASE_POOL_SIZE ou augmenter max_connections",
    ),
    good("Connexions", PLACES),
    error(
        "Pooler",
        lambda f: f["pooled"] and f["statement_cache"],
        POOLED,
        "DATABASE_STATEMENT_CACHE=0, ou une adresse directe dans DATABASE_URL",
    ),
    good("Pooler", "{pooler}"),
)
SESSIONS = (
    warning(
        "Limites de session", lambda f: f["unlimited"], "sans limite pour les lectures : {unlimited}", "{set_limits}"
    ),
    good("Limites de session", ", ".join(f"{name}={{{name}}}" for name in LIMITS)),
)
"""Told if the service keeps no prepared statements: then the limits of its reads are those of its role."""

REPAIR = "retrobus db repair"

REPAIRS = (
    error(
        "Identité de la base",
        lambda f: not f["at_home"],
        "celle d'une autre base : celle-ci a été restaurée ou copiée",
        REPAIR,
    ),
    good("Identité de la base", "donnée à cette base"),
    error("Déclencheurs", lambda f: f["triggers"], "{triggers}", REPAIR),
    good("Déclencheurs", "présents et actifs"),
    warning(
        "Séquences",
        lambda f: f["sequences"],
        "derrière leur table (la prochaine écriture qui s'y heurte les avance) : {sequences}",
        REPAIR,
    ),
    good("Séquences", "devant leurs tables"),
    error("Lignes", lambda f: f["orphans"], "événements d'un véhicule absent : {orphans}", REPAIR),
    error(
        "Lignes", lambda f: f["stale"], "écrites sans les déclencheurs, servies dans un état ancien : {stale}", REPAIR
    ),
    good("Lignes", "servies telles qu'elles sont"),
    error("Suppressions", lambda f: f["returned"], "revenus sans être créés : {returned}", f"{REPAIR} --dry-run"),
    good("Suppressions", "aucune ligne supprimée n'est revenue"),
)
