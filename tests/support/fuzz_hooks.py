"""What three of the fuzzer's own checks may pass over: refusals that depend on rows, which no schema knows.

The fuzzer loads this module by its name (SCHEMATHESIS_HOOKS), with `tests` on the path.
"""

import os
from typing import Any

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

UNSAYABLE = {
    ("vehicleId", "désigne une ligne qui n'existe pas"),
    ("cursor", "inconnu ; reprenez celui de nextCursor"),
    ("since", "curseur inconnu ; reprenez celui de la page précédente"),
    ("currentPassword", "mot de passe actuel incorrect"),
    # The fuzzer sends `If-Match: 0` as a good value, whatever the pattern says: it knows this header by its name.
    ("If-Match", "l'ETag de la ligne, guillemets compris, ou *"),
}
REFUSED = {"precondition_failed", "idempotency_key_reused"}


def _is_about_rows(answer: Any) -> bool:
    if answer.status_code not in {412, 422}:
        return False
    body = answer.json()
    told = {(item["field"], item["message"]) for item in body.get("errors", [])}
    return body["code"] in REFUSED or (bool(told) and told <= UNSAYABLE)


@schemathesis.check
def good_requests_pass(ctx: Any, response: Any, case: Any) -> bool | None:
    """A request that the reference allows is done, unless a row speaks against it."""
    return None if _is_about_rows(response) else positive_data_acceptance(ctx, response, case)


HONEST = {
    "": frozenset(),
    "strict": frozenset({"database_unavailable"}),
    "fallback": frozenset({"memory_unavailable", "database_unavailable"}),
}
"""The codes of a 503 that says the truth: none with PostgreSQL; while it is away, that it is, or what memory lacks."""

AWAY = os.environ.get("FUZZ_AWAY", "")


@schemathesis.check
def nothing_crashes(ctx: Any, response: Any, case: Any) -> bool | None:
    """No 5xx; but while PostgreSQL is away a 503 that says so, when to come again, and what became of a write."""
    if response.status_code != 503:
        return not_a_server_error(ctx, response, case)
    if case.path == "/ready":
        return None if AWAY == "strict" else not_a_server_error(ctx, response, case)
    body, told = response.json(), "retry-after" in response.headers
    write = case.method.upper() not in {"GET", "HEAD", "OPTIONS"}
    honest = told and body["code"] in HONEST[AWAY] and body.get("outcome") == ("not_applied" if write else None)
    return None if honest else not_a_server_error(ctx, response, case)


@schemathesis.check
def bad_requests_are_refused(ctx: Any, response: Any, case: Any) -> bool | None:
    """A request that the reference forbids is refused; query parameters that no list knows are ignored, by contract."""
    try:
        return negative_data_rejection(ctx, response, case)
    except AcceptedNegativeData as failure:
        if "in query - violates `additionalProperties`" not in str(failure.message):
            raise
        return None
