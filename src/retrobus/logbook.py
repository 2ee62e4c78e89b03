"""Every line that the service can log, as a table: level, French text, fields. The texts exist nowhere else."""

import logging
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_log: Any = structlog.get_logger()
_lowest = logging.DEBUG
"""The level below which a line is not written."""


class _ErrorOutput:
    """Standard error as it is now. A line that it refuses (closed, its reader gone) must not cost a request."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Lines go to standard error: for people, or one JSON object each."""
    global _lowest  # noqa: PLW0603 - the level belongs to the process, as the library's own configuration does
    _lowest = _LEVELS[level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        ending: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        plain = structlog.dev.plain_traceback  # never the values of local variables: they hold personal data
        ending = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=shared + ending,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _ErrorOutput())),
        cache_logger_on_first_use=False,
    )


class Line:
    """One line of the log: its level, its text, and the names of its fields.

    For example `statement_lost("26000")` writes the text of `statement_lost` with `sqlstate="26000"`. A test compares
    every call with the fields.
    """

    def __init__(self, level: Level, text: str, *fields: str) -> None:
        self.level, self.text, self.fields = level, text, fields

    def __call__(self, *values: object) -> None:
        """Writes the line with one value for each field."""
        getattr(_log, self.level)(self.text, **dict(zip(self.fields, values, strict=True)))


started = Line("info", "🚌 RétroBus API démarrée", "version", "mode")
"""The process is up; PostgreSQL may not be."""
listening = Line("info", "🚏 Service à l'écoute", "address")
"""The process takes connections at this address."""
stopping = Line("info", "🛑 Arrêt demandé - les requêtes en cours se terminent")
"""SIGTERM came: /ready says so, running requests finish."""
worker_died = Line("error", "💀 Processus de service mort, remplacé", "pid", "how", "pause")
"""A process of `serve --workers` ended by itself; the requests that it served were cut."""
worker_not_ready = Line("error", "💀 Nouveau processus pas prêt à temps, les anciens continuent", "kept")
"""SIGHUP: the new process does not serve in time, so the old ones go on."""

server_read_only = Line(
    "warning", "🔒 PostgreSQL refuse les écritures - recherche d'un serveur qui les accepte", "reason"
)
"""The server that answers is a standby or refuses writes; the service looks for a better one every second."""
server_writable = Line("info", "🔓 PostgreSQL accepte de nouveau les écritures")
"""The service found a server that takes writes again."""
statement_lost = Line(
    "error", "🔀 Requête préparée perdue : un pooler est en travers, DATABASE_STATEMENT_CACHE=0", "sqlstate"
)
"""A server process does not have the prepared statement that this service made: a pooler is in the way."""
commit_unconfirmed = Line(
    "error", "⏳ COMMIT non confirmé par la réplique synchrone - écritures en 503, lectures servies"
)
"""A synchronous standby did not confirm a COMMIT in time: clients get 503 until one does."""
former_primary = Line(
    "warning", "⛔ Ancien primaire écarté : une bascule a promu un autre serveur", "timeline", "highest"
)
"""A primary in whose place another was promoted still answers: the service neither reads nor writes there."""
failover_clean = Line("info", "🔀 Bascule de PostgreSQL - aucune écriture acquittée ne manque", "timeline", "checked")
"""Another primary leads, and has every write that was looked for."""
failover_lost = Line("error", "🔀 La bascule a perdu des écritures acquittées", "timeline", "lost", "checked", "rows")
"""Another primary leads, which never received some of the last writes that were acknowledged."""
timeline_not_kept = Line("error", "💾 Ligne de temps de PostgreSQL non écrite", "error")
"""After a restart the service would not know the former primary."""
schema_behind = Line("error", "❌ Schéma de la base à mettre à jour : retrobus db upgrade", "found", "expected")
"""The database is not at the revision that this code expects."""
elsewhere = Line("error", "❌ Base restaurée ou copiée : son identité est celle d'une autre, lancez retrobus db repair")
"""The database was restored or copied, and the operator has not run `db repair` yet."""
right_missing = Line("error", "🔑 Il manque un droit au rôle de DATABASE_URL : retrobus db grant", "right")
"""The role of DATABASE_URL lacks a right; the field names it, in our words or in the server's."""

