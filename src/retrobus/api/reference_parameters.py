"""The parameters and answer headers of the API reference, with every rule that the service holds them to."""

from typing import Any

from retrobus.api.service import PAGE
from retrobus.model import events, members, patterns

WRITTEN = frozenset({"create", "update", "delete", "own"})
"""The kinds of routes that change something."""

_TEXT = {"type": "string", "pattern": patterns.LINE}
_MOMENT = {"type": "string", "pattern": patterns.MOMENT, "examples": ["2025-09-20T14:00:00Z", "2025-09-20"]}
FILTERS: dict[str, dict[str, Any]] = {
    "from": _MOMENT | {"description": "First instant, inclusive: RFC 3339, or a day."},
    "to": _MOMENT | {"description": "Last instant, exclusive: RFC 3339, or a day."},
    "isPublic": {"type": "boolean"},
    "membershipStatus": {"type": "string", "enum": list(members.MEMBERSHIP_STATUSES)},
}
STATUSES = {"EventList": events.EVENT_STATUSES, "MemberList": members.MEMBER_STATUSES}
PAGING = {
    "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE},
    "cursor": {
        "type": "string",
        "pattern": patterns.CURSOR,
        "description": "`nextCursor` of the page before, or the `cursor` in its Link header; any other is refused.",
    },
}
KEYS = {"/api/events": patterns.EVENT_KEY, "/public/events": patterns.EVENT_KEY, "/api/members": patterns.MEMBER_KEY}

ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeating the request with the same key gives the one true answer, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": patterns.IDEMPOTENCY_KEY},
}
MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the row must still have, else 412; `*` for any.",
    "schema": {"type": "string", "pattern": patterns.ETAGS},
}
NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the reader has: 304 if it is still the row's.",
    "schema": {"type": "string"},
}


def parameters(schema: str, kinds: tuple[str, ...], filters: tuple[str, ...]) -> list[dict[str, Any]]:
    """The query and header parameters of a route."""
    queries = {name: _filter(schema, name) for name in filters} | (PAGING if "list" in kinds else {})
    found = [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in queries.items()]
    if WRITTEN & set(kinds):
        found += [ONCE] if "create" in kinds or "password" in kinds else [ONCE, MATCH]
    return [*found, NONE_MATCH] if "one" in kinds and "list" not in kinds else found


def _filter(schema: str, name: str) -> dict[str, Any]:
    if name == "status":
        return {"type": "string", "enum": list(STATUSES[schema])}
    return FILTERS.get(name, _TEXT)


def key_of(path: str) -> dict[str, Any]:
    """What a key in this path must look like to name a row."""
    return next((key for start, key in KEYS.items() if path.startswith(start)), patterns.PARC_KEY)


def _header(description: str, *, always: bool = False, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": {"type": "string", **schema}}


REQUEST_ID = {"X-Request-Id": _header("The request's id, the client's own if it sent one.", always=True)}
_ORIGIN = {
    "X-Data-Source": _header("Who answers.", always=True, enum=["postgres", "memory", "token"]),
    "X-Data-As-Of": _header("From memory: until when PostgreSQL was heard.", format="date-time"),
    "X-Data-Origin": _header("From memory: what it was filled from."),
}
_ETAG = {"ETag": _header("The version of the row, for If-Match and If-None-Match.", always=True)}
_LINK = {"Link": _header('The next page, if there is one: `<…>; rel="next"`.')}
_LOCATION = {"Location": _header("The address of the new row.", always=True)}
_DURABILITY = {
    "X-Durability": _header("Where the write is kept until PostgreSQL has it.", always=True, enum=["journal", "memory"])
}
_LATER = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}}
_BEARER = {"WWW-Authenticate": _header("How to prove who one is.", always=True, const="Bearer")}
OF_ERRORS: dict[int, dict[str, Any]] = {401: _BEARER, 429: _LATER, 503: _LATER}


def success_headers(schema: str, kinds: tuple[str, ...], status: int) -> dict[str, Any]:
    """The headers of a good answer."""
    found: dict[str, Any] = dict(REQUEST_ID)
    if schema not in {"Health", "Ready", "Metrics"}:
        found |= _ORIGIN
    if "list" in kinds:
        return found | _LINK
    if {"one", "create", "update", "own"} & set(kinds) and schema != "Done":
        found |= _ETAG
    found |= _LOCATION if "create" in kinds else {}
    return found | (_DURABILITY if status == 202 else {})
