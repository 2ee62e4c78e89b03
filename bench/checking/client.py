"""HTTP on connections that stay open; each answer with the times of sending and receiving."""

import json
import select
import time
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any

from checking.kinds import Slot, State

PATIENCE = 20.0
NOTHING = 0
"""The status of a request to which no answer came."""

UNSENT = -1
"""The status of a request that could not be sent because no service was listening."""


@dataclass(slots=True)
class Request:
    """One request, the row that it is about, and the state that it leaves there if it is carried out."""

    step: str
    method: str
    path: str
    slot: Slot | None = None
    state: State = None
    body: dict[str, Any] | None = None
    once: str | None = None
    match: str | None = None
    """The ETag that the row must have."""

    outdated: bool = False
    """Whether that ETag is known to be of a state that was overwritten."""

    fate: str = ""
    """What became of it: postgres, journal, memory, refused or unknown; empty as long as it was not sent."""

    @property
    def writes(self) -> bool:
        """Whether it is a write."""
        return self.method != "GET"


@dataclass(slots=True)
class Answer:
    """What came back, and when; the status is NOTHING or UNSENT if nothing did."""

    status: int
    sent: float
    received: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    clock: float = 0.0
    """Seconds by which the service's clock was ahead."""

    @property
    def json(self) -> Any:
        """The body's value; None if there is none."""
        return json.loads(self.body) if self.body else None

    @property
    def source(self) -> str:
        """The source that the answer names; an answer without a source claims to be from Postgres."""
        return self.headers.get("x-data-source", "postgres")

    @property
    def as_of(self) -> float | None:
        """The last instant at which memory was up to date, if the answer names it."""
        said = self.headers.get("x-data-as-of")
        return None if said is None else datetime.fromisoformat(said).timestamp() - self.clock


_START = time.time() - time.monotonic()


def now() -> float:
    """Seconds since 1970 by a clock that is never set: two moments can be compared, and so can X-Data-As-Of."""
    return _START + time.monotonic()


class Client:
    """One connection to the service, opened again whenever it is lost."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection: HTTPConnection | None = None

    def send(self, request: Request) -> Answer:
        """Sends a request and waits for its answer."""
        sent = now()
        try:
            connection = self._open()
        except OSError:
            return Answer(UNSENT, sent, now())
        headers = self._headers | ({"Idempotency-Key": request.once} if request.once else {})
        headers |= {"If-Match": request.match} if request.match else {}
        body = None if request.body is None else json.dumps(request.body).encode()
        try:
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self.close()
            return Answer(NOTHING, sent, now())
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, sent, now(), found, content)

    def _open(self) -> HTTPConnection:
        kept = self._connection.sock if self._connection is not None else None
        if kept is None or select.select([kept], [], [], 0)[0]:
            self.close()  # the service ended it: a request sent now would be lost without an error
        if self._connection is None:
            connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            connection.connect()
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
