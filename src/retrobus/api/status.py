"""Whether the service is well, for the people who run it: /ready, the checklist, and what happened last."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Response

import retrobus
from retrobus.api.answers import Answer, answered
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.proof import proved
from retrobus.api.rights import MANAGERS_ONLY
from retrobus.model.wire import moment

router = Routes("status")


@router.declare(Route("GET", "/api/status", MANAGERS_ONLY, Answer("Status")))
async def status(call: Call) -> Response:
    """All in one answer: /ready, the points of `retrobus doctor` with their cures, counts, last changes, backups.

    200 also while PostgreSQL is away: `ready` and `reason` say so, and counts, changes and cursor are null. The headers
    say who proved the caller. From `cursor` on, `/api/changes/stream` tells what happens next; it may tell some of
    `changes` again.
    """
    headers = await proved(call)
    ready = await call.service.states.status()
    found = await call.service.desk.overview.ask(call.who)
    about = {
        "version": retrobus.__version__,
        "time": moment(datetime.now(UTC)),
        "meaning": meaning(ready["durability"]),
    }
    return answered(about | ready | found, headers)


def meaning(durability: dict[str, Any]) -> str:
    """What an acknowledged write is worth with these settings of PostgreSQL, which are empty while it is away."""
    fsync, commit = durability.get("fsync"), durability.get("synchronous_commit")
    if fsync is None:
        return "inconnue"
    if durability.get("reason"):
        return str(durability["reason"])
    if fsync != "on":
        return f"peut se perdre avec toute la base (fsync={fsync})"
    if commit == "off":
        return "peut se perdre dans une panne (synchronous_commit=off)"
    if durability.get("standbys") and commit != "local":
        return f"est aussi sur une réplique ({durability['standbys']})"
    return "survit à une panne du serveur, non à la perte de son disque"
