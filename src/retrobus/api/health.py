"""Whether the process lives, whether it is ready, and what it counts."""

import hmac
import json
from datetime import UTC, datetime
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response

import retrobus
from retrobus.api.reference import described
from retrobus.api.service import service
from retrobus.http.problems import Problem
from retrobus.model.wire import moment

router = APIRouter(tags=["health"])


@router.get("/api/health", operation_id="health", **described("Health"))
async def health(request: Request) -> Response:  # noqa: ARG001 - the same form as every route
    """200 while the process lives; asks nothing of anybody."""
    return _json({"ok": True, "time": moment(datetime.now(UTC)), "version": retrobus.__version__})


@router.get("/ready", operation_id="ready", **described("Ready"))
async def ready(request: Request) -> Response:
    """200 when requests are answered, 503 when not, with the same keys: mode, toggles, schema, durability."""
    status = await request.app.state.status()
    status["ready"] = status["ready"] and not request.app.state.stopping
    return _json(status, 200 if status["ready"] else 503)


@router.get("/metrics", operation_id="metrics", **described("Metrics", "local"))
async def metrics(request: Request) -> Response:
    """Prometheus figures, for this machine or for who holds METRICS_TOKEN."""
    if not _may_read_metrics(request):
        raise Problem("forbidden", "Depuis cette machine, ou avec METRICS_TOKEN.")
    request.app.state.measure()
    return Response(service(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _may_read_metrics(request: Request) -> bool:
    token = request.app.state.metrics_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token is not None and hmac.compare_digest(given.encode(), token.encode()):
        return True
    try:
        return request.client is None or ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _json(value: dict[str, object], status: int = 200) -> Response:
    text = json.dumps(value, ensure_ascii=False)
    return Response(text, status, {"Cache-Control": "no-store"}, "application/json")
