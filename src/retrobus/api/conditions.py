"""The headers that set conditions, Idempotency-Key, If-Match and If-None-Match: read here and described here."""

import hashlib
import re
from typing import Any

from fastapi import Request

from retrobus.api.reference_shapes import parameter
from retrobus.http.problems import invalid
from retrobus.model import patterns
from retrobus.store.contract import Once, Precondition

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_ETAGS = re.compile(patterns.ETAGS)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return parameter("header", name, {"type": "string", **schema}, description=description)


REPEATED = "Repeating the request with the same key gives the one true answer, for 24 hours."
IDEMPOTENCY_KEY = _header("Idempotency-Key", REPEATED, minLength=1, maxLength=200, pattern=patterns.IDEMPOTENCY_KEY)
IF_MATCH = _header("If-Match", "The ETag that the row must still have, else 412; `*` for any.", pattern=patterns.ETAGS)
IF_NONE_MATCH = _header("If-None-Match", "The ETag that the reader has: 304 if nothing has changed.")


def once(request: Request) -> Once | None:
    """The client's Idempotency-Key, with the request that it stands for; the body must have been read before."""
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


def etags_known(request: Request) -> tuple[str, ...]:
    """What stands between the quotes of the ETags in If-None-Match."""
    found = _ETAG.findall(request.headers.get("if-none-match", ""))
    return tuple(etag.removeprefix("W/")[1:-1] for etag in found)


def already_has(request: Request, etag: str) -> bool:
    """Whether If-None-Match says that a reader has this version already."""
    header = request.headers.get("if-none-match")
    if header is None or request.method != "GET":
        return False
    return header.strip() == "*" or etag in {found.removeprefix("W/") for found in _ETAG.findall(header)}
