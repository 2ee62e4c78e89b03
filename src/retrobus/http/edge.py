"""The two layers around everything: request id, log and metrics; then aliases, limits on headers, the last catch."""

import re
import secrets
import time
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrobus import logbook
from retrobus.http.problems import Problem, answer, problem_headers
from retrobus.metrics import Metrics

MAX_HEADER_BYTES = 16_384
ALIASED = ("/events", "/vehicles", "/members", "/auth", "/health", "/me")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_REQUEST = "Ces octets ne sont pas une requête HTTP/1.1 bien formée."
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}")


class Edge:
    """The outermost layer: every answer, whoever gives it, has a request id, a log line and a place in metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; anything but HTTP goes straight through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self._app, self._metrics, scope, send).run(receive)


class _Exchange:
    """One request and its response."""

    def __init__(self, app: ASGIApp, metrics: Metrics, scope: Scope, send: Send) -> None:
        self._app, self._metrics, self._send = app, metrics, send
        self._started = time.perf_counter()
        self._method = scope["method"]
        self._id = _request_id(scope)
        # HEAD is answered like GET; the server leaves the body out.
        self._scope = {**scope, "method": "GET"} if self._method == "HEAD" else scope
        self._state = self._scope.setdefault("state", {})
        self._state["request_id"], self._state["status"] = self._id, 0

    async def run(self, receive: Receive) -> None:
        try:
            await self._app(self._scope, receive, self._out)
        finally:
            self._record()

    async def _out(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._state["status"] = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id.encode())]
        await self._send(message)

    def _record(self) -> None:
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "(none)")
        method = self._method if self._method in METHODS else "(other)"
        self._metrics.answered(method, route, self._state["status"], seconds)
        logbook.request(method, route, self._state["status"], seconds, self._id)


class Gate:
    """What stands before the routes: one path for all its aliases, and every refusal or crash in our error form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request that the edge let in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = _refusal(scope)
        try:
            if problem is None:
                scope["path"] = canonical_path(scope["path"])
                await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the last catch: whatever went wrong, the client gets our error body
            logbook.crashed(error, scope["state"]["request_id"])
            problem = None if scope["state"]["status"] else Problem("internal_error")
        if problem is not None:
            await answer(problem, **problem_headers(scope))(scope, receive, send)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)


def _refusal(scope: Scope) -> Problem | None:
    """What no route could answer rightly: bytes that are no request, too many headers, an address that is not text."""
    code: str | None = scope["state"].get("refusal")
    if code is not None:
        return Problem(code, NO_REQUEST if code == "bad_request" else None)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return Problem("headers_too_large", f"Au plus {MAX_HEADER_BYTES} octets d'en-têtes.")
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
    """The documented path of an alias: `/events` is `/api/events`, `/api/public/…` is `/public/…`.

    In NFC, as keys are stored: `é` typed as `e` with an accent names the same row. Without slashes at its end.
    """
    path = normalize("NFC", path).rstrip("/") or "/"
    if path.startswith("/api/public/"):
        return path[4:]
    for alias in ALIASED:
        if path == alias or path.startswith(alias + "/"):
            return "/api" + path
    return path
