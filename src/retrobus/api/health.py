"""Whether the process lives, whether it is ready, and what it counts."""

import hmac
from datetime import UTC, datetime
from ipaddress import ip_address

from fastapi import Request, Response

import retrobus
from retrobus.api.answers import Answer, answered
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.rights import ANYONE
from retrobus.http.problems import Problem
from retrobus.model.wire import moment

router = Routes("health")
READY = Answer("Ready", stored=False, not_ready="Not ready; the same keys tell why.")


@router.declare(Route("GET", "/api/health", ANYONE, Answer("Health", stored=False)))
async def health(_: Call) -> Response:
    """200 while the process lives; asks nothing of anybody."""
    return answered({"ok": True, "time": moment(datetime.now(UTC)), "version": retrobus.__version__})


@router.declare(Route("GET", "/ready", ANYONE, READY))
async def ready(call: Call) -> Response:
    """200 when requests are answered, 503 when not, with the same keys: mode, toggles, schema, durability."""
    status = await call.service.states.status()
    return answered(status, status=200 if status["ready"] else 503)


@router.declare(Route("GET", "/metrics", ANYONE, Answer(None, stored=False), errors=(403,)))
async def metrics(call: Call) -> Response:
    """Prometheus figures, for this machine or for who holds METRICS_TOKEN."""
    if not _may_read_metrics(call.request, call.service.metrics_token):
        raise Problem("forbidden", "Depuis cette machine, ou avec METRICS_TOKEN.")
    call.service.states.measure()
    return Response(call.service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _may_read_metrics(request: Request, token: str | None) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token is not None and hmac.compare_digest(given.encode(), token.encode()):
        return True
    try:
        return request.client is None or ip_address(request.client.host).is_loopback
    except ValueError:
        return False
