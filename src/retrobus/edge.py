"""The outermost layer: request id, aliases, limits on headers, log, metrics and the last catch."""

import re
import secrets
import time
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrobus import logbook
from retrobus.metrics import Metrics
from retrobus.problems import Problem, answer

MAX_HEADER_BYTES = 16_384
ALIASED = ("/events", "/vehicles", "/members", "/auth", "/health", "/me")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,100}")


class Edge:
    """Plain ASGI around the application: nothing that it serves leaves without these promises."""

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
        self._app, self._metrics, self._scope, self._send = app, metrics, scope, send
        self._status = 0
        self._started = time.perf_counter()
        self._method = scope["method"]
        self._id = _request_id(scope)

    async def run(self, receive: Receive) -> None:
        scope = self._scope
        scope.setdefault("state", {})["request_id"] = self._id
        try:
            problem = _refusal(scope)
            if problem is not None:
                await self._answer(problem, receive)
                return
            scope["path"] = canonical_path(scope["path"])
            if self._method == "HEAD":  # answered like GET; the server leaves the body out
                scope = self._scope = {**scope, "method": "GET"}
            await self._app(scope, receive, self._out)
        except Exception as error:  # noqa: BLE001 - the last catch: whatever went wrong, the client gets our error body
            logbook.crashed(error, self._id)
            if not self._status:
                await self._answer(Problem("internal_error"), receive)
        finally:
            self._record()

    async def _out(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id.encode())]
        await self._send(message)

    async def _answer(self, problem: Problem, receive: Receive) -> None:
        accept = next((value for name, value in self._scope["headers"] if name == b"accept"), b"")
        response = answer(problem, request_id=self._id, accept=accept.decode("latin-1"), method=self._method)
        await response(self._scope, receive, self._out)

    def _record(self) -> None:
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "(none)")
        method = self._method if self._method in METHODS else "(other)"
        self._metrics.answered(method, route, self._status, seconds)
        logbook.request(method, route, self._status, seconds, self._id)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(8)


def _refusal(scope: Scope) -> Problem | None:
    """What no route could answer rightly: too many headers, or an address that is not text."""
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
    """The documented path of an alias: `/events` is `/api/events`, `/api/public/…` is `/public/…`."""
    if path.startswith("/api/public/"):
        return path[4:]
    for alias in ALIASED:
        if path == alias or path.startswith(alias + "/"):
            return "/api" + path
    return path


def problem_headers(scope: Scope) -> dict[str, Any]:
    """What an error answer needs to know of its request."""
    headers = dict(scope["headers"])
    return {
        "request_id": scope["state"]["request_id"],
        "accept": headers.get(b"accept", b"").decode("latin-1"),
        "method": scope["method"],
    }
