"""The API reference: what each route takes and answers, in the words of OpenAPI 3.1."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from retrobus.api.reference_parameters import (
    OF_ERRORS,
    REQUEST_ID,
    WRITTEN,
    key_of,
    parameters,
    success_headers,
)
from retrobus.api.reference_schemas import components
from retrobus.http.problems import KINDS

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
    "own": (401, 409, 412, 422, 503),
    "password": (429,),
    "login": (401, 429, 503),
    "local": (403,),
}
"""The errors that each kind of route can answer with, besides those of a body and those that any route may."""


def described(schema: str, *kinds: str, body: str | None = None, filters: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a route's decorator says for the reference: its answers, errors, parameters and body."""
    statuses = {status for kind in kinds for status in STATUSES[kind]} | _ANY | set(_SENT if body else ())
    errors: dict[int | str, dict[str, Any]] = {status: _error(status) for status in sorted(statuses)}
    success = 201 if "create" in kinds else 200
    answers: dict[int | str, dict[str, Any]] = {success: _success(schema, kinds, success)}
    if "one" in kinds and "list" not in kinds:
        headers = success_headers(schema, kinds, 304)
        answers[304] = {"description": "The reader has this version already.", "headers": headers}
    if WRITTEN & set(kinds):
        answers[202] = {
            **_success(schema, kinds, 202),
            "description": "Accepted in fallback mode; see X-Durability.",
        }
    if schema == "Ready":
        answers[503] = {**_success(schema, kinds), "description": "Not ready; the same keys tell why."}
    extra: dict[str, Any] = {"parameters": parameters(schema, kinds, filters)}
    if ({"read", "manage"} | WRITTEN) & set(kinds):
        extra["security"] = [{"bearer": []}]
    if body is not None:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
        extra["requestBody"] = {"required": True, "content": content}
    return {"responses": answers | errors, "openapi_extra": extra}


def _success(schema: str, kinds: tuple[str, ...], status: int = 200) -> dict[str, Any]:
    headers = success_headers(schema, kinds, status)
    media, shape = "application/json", {"$ref": f"#/components/schemas/{schema}"}
    if schema == "Metrics":
        media, shape = "text/plain", {"type": "string"}
    return {"description": "Done.", "headers": headers, "content": {media: {"schema": shape}}}


def _error(status: int) -> dict[str, Any]:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    reference = {"$ref": "#/components/schemas/Problem"}
    examples = {
        kind.code: {"value": {"error": kind.title, "code": kind.code, "status": status, "title": kind.title}}
        for kind in kinds
    }
    content = {media: {"schema": reference, "examples": examples} for media in _MEDIA}
    headers = REQUEST_ID | OF_ERRORS.get(status, {})
    return {"description": " · ".join(kind.title for kind in kinds), "headers": headers, "content": content}


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
        _say_keys(made)
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


def _say_keys(document: dict[str, Any]) -> None:
    """The framework declares a key in a path as any text; ours follow rules."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = key_of(path)
