"""The API reference: what each route takes and answers, in the words of OpenAPI 3.1."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from retrobus import tables
from retrobus.api.reference_schemas import components
from retrobus.api.service import PAGE
from retrobus.problems import KINDS

_ANY = {400, 431, 500}
_SENT = (408, 413, 415, 422)
_WRITE = (401, 403, 409, 422, 503)
STATUSES: dict[str, tuple[int, ...]] = {
    "list": (422, 503),
    "one": (404, 503),
    "read": (401, 503),
    "manage": (401, 403, 503),
    "create": _WRITE,
    "update": (*_WRITE, *_SENT, 404, 412),
    "delete": (*_WRITE, 404, 412),
    "own": (401, 409, 412, 429, 503),
    "login": (401, 429, 503),
    "local": (403,),
}
"""The errors that each kind of route can answer with, besides those of a body and those that any route may."""

FILTERS: dict[str, dict[str, Any]] = {
    "from": {"type": "string", "format": "date-time", "description": "First instant, inclusive."},
    "to": {"type": "string", "format": "date-time", "description": "Last instant, exclusive."},
    "isPublic": {"type": "boolean"},
    "membershipStatus": {"type": "string", "enum": list(tables.MEMBERSHIP_STATUSES)},
}
PAGING = {
    "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE},
    "cursor": {"type": "string", "description": "`nextCursor` of the page before."},
}
WRITE_HEADERS = {
    "Idempotency-Key": "Repeating the request with the same key gives the one true answer, for 24 hours.",
    "If-Match": "The ETag that the row must still have, else 412.",
}


def described(schema: str, *kinds: str, body: str | None = None, filters: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a route's decorator says for the reference: its answers, errors, parameters and body."""
    statuses = {status for kind in kinds for status in STATUSES[kind]} | _ANY | set(_SENT if body else ())
    errors: dict[int | str, dict[str, Any]] = {status: _error(status) for status in sorted(statuses)}
    success = 201 if "create" in kinds else 200
    answers: dict[int | str, dict[str, Any]] = {success: _success(schema, kinds)}
    if "one" in kinds and "list" not in kinds:
        answers[304] = {"description": "The reader has this version already."}
    if {"create", "update", "delete", "own"} & set(kinds):
        answers[202] = {
            **_success(schema, kinds),
            "description": "Accepted in fallback mode; see X-Durability.",
        }
    if schema == "Ready":
        answers[503] = {**_success(schema, kinds), "description": "Not ready; the same keys tell why."}
    extra: dict[str, Any] = {"parameters": _parameters(kinds, filters)}
    if {"read", "manage", "create", "update", "delete", "own"} & set(kinds):
        extra["security"] = [{"bearer": []}]
    if body is not None:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
        extra["requestBody"] = {"required": True, "content": content}
    return {"responses": answers | errors, "openapi_extra": extra}


def _parameters(kinds: tuple[str, ...], filters: tuple[str, ...]) -> list[dict[str, Any]]:
    queries: dict[str, Any] = {name: FILTERS.get(name, {"type": "string"}) for name in filters}
    queries |= PAGING if "list" in kinds else {}
    found = [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in queries.items()]
    written = {"create", "update", "delete", "own"} & set(kinds)
    for name, text in WRITE_HEADERS.items() if written else ():
        if not ("create" in kinds and name == "If-Match"):
            found.append(_header(name, text))
    if "one" in kinds and "list" not in kinds:
        found.append(_header("If-None-Match", "The ETag that the reader has: 304 if it is still the row's."))
    return found


def _header(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": {"type": "string"},
    }


def _success(schema: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    if schema == "Metrics":
        return {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    headers: dict[str, Any] = {"X-Request-Id": {"schema": {"type": "string"}}}
    if schema not in {"Health", "Ready", "Session"}:
        source = {"type": "string", "enum": ["postgres", "memory", "token"]}
        headers["X-Data-Source"] = {"schema": source}
    if {"one", "create", "update", "own"} & set(kinds) and "list" not in kinds and schema != "Done":
        headers["ETag"] = {"schema": {"type": "string"}}
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {
        "description": "Done.",
        "headers": headers,
        "content": {"application/json": {"schema": reference}},
    }


def _error(status: int) -> dict[str, Any]:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    reference = {"$ref": "#/components/schemas/Problem"}
    examples = {
        kind.code: {"value": {"error": kind.title, "code": kind.code, "status": status, "title": kind.title}}
        for kind in kinds
    }
    content = {media: {"schema": reference, "examples": examples} for media in _MEDIA}
    return {"description": " · ".join(kind.title for kind in kinds), "content": content}


_MEDIA = ("application/json", "application/problem+json")


def openapi(app: FastAPI) -> dict[str, Any]:
    """The document, made once per application."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _drop_foreign_errors(made)
        made["components"] = {"schemas": components(), "securitySchemes": {"bearer": _BEARER}}
        app.openapi_schema = made
    return app.openapi_schema


_BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From /api/auth/login."}


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """The framework declares a 422 of its own form on routes with parameters; ours never answer it."""
    for path in document["paths"].values():
        for operation in path.values():
            content = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if content.get("schema", {}).get("$ref", "").endswith("HTTPValidationError"):
                del operation["responses"]["422"]
