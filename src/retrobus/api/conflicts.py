"""Conflicts: the writes that memory took in an outage and PostgreSQL could not; an ADMIN applies or discards each."""

from fastapi import Response

from retrobus.api.answers import JSON, Answer, listing
from retrobus.api.bodies import IGNORED
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import filters_of, flag, limit_of, number_of, values_of
from retrobus.api.reference_hints import WORDS
from retrobus.api.rights import ADMINS_ONLY
from retrobus.fallback.conflict_desk import AlreadySettled
from retrobus.fallback.conflicts import Resolution
from retrobus.http.problems import Problem, origin_headers
from retrobus.model.patterns import NUMBER_KEY
from retrobus.store.contract import POSTGRES, Page

router = Routes("conflicts", "/api/conflicts", id=NUMBER_KEY)
FILTERS = (flag("all"),)


@router.declare(Route("GET", "", ADMINS_ONLY, listing("ConflictList", "conflicts"), filters=FILTERS))
async def list_conflicts(call: Call) -> Page:
    """The open conflicts in the order in which they came, with `all=true` the decided ones too; 100 in a page at most.

    Each tells, field by field, what the write wanted (`journal`), what is there now (`postgres`), and what the client
    had changed (`base`), if the journal says it, with values as in the row itself. Of a text with more than 2000
    characters the beginning is told.
    """
    values = values_of(call.request, FILTERS)
    settled = any(asked.value for asked in filters_of(values, FILTERS))
    after = number_of(values, "number") or 0
    return await call.service.desk.conflicts.page(after, limit_of(values), call.who, settled=settled)


def _decision(word: str) -> Route:
    answer = Answer("Conflict")
    return Route("POST", f"/{{id}}/{word}", ADMINS_ONLY, answer, body=IGNORED, if_match=False, journaled=False)


@router.declare(_decision("apply"))
async def apply_conflict(call: Call) -> Response:
    """Does what the write wanted, whatever PostgreSQL has now; the row that this replaces is kept with the conflict.

    The row is then written by the member who made the write. 409 if the conflict is decided already. PostgreSQL alone
    takes this: 503 while it is away. Any body is ignored.
    """
    return await _decide(call, "applied")


@router.declare(_decision("discard"))
async def discard_conflict(call: Call) -> Response:
    """Leaves PostgreSQL as it is and closes the conflict; the write stays readable with `all=true`."""
    return await _decide(call, "discarded")


async def _decide(call: Call, decision: Resolution) -> Response:
    found = await call.service.desk.conflicts.decide(call.number, decision, call.terms())
    if isinstance(found, AlreadySettled):
        raise Problem("already_settled", f"Le conflit {call.number} est déjà tranché : {WORDS[found.resolution]}.")
    return Response(found.json + b"\n", 200, {"Cache-Control": "no-store", **origin_headers(POSTGRES)}, JSON)
