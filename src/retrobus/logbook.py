"""Every line that the service can log, one function each; the texts exist nowhere else."""

import logging
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
POSTGRES_READY = "✅ PostgreSQL initialisé - DATABASE_URL valide"
TOGGLE_OFF = "⏭️  LOAD_BACKUP_AT_BOOT=false - aucun backup chargé au démarrage"
UNAVAILABLE_FALLBACK = "PostgreSQL indisponible - fallback mémoire"
UNAVAILABLE = "PostgreSQL indisponible et fallback mémoire désactivé"

_log: Any = structlog.get_logger()


class _ErrorOutput:
    """Standard error as it is now; a line that it does not take (closed, its reader gone) must not cost a request."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Lines go to standard error: for people, or one JSON object each."""
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


def started(version: str, mode: str) -> None:
    """The process is up; Postgres may not be."""
    _log.info("🚌 RétroBus API démarrée", version=version, mode=mode)


def misspelt(name: str, meant: str) -> None:
    """A variable that the service does not read, and the one that was probably meant."""
    _log.warning(f"{name} n'est pas un réglage du service : voulez-vous dire {meant} ?")


def worker_died(pid: int | None, how: str) -> None:
    """A process of `serve --workers` is gone without having been asked to; requests that it served were cut."""
    _log.error("💀 Processus de service mort, remplacé", pid=pid, how=how)


def worker_not_ready(kept: int | None) -> None:
    """SIGHUP: the new process does not serve in time, so the old ones go on."""
    _log.error("💀 Nouveau processus pas prêt à temps, les anciens continuent", kept=kept)


def stopping() -> None:
    """SIGTERM came: /ready says so, running requests finish."""
    _log.info("🛑 Arrêt demandé - les requêtes en cours se terminent")


def postgres_ready(away_seconds: float | None = None) -> None:
    """Postgres answers, at boot or again."""
    _log.info(POSTGRES_READY, **({} if away_seconds is None else {"away_seconds": round(away_seconds, 1)}))


def postgres_lost(reason: str, *, fallback: bool = False) -> None:
    """Postgres stopped answering; from now on data routes say 503, or memory answers them."""
    _log.error(UNAVAILABLE_FALLBACK if fallback else UNAVAILABLE, reason=reason)


def server_read_only(nature: str) -> None:
    """The server that answers is a standby or refuses writes; a better one is looked for every second."""
    _log.warning("🔒 PostgreSQL refuse les écritures - recherche d'un serveur qui les accepte", reason=nature)


def server_writable() -> None:
    """A server that takes writes was found again."""
    _log.info("🔓 PostgreSQL accepte de nouveau les écritures")


def statement_lost(state: str) -> None:
    """A server process does not have the prepared statement that this service made: a pooler is in the way."""
    _log.error("🔀 Requête préparée perdue : un pooler est en travers, DATABASE_STATEMENT_CACHE=0", sqlstate=state)


def commit_unconfirmed() -> None:
    """A synchronous standby did not confirm a COMMIT in time: clients get 503 until one does."""
    _log.error("⏳ COMMIT non confirmé par la réplique synchrone - écritures en 503, lectures servies")


def former_primary(timeline: int, highest: int) -> None:
    """A primary in whose place another was promoted still answers: nothing is read from it, nothing written to it."""
    _log.warning("⛔ Ancien primaire écarté : une bascule a promu un autre serveur", timeline=timeline, highest=highest)


def failover_clean(timeline: int, checked: int) -> None:
    """Another primary leads, and has all that was looked for."""
    _log.info("🔀 Bascule de PostgreSQL - aucune écriture acquittée ne manque", timeline=timeline, checked=checked)


def failover_lost(timeline: int, lost: int, checked: int, examples: list[str]) -> None:
    """Another primary leads, which never received some of the last writes that were acknowledged."""
    _log.error(
        "🔀 La bascule a perdu des écritures acquittées", timeline=timeline, lost=lost, checked=checked, rows=examples
    )


def timeline_not_kept(error: str) -> None:
    """A restarted service would not know the former primary."""
    _log.error("💾 Ligne de temps de PostgreSQL non écrite", error=error)


def backup_not_loaded() -> None:
    """LOAD_BACKUP_AT_BOOT is off."""
    _log.info(TOGGLE_OFF)


def schema_behind(found: str | None, expected: str) -> None:
    """The database is not at the revision that this code expects."""
    _log.error("❌ Schéma de la base à mettre à jour : retrobus db upgrade", found=found, expected=expected)


def elsewhere() -> None:
    """The database was restored or copied, and nobody has said so yet."""
    _log.error("❌ Base restaurée ou copiée : son identité est celle d'une autre, lancez retrobus db repair")


def right_missing(what: str) -> None:
    """The role of DATABASE_URL lacks a right; `what` names it, in our words or in the server's."""
    _log.error("🔑 Il manque un droit au rôle de DATABASE_URL : retrobus db grant", right=what)


