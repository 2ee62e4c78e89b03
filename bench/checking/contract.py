"""What each answer must be whatever the rows are: its status, its headers, and whether it can come from there."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from checking.client import NOTHING, UNSENT, Answer, Request
from checking.kinds import Slot
from checking.model import Model

STATUSES = {
    "GET": {200, 404, 503},
    "POST": {201, 202, 409, 503},
    "PATCH": {200, 202, 404, 409, 412, 503},
    "PUT": {200, 202, 404, 409, 412, 503},
    "DELETE": {200, 202, 404, 409, 412, 503},
}
"""What the contract lets the service answer to the requests of a checker; every other status is unexpected."""

ORIGINS = ("postgres", "snapshot", "backup:", "empty", "sample")


class Witness(Protocol):
    """What is known of the surroundings at the time of a request."""

    def postgres_was_gone(self, sent: float, received: float) -> bool:
        """Whether Postgres could not be reached at any moment between the two."""

    def service_was_away(self, sent: float, received: float) -> bool:
        """Whether the service was ended or started between the two moments, so that no answer is no surprise."""

    def conflicts(self, after: int) -> Iterable[Mapping[str, Any]]:
        """The rows of table `conflict` with a higher id."""


class Contract:
    """Notes answers that the contract does not have."""

    def __init__(self, model: Model, witness: Witness) -> None:
        self._model = model
        self._witness = witness
        self.fallback = False
        """Whether the service may answer from memory."""

    def check(self, request: Request, answer: Answer) -> bool:
        """Notes what is wrong; whether the answer may be believed to come from where it says."""
        self._check_status(request, answer)
        if answer.status in range(200, 300):
            self._check_headers(request, answer)
        if answer.status in {200, 201, 404, 412} and self._impossible(request, answer):
            self._model.fault("lie", place(request), f"{told(request, answer)} comes from nowhere: Postgres was gone")
            return False
        return True

    def broken(self, request: Request, answer: Answer, text: str) -> None:
        """Notes an answer that the contract does not have."""
        self._model.fault("unexpected", place(request), f"{told(request, answer)}: {text}")

    def _check_status(self, request: Request, answer: Answer) -> None:
        if answer.status in {NOTHING, UNSENT}:
            if not self._witness.service_was_away(answer.sent, answer.received):
                self.broken(request, answer, "no answer, though nobody touched the service")
            return
        linked = answer.status == 422 and "vehicleId" in (request.body or {})  # the vehicle may be gone
        if answer.status not in STATUSES[request.method] and not linked:
            self.broken(request, answer, f"{answer.body[:300]!r}")
        if answer.status == 412 and request.match is None:
            self.broken(request, answer, "412 without If-Match")
        if answer.status == 503 and "retry-after" not in answer.headers:
            self.broken(request, answer, "503 without Retry-After")

    def _impossible(self, request: Request, answer: Answer) -> bool:
        """Whether an answer claims to be from Postgres while Postgres could not be asked."""
        return (
            answer.source == "postgres"
            and request.fate != "postgres"
            and self._witness.postgres_was_gone(answer.sent, answer.received)
        )

    def _check_headers(self, request: Request, answer: Answer) -> None:
        headers = answer.headers
        if "x-data-source" not in headers:
            self._unflagged(request, answer, "does not say where it comes from")
        if (answer.status == 202) != ("x-durability" in headers):
            self._model.fault("lie", place(request), f"{told(request, answer)}: 202 and X-Durability belong together")
        self._check_source(request, answer)

    def _check_source(self, request: Request, answer: Answer) -> None:
        headers = answer.headers
        if answer.source == "memory" and not self.fallback:
            self.broken(request, answer, "an answer from memory in strict mode")
        if answer.source != "memory":
            return
        if not headers.get("x-data-origin", "").startswith(ORIGINS):
            self._unflagged(request, answer, "does not say what memory was filled from")
        if answer.as_of is None and headers.get("x-data-origin") != "empty":
            self._unflagged(request, answer, "does not say of when it is")

    def _unflagged(self, request: Request, answer: Answer, text: str) -> None:
        self._model.fault("stale", place(request), f"{told(request, answer)} {text}")


def place(request: Request) -> Slot:
    """What the request is about."""
    return request.slot or ("list", request.path)


def told(request: Request, answer: Answer) -> str:
    """The request and its answer in one line."""
    return f"{request.method} {request.path} once={request.once}: {answer.status} {answer.headers}"
