"""Every error that the service answers with: a table of kinds, a table of the store's errors, and their one form."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from retrobus import logbook
from retrobus.model.names import camel
from retrobus.store import errors
from retrobus.store.contract import Origin
from retrobus.words import duration

TYPE_BASE = "urn:retrobus:error:"
PROBLEM_JSON = "application/problem+json"
KEY_REUSED = "cette clé a servi à une autre requête, prenez-en une nouvelle."
IN_PROGRESS = "la même requête est encore en cours, répétez dans une seconde."


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What all errors with one code share."""

    status: int
    code: str
    title: str


KINDS = {
    code: ErrorKind(status, code, title)
    for status, code, title in (
        (400, "bad_request", "Requête mal formée"),
        (400, "malformed_json", "Le corps n'est pas un JSON valide"),
        (400, "no_known_field", "Le corps ne contient aucun champ connu"),
        (401, "unauthenticated", "Jeton absent, invalide ou expiré"),
        (401, "login_failed", "Échec de connexion : identifiants invalides"),
        (403, "forbidden", "Droits insuffisants"),
        (404, "not_found", "Ressource introuvable"),
        (404, "unusable_image", "Cette image ne peut pas être servie"),
        (404, "unknown_route", "Cette adresse n'existe pas"),
        (405, "method_not_allowed", "Méthode non prévue à cette adresse"),
        (408, "body_timeout", "Le corps de la requête n'est pas arrivé à temps"),
        (409, "conflict", "Conflit avec l'état actuel"),
        (409, "duplicate", "Cette valeur est déjà prise"),
        (409, "already_settled", "Ce conflit est déjà tranché"),
        (409, "backup_in_progress", "Un backup ou une restauration est en cours"),
        (409, "request_in_progress", "La même requête est encore en cours"),
        (410, "resync_required", "Ce curseur ne vaut plus : oubliez tout et recommencez sans curseur"),
        (412, "precondition_failed", "La ressource a changé depuis sa lecture"),
        (413, "body_too_large", "Le corps de la requête est trop grand"),
        (415, "unsupported_media_type", "Type de contenu non pris en charge"),
        (422, "invalid", "Valeurs refusées"),
        (422, "idempotency_key_reused", "Cette Idempotency-Key a servi à une autre requête"),
        (429, "too_many_attempts", "Trop de tentatives, réessayez plus tard"),
        (431, "headers_too_large", "Les en-têtes de la requête sont trop grands"),
        (500, "internal_error", "Erreur interne"),
        (503, "database_unavailable", logbook.UNAVAILABLE),
        (503, "memory_unavailable", "PostgreSQL indisponible et la mémoire ne peut pas répondre"),
        (503, "database_busy", "PostgreSQL est occupé, réessayez"),
        (503, "database_read_only", "PostgreSQL refuse les écritures, les lectures continuent"),
        (503, "outcome_unknown", "Le résultat de l'écriture est inconnu : relisez, ou répétez avec la même clé"),
        (503, "journal_unavailable", "Le journal ne peut pas être écrit : rien n'a été fait"),
        (503, "backup_failed", "Le backup n'a pas été fait"),
        (503, "backups_unreadable", "La liste des backups est illisible"),
        (503, "too_many_streams", "Trop de suivis sont ouverts : réessayez plus tard"),
        (503, "too_many_exports", "Trop de fichiers sont en préparation : réessayez plus tard"),
        (503, "no_room", "Le service n'a plus de place pour préparer ce fichier"),
        (503, "database_rights", "Il manque un droit au service dans PostgreSQL : retrobus db grant"),
        (503, "schema_outdated", "Le schéma de la base n'est pas à jour : retrobus db upgrade"),
        (503, "statement_lost", "Un pooler perd les requêtes préparées : DATABASE_STATEMENT_CACHE=0"),
    )
}


@dataclass(eq=False)
class Problem(Exception):
    """An error answer: the code of its kind, and what is particular to this one.

    `outcome` says of a write whether it was applied; answers to reads leave it out.
    """

    code: str
    detail: str | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None

    @property
    def kind(self) -> ErrorKind:
        """The kind of its code."""
        return KINDS[self.code]


def invalid(*errors: tuple[str, str]) -> Problem:
    """422 with the fields, by wire name, and what is wrong with each."""
    listed = [{"field": name, "message": message} for name, message in errors]
    said = (f"{name} : {message}" if name else message for name, message in errors)
    return Problem("invalid", " ; ".join(said), listed)


def unauthenticated(detail: str | None = None, code: str = "unauthenticated") -> Problem:
    """401. Clients log out on it: no other error may have this status."""
    return Problem(code, detail, headers={"WWW-Authenticate": "Bearer"})


