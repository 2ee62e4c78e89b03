"""Cross-origin requests: which websites may call the service from a browser, what they may send and read."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrobus.http.problems import Problem, answer

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ACCEPTED_HEADERS = [
    "Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match", "If-Modified-Since", "Idempotency-Key",
    "Cache-Control", "Pragma", "X-Requested-With", "traceparent", "tracestate", "baggage", "sentry-trace",
    "X-Request-Id", "X-Method-Override", "x-qr-token", "x-user-matricule",
]  # fmt: skip
EXPOSED_HEADERS = [
    "ETag", "Link", "Location", "X-Data-Source", "X-Data-As-Of", "X-Data-Origin", "X-Durability", "X-Request-Id",
    "Retry-After", "Content-Disposition",
]  # fmt: skip
REASONS = {
    "origin": "son origine n'est pas dans CORS_ORIGINS",
    "method": "sa méthode n'est pas prévue",
    "headers": "un de ses en-têtes n'est pas prévu",
    "private-network": "le réseau privé n'est pas ouvert",
}
"""Why a preflight is refused, by the framework's word, for the developer who reads the console of the browser."""


class Cors(CORSMiddleware):
    """The framework's layer for CORS; a refused preflight is answered in the form of every error."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=METHODS,
            allow_headers=ACCEPTED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a preflight, or serves the request and adds the headers by which its browser may read the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif all(name != b"origin" for name, _ in scope["headers"]):
            await self.app(scope, receive, _varying(send))
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in (headers := Headers(scope=scope)):
            await self._preflight(scope, headers)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _preflight(self, scope: Scope, headers: Headers) -> Response:
        found = self.preflight_response(headers)
        told = {name: value for name, value in found.headers.items() if not name.startswith("content-")}
        if found.status_code == 200:
            return Response('{"ok": true}\n', 200, told, "application/json")
        wrong = bytes(found.body).decode().removeprefix("Disallowed CORS ").split(", ")
        reasons = " ; ".join(REASONS[word] for word in wrong)
        problem = Problem("bad_request", f"Ce navigateur ne peut pas envoyer cette requête : {reasons}.", headers=told)
        return answer(problem, scope)


def _varying(send: Send) -> Send:
    """Answers no website's script; `Vary` keeps a cache from giving this answer to one."""

    async def varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"vary", b"Origin")]
        await send(message)

    return varying