login_throttled = Line("warning", "🔒 Trop de tentatives de connexion", "account", "address")
"""A client tries passwords. The account is a short hash: with the table of members an operator finds whose it is."""
hash_not_kept = Line("warning", "🔑 Empreinte de mot de passe non renouvelée")
"""A login went well, its better hash could not be stored: the next login tries again."""

backup_not_loaded = Line("info", "⏭️  LOAD_BACKUP_AT_BOOT=false - aucun backup chargé au démarrage")
"""LOAD_BACKUP_AT_BOOT is off."""
backup_left_alone = Line("info", "📦 LOAD_BACKUP_AT_BOOT=true - PostgreSQL répond, aucun backup chargé")
"""PostgreSQL answers: it is the truth, and no backup was loaded."""
backup_unreadable = Line("error", "📦 Backup illisible, rien n'est chargé", "backup", "reason")
"""The backup to load, or the choice of it, cannot be read; nothing is loaded in its place."""
backup_cannot_serve = Line(
    "warning", "📦 LOAD_BACKUP_AT_BOOT=true sans ENABLE_MEMORY_FALLBACK - un backup chargé ne sera jamais servi"
)
"""LOAD_BACKUP_AT_BOOT without ENABLE_MEMORY_FALLBACK: no client is ever served the loaded backup."""
backup_made = Line("info", "💾 Backup automatique fait", "backup")
"""BACKUP_SCHEDULE: the backup of this time of day is on the disk."""
backup_waits = Line("info", "💾 Backup automatique : un autre service fait le sien, attente de son tour")
"""BACKUP_SCHEDULE: another service of this database makes its backup; this one waits for its end."""
backup_failed = Line("error", "💾 Backup automatique manqué", "reason")
"""BACKUP_SCHEDULE: the backup could not be made, or cannot be read back."""
backups_removed = Line("info", "🗑️  Anciens backups supprimés", "backups")
"""BACKUP_SCHEDULE: these backups are older than BACKUP_KEEP or BACKUP_KEEP_SAFETY_DAYS allow."""
backup_index_healed = Line("warning", "📦 Backups supprimés à la main, retirés de index.json", "backups")
"""The index listed these backups, whose folders are gone from the disk; now index and folder agree."""
backups_not_thinned = Line("warning", "💾 Backup automatique fait, anciens backups gardés", "reason")
"""BACKUP_SCHEDULE: the backup is made and verified; older ones could not be removed."""

fallback_started = Line("warning", "🧠 PostgreSQL indisponible - réponses depuis la mémoire", "origin", "as_of")
"""From now on answers come from memory, and say so."""
fallback_ended = Line("info", "✅ Retour à PostgreSQL", "replayed", "already", "conflicts")
"""The journal is in PostgreSQL, which answers again."""
conflict = Line("error", "⚔️ Conflit à trancher : retrobus resync --list", "resource", "key", "operation", "reason")
"""PostgreSQL could not take a journaled write: table `conflict` keeps it until an operator decides."""
delete_won = Line(
    "warning",
    "⚔️ Ligne modifiée entre-temps supprimée au rejeu, gardée : retrobus resync --list --all",
    "resource",
    "key",
)
"""A delete acknowledged in the outage was replayed although psql or another process had changed the row."""
journal_refused = Line("warning", "📓 Journal non rejoué : ses entrées deviennent des conflits", "reason", "entries")
"""The service must not replay this journal by itself."""
journal_failed = Line("error", "📓 Journal non écrit, écriture refusée", "error")
"""The disk did not take an entry: the write was refused."""
journal_left = Line("error", "📓 Journal rejoué, son fichier reste", "error")
"""The journal is in PostgreSQL and its file could not be removed; it is never replayed twice."""
journal_waits = Line("warning", "📓 Journal en attente, réponses depuis la mémoire", "reason")
"""PostgreSQL answers and does not have the journal yet; the replay goes on, and answers still come from memory."""
snapshot_failed = Line("error", "💾 Instantané non écrit", "error", "failures")
"""The snapshot could not be written; the one before is still whole."""
file_set_aside = Line("error", "🧯 Fichier endommagé mis de côté", "file", "kept_as")
"""A damaged file was renamed, so that no operator takes it for an absent one."""
unreadable_set_aside = Line("error", "🧯 Fichier illisible mis de côté", "file", "kept_as", "reason")
"""A link, a folder or a file of another account was renamed, so that nothing writes over it."""
following_lost = Line("warning", "👂 Suivi des changements interrompu", "error")
"""The connection that reads changes broke; the mirror is filled again when it is back."""

