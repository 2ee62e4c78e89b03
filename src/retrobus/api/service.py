"""What every route needs: the store, the tokens, the limits; and the small verbs of reading and answering."""

import hashlib
import json
import re
from asyncio import get_running_loop
from asyncio import timeout as deadline
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from retrobus.accounts.security import ADMIN, MANAGERS, BadToken, Tokens
from retrobus.accounts.throttle import Throttle
from retrobus.http.problems import Problem, invalid, origin_headers, unauthenticated
from retrobus.metrics import Metrics
from retrobus.model import patterns
from retrobus.model.columns import Moment
from retrobus.model.field_errors import field_errors
from retrobus.model.fields import Wire
from retrobus.model.jsontext import BadJson, parse
from retrobus.model.quantities import moment_of
from retrobus.model.resources import Resource
from retrobus.model.sorting import is_place
from retrobus.model.texts import one_line
from retrobus.model.wire import View, known_names
from retrobus.store.contract import (
    Caller,
    Document,
    Filter,
    Once,
    Page,
    Precondition,
    Query,
    Row,
    Store,
    Terms,
)

BODY_PATIENCE = 15.0
"""Seconds within which the next `BODY_PROGRESS` bytes of a body, or its end, must have arrived."""

BODY_PROGRESS = 32_768
"""Bytes that count as progress: a body of any size may come at 2.2 kB/s; slower than that is a client that stalls."""

PAGE = 1000
FOREIGN = frozenset({"offset", "page", "skip"})
"""How other APIs ask for a page: a client that sends one would take the first page for each page."""

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_ETAGS = re.compile(patterns.ETAGS)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
W = TypeVar("W", bound=Wire)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that a request body may have."""

    body: int
    image_body: int


@dataclass(frozen=True, slots=True)
class Service:
    """What `app` hands to the routes."""

    store: Store
    tokens: Tokens
    throttle: Throttle
    limits: Limits
    metrics: Metrics


def service(request: Request) -> Service:
    """The service of the application that this request came to."""
    found: Service = request.app.state.service
    return found


def caller(request: Request) -> Caller:
    """The member whom the bearer token names; the store proves in its transaction that it still holds."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("En-tête attendu : Authorization: Bearer <jeton>.")
    try:
        return service(request).tokens.verify(token.strip())
    except BadToken as error:
        raise unauthenticated(f"Accès refusé : {error}.") from error


def manager(request: Request) -> Caller:
    """The caller, who must manage the collection."""
    found = caller(request)
    if found.role not in MANAGERS:
        raise Problem("forbidden", "Réservé au bureau et aux administrateurs.")
    return found


def is_admin(who: Caller) -> bool:
    """Whether the caller may touch ADMINs, roles and permissions."""
    return who.role == ADMIN


async def read_body(request: Request, limit: int) -> bytes:
    """The body, refused while reading once it is longer than the limit or stalls; `once` compares it by its hash."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        body = await _received(request, limit)
    except TimeoutError:
        raise Problem("body_timeout") from None
    except ClientDisconnect:
        raise Problem("bad_request", "Le corps n'est pas arrivé en entier.") from None
    request.state.fingerprint = hashlib.sha256(body).digest()
    return bytes(body)


async def _received(request: Request, limit: int) -> bytearray:
    """The body as it arrives; TimeoutError when it makes no progress."""
    body, noted, clock = bytearray(), 0, get_running_loop().time
    async with deadline(BODY_PATIENCE) as patience:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
            if len(body) - noted >= BODY_PROGRESS:
                noted = len(body)
                patience.reschedule(clock() + BODY_PATIENCE)
    return body


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"Au plus {limit} octets ici.")


async def read_object(request: Request, limit: int | None = None) -> dict[str, Any]:
    """The JSON object in the body."""
    media = request.headers.get("content-type", "application/json").lower()
    kind, _, rest = media.partition(";")
    if not (kind.strip() == "application/json" or re.fullmatch(r"application/[\w.-]+\+json", kind.strip())):
        raise Problem("unsupported_media_type", "Content-Type attendu : application/json.")
    if not set(_CHARSET.findall(rest)) <= ASCII_OR_UTF8:
        raise Problem("unsupported_media_type", "Jeu de caractères attendu : UTF-8.")
    body = await read_body(request, limit or service(request).limits.body)
    try:
        value = parse(body)
    except BadJson as error:
        raise Problem("malformed_json", f"{error}.") from error
    if not isinstance(value, dict):
        raise Problem("malformed_json", "Objet JSON attendu : {…}.")
    return value


_CHARSET = re.compile(r"""charset\s*=\s*["']?([^"';\s]*)""")
ASCII_OR_UTF8 = frozenset({"utf-8", "utf8", "utf_8", "unicode-1-1-utf-8", "us-ascii", "ascii", "iso-ir-6", "iso646-us"})
"""The spellings of the character sets whose bytes are UTF-8."""


@lru_cache
def _aliases(model: type[Wire]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def validated(model: type[W], value: dict[str, Any], resource: Resource | None = None) -> Row:
    """The fields that the client sent, checked, by column name; 400 if it sent none that we know."""
    known = _aliases(model)
    if known.isdisjoint(value) and (resource is None or known_names(resource).isdisjoint(value)):
        raise Problem("no_known_field", f"Champs possibles : {', '.join(sorted(known))}.")
    try:
        return model.model_validate(value).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise invalid(*field_errors(error)) from None


def once(request: Request) -> Once | None:
    """The client's Idempotency-Key with what it was used for; read the body first."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise invalid(("Idempotency-Key", "1 à 200 caractères ASCII sans espace"))
    fingerprint = getattr(request.state, "fingerprint", b"")
    match = request.headers.get("if-match", "").encode()
    return Once(key, request.method, request.scope["path"], hashlib.sha256(fingerprint + match).digest())


def precondition(request: Request) -> Precondition | None:
    """The ETags of If-Match, if the client sent one."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    if not _ETAGS.fullmatch(header.strip()):
        raise invalid(("If-Match", "l'ETag de la ligne, guillemets compris, ou *"))
    return Precondition(("*",) if header.strip() == "*" else tuple(_ETAG.findall(header)))


def terms(request: Request, who: Caller) -> Terms:
    """Under which terms the client writes: as whom, If-Match, Idempotency-Key; read the body first."""
    return Terms(who, precondition(request), once(request))


def query_of(request: Request, *names: str) -> dict[str, str]:
    """The query parameters named here, each at most once, as clean text."""
    try:
        raw = request.scope["query_string"].decode("ascii")
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        raise Problem("bad_request", "Paramètres d'adresse illisibles : UTF-8 encodé attendu.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in FOREIGN and "cursor" in names:
            raise invalid((name, "inconnu ici : la page suivante se demande par cursor, le nombre de lignes par limit"))
        if name not in names:
            continue
        if name in found:
            raise invalid((name, "une seule fois"))
        try:
            found[name] = str(one_line(value))
        except ValueError as error:
            raise invalid((name, str(error))) from None
    return found


def page_query(resource: Resource, values: dict[str, str], *, view: View, filters: list[Filter]) -> Query:
    """A list's question, with `limit` and `cursor` read from the query parameters."""
    limit = values.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= len(str(PAGE)) and 1 <= int(limit) <= PAGE):
        raise invalid(("limit", f"un entier de 1 à {PAGE}"))
    after = _cursor_values(resource, values["cursor"]) if "cursor" in values else None
    return Query(view, tuple(filters), after, int(limit))


def _cursor_values(resource: Resource, cursor: str) -> tuple[Any, ...]:
    columns = [resource.table.c[step.column] for step in resource.order]
    with suppress(ValueError, TypeError, RecursionError):
        match json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))):
            case [*values] if len(values) == len(columns):
                pairs = zip(columns, values, strict=True)
                place = tuple(moment_of(v) if isinstance(c.type, Moment) else _cursor_text(v) for c, v in pairs)
                if is_place(resource, place):  # else it is another list's
                    return place
    raise invalid(("cursor", "curseur inconnu : reprenez celui de nextCursor"))