def request(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    """One request; reads that went well only at level debug, failures of ours as errors."""
    if status >= 500:
        level = _log.warning if status == 503 else _log.error
    else:
        level = _log.debug if method in {"GET", "HEAD", "OPTIONS"} and status < 400 else _log.info
    level(
        "requête",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        request_id=request_id,
    )


def crashed(error: BaseException, request_id: str) -> None:
    """A bug: the client got 500. The error's text may hold values of a row, so only its place is logged."""
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


def login_throttled() -> None:
    """Somebody tries passwords; who and from where is in no log."""
    _log.warning("🔒 Trop de tentatives de connexion")


def hash_not_kept() -> None:
    """A login went well, its better hash could not be stored: the next login tries again."""
    _log.warning("🔑 Empreinte de mot de passe non renouvelée")


def mirror_changed(resource: str, operation: str, key: str) -> None:
    """A write was acknowledged from memory, while Postgres was away."""
    done = {"insert": "créé", "update": "modifié", "delete": "supprimé"}[operation]
    _log.info(f"🧠 {resource} {done} en mémoire: {key}", resource=resource, operation=operation)


def conflict(resource: str, key: str, operation: str, reason: str) -> None:
    """A journaled write that Postgres could not take: kept in table conflict for an operator to decide."""
    _log.error(
        "⚔️ Conflit à trancher : retrobus resync --list", resource=resource, key=key, operation=operation, reason=reason
    )


def delete_won(resource: str, key: str) -> None:
    """A delete acknowledged in the outage was replayed although psql or another process had changed the row."""
    _log.warning(
        "⚔️ Ligne modifiée entre-temps supprimée au rejeu, gardée : retrobus resync --list --all",
        resource=resource,
        key=key,
    )


def backup_made(name: str) -> None:
    """BACKUP_SCHEDULE: it was time, and the backup is on the disk."""
    _log.info("💾 Backup automatique fait", backup=name)


def backup_waits() -> None:
    """BACKUP_SCHEDULE: another service of this database makes its backup; this one waits for its end."""
    _log.info("💾 Backup automatique : un autre service fait le sien, attente de son tour")


def backup_failed(reason: str) -> None:
    """BACKUP_SCHEDULE: the backup could not be made, or cannot be read back."""
    _log.error("💾 Backup automatique manqué", reason=reason)


def backups_not_thinned(reason: str) -> None:
    """BACKUP_SCHEDULE: the backup is made and verified; older ones could not be removed."""
    _log.warning("💾 Backup automatique fait, anciens backups gardés", reason=reason)


def backup_loaded(name: str) -> None:
    """Postgres does not answer: the mirror holds a backup."""
    _log.info(f"📦 Chargement du backup: {name}", backup=name)


def backup_left_alone() -> None:
    """Postgres answers: it is the truth, and no backup was loaded."""
    _log.info("📦 LOAD_BACKUP_AT_BOOT=true - PostgreSQL répond, aucun backup chargé")


def backup_unreadable(name: str | None, reason: str) -> None:
    """The backup to load, or the choice of it, cannot be read; nothing is loaded in its place."""
    _log.error("📦 Backup illisible, rien n'est chargé", backup=name, reason=reason)


def backup_cannot_serve() -> None:
    """LOAD_BACKUP_AT_BOOT without ENABLE_MEMORY_FALLBACK: nobody is ever served what is loaded."""
    _log.warning("📦 LOAD_BACKUP_AT_BOOT=true sans ENABLE_MEMORY_FALLBACK - un backup chargé ne sera jamais servi")


def toggle_in_production(name: str) -> None:
    """A toggle is on where Postgres alone should speak."""
    _log.warning(f"⚠️  {name}=true en production")


def fallback_started(origin: str, as_of: str | None) -> None:
    """From now on answers come from memory, and say so."""
    _log.warning("🧠 PostgreSQL indisponible - réponses depuis la mémoire", origin=origin, as_of=as_of)


def fallback_ended(applied: int, already: int, conflicts: int) -> None:
    """The journal is in Postgres, which speaks again."""
    _log.info("✅ Retour à PostgreSQL", replayed=applied, already=already, conflicts=conflicts)


def journal_refused(reason: str, entries: int) -> None:
    """A journal that may not be replayed by itself."""
    _log.warning("📓 Journal non rejoué : ses entrées deviennent des conflits", reason=reason, entries=entries)


def journal_failed(error: str) -> None:
    """The disk did not take an entry: the write was refused."""
    _log.error("📓 Journal non écrit, écriture refusée", error=error)


def journal_left(error: str) -> None:
    """The journal is in Postgres and its file could not be removed; it is never replayed twice."""
    _log.error("📓 Journal rejoué, son fichier reste", error=error)


def journal_waits(reason: str) -> None:
    """Postgres answers and does not have the journal yet; the replay goes on, and answers come from memory still."""
    _log.warning("📓 Journal en attente, réponses depuis la mémoire", reason=reason)


def snapshot_failed(error: str, failures: int) -> None:
    """The snapshot could not be written; the one before is still whole."""
    _log.error("💾 Instantané non écrit", error=error, failures=failures)


def file_set_aside(name: str, kept_as: str) -> None:
    """A damaged file was renamed, so that nobody mistakes it for nothing."""
    _log.error("🧯 Fichier endommagé mis de côté", file=name, kept_as=kept_as)


def unreadable_set_aside(name: str, kept_as: str, reason: str) -> None:
    """A link, a folder or a file of another account was renamed, so that nothing writes over it."""
    _log.error("🧯 Fichier illisible mis de côté", file=name, kept_as=kept_as, reason=reason)


def following_lost(error: str) -> None:
    """The connection that reads changes broke; the mirror is filled again when it is back."""
    _log.warning("👂 Suivi des changements interrompu", error=error)