POSTGRES_READY = "✅ PostgreSQL initialisé - DATABASE_URL valide"
UNAVAILABLE_FALLBACK = "PostgreSQL indisponible - fallback mémoire"
UNAVAILABLE = "PostgreSQL indisponible et fallback mémoire désactivé"


def postgres_ready(away_seconds: float | None = None) -> None:
    """PostgreSQL answers, at boot or again."""
    _log.info(POSTGRES_READY, **({} if away_seconds is None else {"away_seconds": round(away_seconds, 1)}))


def postgres_lost(reason: str, *, fallback: bool = False) -> None:
    """PostgreSQL stopped answering; from now on data routes say 503, or memory answers them."""
    _log.error(UNAVAILABLE_FALLBACK if fallback else UNAVAILABLE, reason=reason)


def misspelt(name: str, meant: str) -> None:
    """The environment has a variable that the service does not read, and that resembles one that it reads."""
    _log.warning(f"{name} n'est pas un réglage du service : voulez-vous dire {meant} ?")


def toggle_in_production(name: str) -> None:
    """A toggle is on in production, where answers should come from PostgreSQL alone."""
    _log.warning(f"⚠️  {name}=true en production")


def backup_loaded(name: str) -> None:
    """PostgreSQL does not answer: the mirror holds a backup."""
    _log.info(f"📦 Chargement du backup: {name}", backup=name)


def mirror_changed(resource: str, operation: str, key: str) -> None:
    """A write was acknowledged from memory, while PostgreSQL was away."""
    done = {"insert": "créé", "update": "modifié", "delete": "supprimé"}[operation]
    _log.info(f"🧠 {resource} {done} en mémoire: {key}", resource=resource, operation=operation)


def request(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """One request; reads that went well only at level debug, failures of ours as errors."""
    if status >= 500:
        level: Level = "warning" if status == 503 else "error"
    else:
        level = "debug" if method in {"GET", "HEAD", "OPTIONS"} and status < 400 else "info"
    if _LEVELS[level] < _lowest:
        return  # at once: the library would first build a logger
    getattr(_log, level)(
        "requête", method=method, route=route, status=status, ms=round(seconds * 1000, 1), request_id=request_id
    )


def crashed(error: BaseException, request_id: str) -> None:
    """A bug: the client got 500. The error's text may hold values of a row, so the line tells its kind and place."""
    _log.error("💥 Erreur interne", error=type(error).__name__, where=_where(error), request_id=request_id)


def background_failed(task: str, error: Exception | None, pause: float) -> None:
    """A background task ended, with an error or without; it is started again after `pause` seconds."""
    kind, where = ("", "") if error is None else (type(error).__name__, _where(error))
    _log.error("💥 Tâche de fond interrompue, relancée", task=task, error=kind, where=where, pause=pause)


def _where(error: BaseException) -> str:
    """The innermost places of an error, the last one first."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join(reversed(frames[-6:]))
