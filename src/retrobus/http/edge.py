"""The two layers around every request: id, log and metrics outside; aliases, limits of headers and crashes inside."""

import re
import time
from random import Random, SystemRandom
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrobus import logbook
from retrobus.http.problems import Problem, answer
from retrobus.metrics import Metrics
from retrobus.words import grouped

MAX_HEADER_BYTES = 16_384
ALIASED = (
    "/events", "/vehicles", "/members", "/changes", "/deletions", "/conflicts", "/backups", "/status", "/auth",
    "/health", "/me",
)  # fmt: skip
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_REQUEST = "Ces octets ne sont pas une requête HTTP/1.1 bien formée."
_random = Random(SystemRandom().getrandbits(128))  # noqa: S311 - a name, not a secret; no system call for each request
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}")


class Edge:
    """The outermost layer: gives every answer a request id, a log line and a place in the metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; the lifespan of the application passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, method, request_id = time.perf_counter(), scope["method"], _request_id(scope)
        state = scope.setdefault("state", {})
        if method == "HEAD":  # answered like GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
            state["head"] = True
        state["request_id"], state["status"] = request_id, 0

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._record(scope, method, time.perf_counter() - started)

    def _record(self, scope: Scope, method: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        known = method if method in METHODS else "(other)"
        self._metrics.answered(known, route, scope["state"]["status"], seconds)
        logbook.request(known, route, scope["state"]["status"], seconds, scope["state"]["request_id"])


class Gate:
    """The layer before the routes: one path for all its aliases, and an error body for every refusal or crash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, unless it is refused at once."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = _refusal(scope)
        try:
            if problem is None:
                scope["path"] = canonical_path(scope["path"])
                await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the client must get our error body for a bug, too
            logbook.crashed(error, scope["state"]["request_id"])
            problem = None if scope["state"]["status"] else Problem("internal_error")
        if problem is not None:
            await answer(problem, scope)(scope, receive, send)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value.decode())
    return f"{_random.getrandbits(64):016x}"


def _refusal(scope: Scope) -> Problem | None:
    """Why a request must not reach a route: its bytes, its headers or its address are wrong."""
    code: str | None = scope["state"].get("refusal")
    if code is not None:
        return Problem(code, NO_REQUEST if code == "bad_request" else None)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return Problem("headers_too_large", f"Au plus {grouped(MAX_HEADER_BYTES)} octets d'en-têtes.")
    try:
        path = _decoded(scope.get("raw_path") or b"")
        _decoded(scope["query_string"])
    except UnicodeDecodeError:
        return Problem("bad_request", "L'adresse n'est pas en UTF-8.")
    if any(character < " " or character == "\x7f" for character in path):
        return Problem("bad_request", "L'adresse contient un caractère de contrôle.")
    return None


def _decoded(raw: bytes) -> str:
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()


def canonical_path(path: str) -> str:
    """The path that the reference documents: `/api/events` for its alias `/events`, `/public/…` for `/api/public/…`.

    In NFC, as keys are stored, since some systems send `é` as `e` and an accent; without slashes at its end.
    """
    path = normalize("NFC", path).rstrip("/") or "/"
    if path.startswith("/api/public/"):
        return path[4:]
    for alias in ALIASED:
        if path == alias or path.startswith((f"{alias}/", f"{alias}.")):
            return "/api" + path
    return path