def not_allowed(methods: str) -> Problem:
    """405 with the methods that the address takes, in the body and in `Allow`."""
    return Problem("method_not_allowed", f"Méthodes prévues à cette adresse : {methods}.", headers={"Allow": methods})


def too_many_attempts(wait: float) -> Problem:
    """429 with the time to wait, in words and in `Retry-After`."""
    headers = {"Retry-After": str(int(wait) + 1)}
    return Problem("too_many_attempts", f"Trop de tentatives : réessayez dans {duration(wait)}.", headers=headers)


def _later(code: str, outcome: str) -> Problem:
    return Problem(code, headers={"Retry-After": "30" if code == "database_read_only" else "1"}, outcome=outcome)


def _conflict(error: errors.Conflict) -> Problem:
    code, name = "conflict" if error.field == "role" else "duplicate", camel(error.field or "")
    if not name:
        return Problem(code, str(error))
    return Problem(code, f"{name} : {error}", [{"field": name, "message": str(error)}])


def _key(code: str, message: str, headers: dict[str, str] | None = None) -> Problem:
    """A refusal because of the Idempotency-Key: the header is named like a field."""
    errors = [{"field": "Idempotency-Key", "message": message}]
    return Problem(code, f"Idempotency-Key : {message}", errors, headers or {})


def _busy(error: errors.Busy) -> Problem:
    return _later("database_busy" if error.outcome == "not_applied" else "outcome_unknown", error.outcome)


_ANSWERS: dict[type[errors.StoreError], Callable[[Any], Problem]] = {
    errors.Unauthenticated: lambda _: unauthenticated("Ce jeton n'est plus valable, reconnectez-vous."),
    errors.Forbidden: lambda error: Problem("forbidden", str(error) or None),
    errors.NotFound: lambda _: Problem("not_found"),
    errors.Conflict: _conflict,
    errors.Stale: lambda _: Problem("precondition_failed"),
    errors.KeyReused: lambda _: _key("idempotency_key_reused", KEY_REUSED),
    errors.InProgress: lambda _: _key("request_in_progress", IN_PROGRESS, {"Retry-After": "1"}),
    errors.Invalid: lambda error: invalid(*((camel(item.field), item.message) for item in error.errors)),
    errors.Unavailable: lambda error: _later("database_unavailable", error.outcome),
    errors.NoAnswer: lambda error: _later("memory_unavailable", error.outcome),
    errors.Busy: _busy,
    errors.ReadOnly: lambda error: _later("database_read_only", error.outcome),
    errors.JournalFailed: lambda _: _later("journal_unavailable", "not_applied"),
    errors.MissingRight: lambda _: _later("database_rights", "not_applied"),
    errors.SchemaOutdated: lambda _: _later("schema_outdated", "not_applied"),
    errors.Resync: lambda _: Problem("resync_required"),
    errors.TooManyStreams: lambda _: Problem("too_many_streams", headers={"Retry-After": "10"}),
    errors.TooManyExports: lambda _: Problem("too_many_exports", headers={"Retry-After": "10"}),
    errors.NoRoom: lambda _: Problem("no_room", headers={"Retry-After": "60"}),
    errors.StatementLost: lambda _: _later("statement_lost", "not_applied"),
}
"""The answer to each error of the store."""


def from_store(error: errors.StoreError) -> Problem:
    """The answer to an error of the store; its headers say so if memory found the error."""
    problem = _ANSWERS[type(error)](error)
    if error.origin is not None:
        problem.headers |= origin_headers(error.origin)
    return problem


def origin_headers(origin: Origin) -> dict[str, str]:
    """Where an answer comes from: without them, a client would take old data from memory for present ones."""
    headers: dict[str, str] = {"X-Data-Source": origin.source}
    if origin.as_of is not None:
        headers["X-Data-As-Of"] = origin.as_of
    if origin.origin is not None:
        headers["X-Data-Origin"] = origin.origin
    return headers


def answer(problem: Problem, scope: Scope) -> Response:
    """The one form of every error, as `problem+json` if the client of this request asks for it."""
    kind = problem.kind
    body: dict[str, object] = {
        "error": kind.title if kind.code in {"database_unavailable", "login_failed"} else problem.detail or kind.title,
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "type": TYPE_BASE + kind.code,
        "detail": problem.detail or kind.title,
        "requestId": scope["state"]["request_id"],
    }
    if kind.status == 422 or problem.errors:
        body["errors"] = problem.errors
    if problem.outcome is not None and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
        body["outcome"] = problem.outcome
    accepted = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    media = PROBLEM_JSON if PROBLEM_JSON in accepted else "application/json"
    headers = problem.headers | {"Cache-Control": "no-store"}
    return Response(json_line(body), kind.status, headers, media)


def json_line(value: object) -> str:
    """A small JSON body. It ends its line, so that a terminal's prompt does not stand behind it."""
    return json.dumps(value, ensure_ascii=False) + "\n"