def _cursor_text(value: object) -> str:
    """A text as it stands in a row, whatever SQL wrote there; not what no row could hold."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    value.encode()
    return value


def one_of(values: dict[str, str], name: str, allowed: tuple[str, ...]) -> list[Filter]:
    """A filter on a column with few values."""
    if name not in values:
        return []
    if values[name] not in allowed:
        raise invalid((name, f"valeurs possibles : {', '.join(allowed)}"))
    return [Filter(_snake(name), "=", values[name])]


def equal(values: dict[str, str], name: str, *, fold: bool = False) -> list[Filter]:
    """A filter on a text column; what people paste around the text does not count."""
    return [Filter(_snake(name), "=", values[name].strip(), fold)] if name in values else []


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def instant(values: dict[str, str], name: str) -> Any:
    """A query parameter as an instant."""
    try:
        return moment_of(values[name].replace(" ", "+") if "T" in values[name] else values[name])
    except ValueError as error:
        raise invalid((name, str(error))) from None


def period(values: dict[str, str], column: str) -> list[Filter]:
    """The filters of `from`, inclusive, and `to`, exclusive."""
    bounds: list[tuple[str, Literal[">=", "<"]]] = [("from", ">="), ("to", "<")]
    return [Filter(column, operator, instant(values, name)) for name, operator in bounds if name in values]


def answered(document: Document, request: Request, status: int = 200, *, location: str | None = None) -> Response:
    """One row with its ETag; 304 to a reader who has it already; 202 if it is not in Postgres yet."""
    headers = {"ETag": document.etag, "Cache-Control": "no-cache", **origin_headers(document.origin)}
    if document.durability is not None:
        status, headers["X-Durability"] = 202, document.durability
    if location is not None:
        headers["Location"] = f"{location}/{quote(document.key, safe='')}"
    seen = request.headers.get("if-none-match")
    if seen is not None and request.method == "GET" and _names(seen, document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.json, status, headers, "application/json")


def _names(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in {found.removeprefix("W/") for found in _ETAG.findall(header)}


def done(document: Document) -> Response:
    """`{"ok": true}` for a write that has no row to show."""
    headers = origin_headers(document.origin)
    if document.durability is None:
        return Response('{"ok": true}', 200, headers, "application/json")
    return Response('{"ok": true}', 202, headers | {"X-Durability": document.durability}, "application/json")


def listed(page: Page, request: Request, name: str | None = None) -> Response:
    """A list: bare for the public, under its name and with `nextCursor` for members; the next page in Link."""
    headers = {"Cache-Control": "no-cache", **origin_headers(page.origin)}
    cursor = None
    if page.next is not None:
        cursor = urlsafe_b64encode(json.dumps(page.next).encode()).decode().rstrip("=")
        asked = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)
        query = urlencode([*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)])
        headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
    rows = ",".join(page.documents)
    body = f"[{rows}]" if name is None else f'{{"{name}":[{rows}],"nextCursor":{json.dumps(cursor)}}}'
    return Response(body, 200, headers, "application/json")
