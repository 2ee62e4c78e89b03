"""The OpenAPI 3.1 document: what each declared route takes and answers."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from retrobus.api.answers import REQUEST_ID, header
from retrobus.api.conditions import IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH
from retrobus.api.declaration import Route
from retrobus.api.queries import PAGING
from retrobus.api.reference_hints import filter_hints
from retrobus.api.reference_schemas import components
from retrobus.api.reference_shapes import parameter, reference_to
from retrobus.api.service import Limits
from retrobus.http.problems import KINDS

Described = dict[str, Any]
MEDIA = ("application/json", "application/problem+json")
OF_ANY = (400, 431, 500)
OF_A_BODY = (408, 413, 415, 422)
OF_A_WRITE = (409, 422)
_LATER = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}}
_BEARER = {"WWW-Authenticate": header("How to prove who one is.", always=True, const="Bearer")}
HEADERS_OF_ERRORS: dict[int, Described] = {401: _BEARER, 429: _LATER, 503: _LATER}


def operation(route: Route, keys: dict[str, Described], prefix: str) -> Described:
    """What the framework is told of a route, whose path begins with `prefix`, besides its address and its name."""
    extra: Described = {"parameters": _parameters(route, keys, prefix)}
    if route.rights.errors:
        extra["security"] = [{"bearer": []}]
    if route.body is not None and route.body.component is not None:
        content = {"application/json": {"schema": reference_to(route.body.component)}}
        extra["requestBody"] = {"required": True, "content": content}
    return {"responses": _answers(route), "openapi_extra": extra}


def _parameters(route: Route, keys: dict[str, Described], prefix: str) -> list[Described]:
    """The parameters in path, query and headers."""
    found = [parameter("path", name, schema) for name, schema in keys.items() if f"{{{name}}}" in route.path]
    filters = {query.name: query.schema for query in route.filters}
    queries = {name: schema | filter_hints(prefix, name, schema) for name, schema in filters.items()}
    queries |= dict(route.asks)
    queries |= PAGING if route.answer.paged else {}
    found += [parameter("query", name, schema) for name, schema in queries.items()]
    found += [IDEMPOTENCY_KEY] if route.writes else []
    found += [IF_MATCH] if route.conditional else []
    return [*found, IF_NONE_MATCH] if route.method == "GET" and route.answer.has_etag else found


def _answers(route: Route) -> dict[int | str, Described]:
    """Every status that the route answers with."""
    answer = route.answer
    found: dict[int | str, Described] = {answer.status: answer.described(answer.status)}
    found |= {status: {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(_errors(route))}
    if route.method == "GET" and answer.has_etag:
        found[304] = answer.described(304, "The reader has this version already.")
    if answer.redirects is not None:
        found[302] = answer.described(302, answer.redirects)
    if route.writes and route.journaled:
        found[202] = answer.described(202, "Accepted in fallback mode; see X-Durability.")
    if answer.not_ready is not None:
        found[503] = answer.described(503, answer.not_ready)
    return found


def _errors(route: Route) -> set[int]:
    """The statuses of refusals."""
    found = {*OF_ANY, *route.errors, *route.rights.errors}
    found |= {503} if route.answer.stored else set()
    found |= set(OF_A_BODY) if route.body is not None else set()
    found |= {404} if route.names_row else set()
    found |= {422} if route.answer.paged or route.asks else set()
    if route.writes:
        found |= set(OF_A_WRITE) | (set() if route.answer.created or not route.journaled else {412})
    return found


def _name(status: int) -> str:
    return f"Refusal{status}"


def _error(status: int) -> Described:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    examples = {
        kind.code: {"value": {"error": kind.title, "code": kind.code, "status": status, "title": kind.title}}
        for kind in kinds
    }
    content = {media: {"schema": reference_to("Problem"), "examples": examples} for media in MEDIA}
    headers = REQUEST_ID | HEADERS_OF_ERRORS.get(status, {})
    return {"description": " · ".join(kind.title for kind in kinds), "headers": headers, "content": content}


def openapi(app: FastAPI, routes: Iterable[Route], limits: Limits) -> Described:
    """The document, made once per application; a client may read there how large a body may be."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        bodies = [route.body for route in routes if route.body is not None]
        made["components"] = {
            "schemas": components(bodies),
            "responses": _refusals(made["paths"]),
            "securitySchemes": {"bearer": _SCHEME},
        }
        app.openapi_schema = made | {"x-max-body-bytes": limits.body, "x-max-image-body-bytes": limits.image_body}
    return app.openapi_schema


def _refusals(paths: Described) -> Described:
    """Every refusal that an operation names; the framework has put a word of its own beside each name, which goes."""
    operations = [operation for path in paths.values() for operation in path.values()]
    named = [
        (int(status), answer)
        for operation in operations
        for status, answer in operation["responses"].items()
        if "$ref" in answer
    ]
    for _, answer in named:
        answer.pop("description", None)
    return {_name(status): _error(status) for status in sorted({status for status, _ in named})}


_SCHEME = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From /api/auth/login."}
