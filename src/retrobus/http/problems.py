"""Every error that the service answers with, and the one function that writes them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

from retrobus import logbook
from retrobus.model.names import camel
from retrobus.store import contract

TYPE_BASE = "urn:retrobus:error:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of error: what never changes about it."""

    status: int
    code: str
    title: str


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind(400, "bad_request", "Requête mal formée"),
        Kind(400, "malformed_json", "Le corps n'est pas un JSON valide"),
        Kind(400, "no_known_field", "Le corps ne contient aucun champ connu"),
        Kind(401, "unauthenticated", "Jeton absent, invalide ou expiré"),
        Kind(401, "login_failed", "Échec de connexion : identifiants invalides"),
        Kind(403, "forbidden", "Droits insuffisants"),
        Kind(404, "not_found", "Ressource introuvable"),
        Kind(404, "unknown_route", "Cette adresse n'existe pas"),
        Kind(405, "method_not_allowed", "Méthode non prévue à cette adresse"),
        Kind(408, "body_timeout", "Le corps de la requête n'est pas arrivé à temps"),
        Kind(409, "conflict", "Conflit avec l'état actuel"),
        Kind(409, "duplicate", "Cette valeur est déjà prise"),
        Kind(409, "request_in_progress", "La même requête est encore en cours"),
        Kind(412, "precondition_failed", "La ressource a changé depuis sa lecture"),
        Kind(413, "body_too_large", "Le corps de la requête est trop grand"),
        Kind(415, "unsupported_media_type", "Type de contenu non pris en charge"),
        Kind(422, "invalid", "Valeurs refusées"),
        Kind(422, "idempotency_key_reused", "Cette Idempotency-Key a servi à une autre requête"),
        Kind(429, "too_many_attempts", "Trop de tentatives, réessayez plus tard"),
        Kind(431, "headers_too_large", "Les en-têtes de la requête sont trop grands"),
        Kind(500, "internal_error", "Erreur interne"),
        Kind(503, "database_unavailable", logbook.UNAVAILABLE),
        Kind(503, "memory_unavailable", "PostgreSQL indisponible et la mémoire ne peut pas répondre"),
        Kind(503, "database_busy", "PostgreSQL est occupé, réessayez"),
        Kind(503, "database_read_only", "PostgreSQL refuse les écritures, les lectures continuent"),
        Kind(
            503,
            "outcome_unknown",
            "Le résultat de l'écriture est inconnu : relisez, ou répétez avec la même clé",
        ),
        Kind(503, "journal_unavailable", "Le journal ne peut pas être écrit : rien n'a été fait"),
        Kind(503, "database_rights", "Il manque un droit au service dans PostgreSQL : retrobus db grant"),
        Kind(503, "schema_outdated", "Le schéma de la base n'est pas à jour : retrobus db upgrade"),
        Kind(503, "statement_lost", "Un pooler perd les requêtes préparées : DATABASE_STATEMENT_CACHE=0"),
    )
}


@dataclass(eq=False)
class Problem(Exception):
    """An error answer: its kind by code, and what is particular to this one."""

    code: str
    detail: str | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None

    @property
    def kind(self) -> Kind:
        """What never changes about it."""
        return KINDS[self.code]


def invalid(*errors: tuple[str, str]) -> Problem:
    """422 with the fields, by wire name, and what is wrong with each."""
    listed = [{"field": name, "message": message} for name, message in errors]
    return Problem("invalid", "; ".join(f"{name} : {message}" for name, message in errors), listed)


def from_store(error: contract.StoreError) -> Problem:
    """What a store's error is over HTTP; memory's say that they are its."""
    problem = _ANSWERS[type(error)](error)
    if error.origin is not None:
        problem.headers |= origin_headers(error.origin)
    return problem


def origin_headers(origin: contract.Origin) -> dict[str, str]:
    """Where an answer comes from: nobody is served old data without being told."""
    headers: dict[str, str] = {"X-Data-Source": origin.source}
    if origin.as_of is not None:
        headers["X-Data-As-Of"] = origin.as_of
    if origin.origin is not None:
        headers["X-Data-Origin"] = origin.origin
    return headers


def _forbidden(error: Any) -> Problem:
    return Problem("forbidden", str(error) or None)


def _conflict(error: Any) -> Problem:
    errors = [{"field": camel(error.field), "message": str(error)}] if error.field else []
    return Problem("conflict" if error.field == "role" else "duplicate", str(error), errors)


def _busy(error: Any) -> Problem:
    return _later("database_busy" if error.outcome == "not_applied" else "outcome_unknown", error.outcome)


def unauthenticated(detail: str | None = None, code: str = "unauthenticated") -> Problem:
    """401, the only one of its kind: clients log out on it."""
    return Problem(code, detail, headers={"WWW-Authenticate": "Bearer"})


def _later(code: str, outcome: str) -> Problem:
    return Problem(code, headers={"Retry-After": "1" if code != "database_read_only" else "30"}, outcome=outcome)


def answer(problem: Problem, *, request_id: str, accept: str, method: str) -> Response:
    """The one error body; `problem+json` if the client asks for it, `outcome` on writes only."""
    kind = problem.kind
    body: dict[str, object] = {
        "error": kind.title if kind.code in {"database_unavailable", "login_failed"} else problem.detail or kind.title,
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "type": TYPE_BASE + kind.code,
        "detail": problem.detail or kind.title,
        "requestId": request_id,
    }
    if kind.status == 422 or problem.errors:
        body["errors"] = problem.errors
    if problem.outcome is not None and method not in {"GET", "HEAD", "OPTIONS"}:
        body["outcome"] = problem.outcome
    media = "application/problem+json" if "application/problem+json" in accept else "application/json"
    return Response(json.dumps(body, ensure_ascii=False), kind.status, _sendable(problem.headers), media)


def problem_headers(scope: Scope) -> dict[str, Any]:
    """What an error answer needs to know of its request."""
    headers = dict(scope["headers"])
    return {
        "request_id": scope["state"]["request_id"],
        "accept": headers.get(b"accept", b"").decode("latin-1"),
        "method": scope["method"],
    }


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "Cache-Control": "no-store"}


_ANSWERS: dict[type[contract.StoreError], Callable[[Any], Problem]] = {
    contract.Unauthenticated: lambda _: unauthenticated("Ce jeton n'est plus valable, reconnectez-vous."),
    contract.Forbidden: _forbidden,
    contract.NotFound: lambda _: Problem("not_found"),
    contract.Conflict: _conflict,
    contract.Stale: lambda _: Problem("precondition_failed"),
    contract.KeyReused: lambda _: Problem("idempotency_key_reused"),
    contract.InProgress: lambda _: Problem("request_in_progress", headers={"Retry-After": "1"}),
    contract.Invalid: lambda error: invalid(*((camel(item.field), item.message) for item in error.errors)),
    contract.Unavailable: lambda error: _later("database_unavailable", error.outcome),
    contract.NoAnswer: lambda error: _later("memory_unavailable", error.outcome),
    contract.Busy: _busy,
    contract.ReadOnly: lambda error: _later("database_read_only", error.outcome),
    contract.JournalFailed: lambda _: _later("journal_unavailable", "not_applied"),
    contract.MissingRight: lambda _: _later("database_rights", "not_applied"),
    contract.SchemaOutdated: lambda _: _later("schema_outdated", "not_applied"),
    contract.StatementLost: lambda _: _later("statement_lost", "not_applied"),
}
