"""What changed since a cursor, deletions included: in pages, and as a stream of Server-Sent Events."""

from typing import Any

from fastapi import Response

from retrobus.accounts.roles import MANAGERS
from retrobus.api.answers import JSON, Answer
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.event_stream import EventStream
from retrobus.api.queries import PAGE, PAGING, limit_of, named_values
from retrobus.api.rights import ANYONE, MEMBERS
from retrobus.changes.cursor import Cursor, Scope, cursor_in
from retrobus.changes.feed import Changes
from retrobus.http.problems import invalid, origin_headers
from retrobus.model import patterns
from retrobus.model.resources import ALL
from retrobus.store.contract import POSTGRES

router = Routes("changes")
EVERY = tuple(resource.name for resource in ALL)
PUBLIC = tuple(resource.name for resource in ALL if resource.published is not None)
SINCE: dict[str, Any] = {
    "type": "string",
    "pattern": patterns.CURSOR,
    "description": "`cursor` of the page before, or the `id` of an event; without it, everything is told first.",
}


def _asked(names: tuple[str, ...], *, paged: bool) -> dict[str, dict[str, Any]]:
    resource = {"type": "string", "enum": list(names), "description": "Only changes of this resource."}
    return {"since": SINCE} | ({"limit": PAGING["limit"]} if paged else {}) | {"resource": resource}


STREAM = Answer(None, media="text/event-stream")


@router.declare(Route("GET", "/api/changes", MEMBERS, Answer("Changes"), asks=_asked(EVERY, paged=True), errors=(410,)))
async def list_changes(call: Call) -> Response:
    """Rows and deletions after a cursor, ascending by version; members are told to managers, and to each their own row.

    Apply the changes of each page by version: the higher one wins. Go on with `cursor` while `more` is true. Then the
    copy is exactly what the lists would have answered at one instant not before the request began. A change may come
    twice. Images are told as in lists. PostgreSQL alone answers: 503 while it is away. After
    410, forget everything and start without `since`.
    """
    return await _page(call, _scope(call))


@router.declare(
    Route("GET", "/public/changes", ANYONE, Answer("PublicChanges"), asks=_asked(PUBLIC, paged=True), errors=(410,))
)
async def list_public_changes(call: Call) -> Response:
    """The same for public vehicles and published events; a row that the public no longer sees is a deletion."""
    return await _page(call, _scope(call))


@router.declare(Route("GET", "/api/changes/stream", MEMBERS, STREAM, asks=_asked(EVERY, paged=False), errors=(410,)))
async def stream_changes(call: Call) -> Response:
    """The changes as Server-Sent Events: one unnamed event for each, whose data is the item of `/api/changes`.

    The `id` of an event is the cursor behind it; a client that comes again sends it as `Last-Event-ID`. An event
    `current` follows when the copy is whole (`more` is false in pages). An event `problem` tells by its `code` why the
    stream ends. A comment comes every 15 seconds at least.
    """
    return await _stream(call, _scope(call))


@router.declare(Route("GET", "/public/changes/stream", ANYONE, STREAM, asks=_asked(PUBLIC, paged=False), errors=(410,)))
async def stream_public_changes(call: Call) -> Response:
    """The same for public vehicles and published events."""
    return await _stream(call, _scope(call))


async def _page(call: Call, scope: Scope) -> Response:
    values = named_values(call.request, call.route.asks)
    limit, since = limit_of({"limit": str(PAGE)} | values), _since(values)
    found = await call.service.feed.page(scope, since, limit, call.caller)
    headers = {"Cache-Control": "no-store", **origin_headers(POSTGRES)}
    return Response(_body(found), 200, headers, JSON)


def _body(found: Changes) -> bytes:
    end = f'],"cursor":"{found.cursor.text()}","more":{"true" if found.more else "false"}}}\n'
    return b"".join((b'{"changes":[', b",".join(found.items), end.encode()))


async def _stream(call: Call, scope: Scope) -> Response:
    """The stream, once its first page is there: until then a refusal is an answer of its own."""
    values = named_values(call.request, call.route.asks)
    last = call.request.headers.get("last-event-id")
    since = _since(values if not last else values | {"since": last}, "since" if not last else "Last-Event-ID")
    streams = call.service.streams
    streams.enter()
    try:
        first = await streams.first(scope, since, call.caller)
    except BaseException:
        streams.leave()
        raise
    return EventStream(call.service, scope, call.caller, first)


def _since(values: dict[str, str], name: str = "since") -> Cursor | None:
    if "since" not in values:
        return None
    try:
        return cursor_in(values["since"])
    except ValueError:
        raise invalid((name, "curseur inconnu ; reprenez celui de la page précédente")) from None


def _scope(call: Call) -> Scope:
    """What this caller may be told of."""
    caller = call.caller
    names = PUBLIC if caller is None else EVERY
    asked = named_values(call.request, ("resource",)).get("resource")
    if asked is not None and asked not in names:
        raise invalid(("resource", f"valeurs possibles : {', '.join(names)}"))
    own = None if caller is None or caller.role in MANAGERS else caller.id
    return Scope(names if asked is None else (asked,), public=caller is None, own=own)
