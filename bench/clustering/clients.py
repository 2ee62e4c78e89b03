"""Clients that create, change, delete, read and retry during the whole run, and note each call."""

import json
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

from checking.tags import Tags
from clustering.history import Row, State

PATIENCE = 12.0
"""Seconds that a client waits for an answer; each wait inside the service is shorter."""

RETRY_PAUSE = 0.4
RECENT = 40
"""The number of rows that a client keeps changing; older rows stay as they are for the final check."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; status 0 if none came, -1 if the connection was refused and nothing was sent."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def fate(self) -> str:
        """The outcome of a write by this answer: ok, failed or unknown."""
        if 200 <= self.status < 300:
            return "ok"
        if self.status in {0, 500} or self.body.get("outcome") == "unknown":
            return "unknown"
        return "failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the history, with monotonic times."""

    service: str
    verb: str
    row: str
    once: str | None
    status: int
    fate: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Habits:
    """How a client works: whether it only reads, and the seconds between two of its requests."""

    reads_only: bool
    pause: float


class Connection:
    """HTTP to one service, on a connection that is opened again when it is lost."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._open: HTTPConnection | None = None

    def send(self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]) -> Answer:
        """Sends a request and waits for its answer."""
        if self._open is None:
            self._open = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                self._open.connect()
            except OSError:
                self.close()
                return Answer(-1, {}, {})
        try:
            self._open.request(method, path, json.dumps(body) if body else None, self._headers | headers)
            response = self._open.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self.close()
            return Answer(0, {}, {})
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, json.loads(content) if content else {})

    def close(self) -> None:
        """Ends the connection; the next request opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None


class Client(threading.Thread):
    """One client of one service; no other client writes its rows."""

    def __init__(self, name: str, service: str, connection: Connection, tags: Tags, habits: Habits) -> None:
        super().__init__(name=name, daemon=True)
        self.rows: list[Row] = []
        self.calls: list[Call] = []
        self.oddities: Counter[str] = Counter()
        self._service = service
        self._connection = connection
        self._tags = tags
        self._random = Random(name)
        self._habits = habits
        self._stopped = threading.Event()
        self._marks = 0
        self._hot = self._new_row()
        """A row that changes often, so that a version that is drawn twice shows on one address."""

        self._recent = deque([self._hot], RECENT)

    def stop(self) -> None:
        """Ends the client after the call that is running."""
        self._stopped.set()

    def run(self) -> None:
        """Works until it is stopped."""
        steps = (self._create, self._create_unnamed, self._update, self._delete, self._read, self._list)
        weights = (0, 0, 0, 0, 4, 1) if self._habits.reads_only else (28, 6, 28, 16, 14, 2)
        while not self._stopped.wait(self._habits.pause):
            self._random.choices(steps, weights)[0]()
        self._connection.close()

    def _mark(self) -> str:
        self._marks += 1
        return f"{self.name}-m{self._marks}"

    def _living(self) -> Row | None:
        living = [row for row in self._recent if not row.doubted and None not in row.possible]
        return self._random.choice(living) if living else None

    def _create(self) -> None:
        row, mark = self._absent(), self._mark()
        self._write("POST", "/api/events", row, mark, {"id": row.name, **_body(row, mark)})

    def _absent(self) -> Row:
        """The row that changes often if it is not there, one that was deleted, or a new one."""
        gone = [row for row in self._recent if row.possible == {None} and not row.doubted]
        if self._hot in gone:
            return self._hot
        if gone and self._random.random() < 0.2:
            return self._random.choice(gone)
        row = self._new_row()
        self._recent.append(row)
        return row

    def _create_unnamed(self) -> None:
        """Creates a row whose id the server chooses; only its Idempotency-Key prevents a second one."""
        row, mark = self._new_row(), self._mark()
        self._write("POST", "/api/events", row, mark, _body(row, mark), keyed=True)

    def _new_row(self) -> Row:
        row = Row(f"{self.name}-r{len(self.rows)}")
        self.rows.append(row)
        return row

    def _update(self) -> None:
        row, mark = self._hot if self._random.random() < 0.3 else self._living(), self._mark()
        if row is not None and row.possible != {None} and not row.doubted:
            self._write("PATCH", f"/api/events/{row.name}", row, mark, {"title": mark})

    def _delete(self) -> None:
        row = self._living()
        if row is not None and row is not self._hot:
            self._write("DELETE", f"/api/events/{row.name}", row, None, None)

    def _write(
        self, method: str, path: str, row: Row, state: State, body: dict[str, str] | None, *, keyed: bool = False
    ) -> None:
        """Sends a write. After 503 or silence it is mostly sent again with the same key, until an answer comes."""
        once = str(uuid.uuid4()) if keyed or self._random.random() < 0.8 else None
        patient = once is not None and self._random.random() < 0.85
        while True:
            answer = self._call(method, path, row, body, once)
            again = self._understood(answer, method, row, state)
            if not (again and patient) or self._stopped.wait(RETRY_PAUSE):
                return

    def _understood(self, answer: Answer, method: str, row: Row, state: State) -> bool:
        """Notes the outcome of a write for its row; whether the write should be sent again."""
        if answer.fate == "ok":
            row.acknowledged(state)
            self._note_tag(answer)
            return False
        if answer.fate == "unknown":
            row.unknown(state)
            return True
        if answer.status in {503, -1}:
            row.not_applied(state)
            return True
        return self._contradicted(answer, method, row)

    def _contradicted(self, answer: Answer, method: str, row: Row) -> bool:
        code = answer.body.get("code")
        if code == "request_in_progress":
            return True
        if code == "duplicate" and method == "POST" and row.possible != {None}:
            row.possible.discard(None)
        elif code == "not_found" and method != "POST":
            if row.may_be(None):
                row.acknowledged(None)
        elif code == "duplicate":
            row.doubted = True  # it was deleted, and this answer shows it
        else:
            self.oddities[f"{answer.status} {code}"] += 1
        return False

    def _read(self) -> None:
        rows = [row for row in self._recent if not row.doubted]
        if self._habits.reads_only:
            self._call("GET", f"/api/events/nothing-{self._random.randrange(99)}", Row("-"), None, None)
        elif rows:
            row = self._random.choice(rows)
            answer = self._call("GET", f"/api/events/{row.name}", row, None, None)
            if answer.status == 200:
                self._note_tag(answer)
                row.may_be(answer.body["title"])
            elif answer.status == 404:
                row.may_be(None)

    def _list(self) -> None:
        self._call("GET", "/api/events?limit=20", Row("-"), None, None)

    def _note_tag(self, answer: Answer) -> None:
        tag, name = answer.headers.get("etag"), answer.body.get("location")
        if tag and name:
            self._tags.seen(tag, name, answer.body["title"])

    def _call(self, method: str, path: str, row: Row, body: dict[str, str] | None, once: str | None) -> Answer:
        started = time.monotonic()
        answer = self._connection.send(method, path, body, {"Idempotency-Key": once} if once else {})
        ended = time.monotonic()
        self.calls.append(Call(self._service, method, row.name, once, answer.status, answer.fate, started, ended))
        told = answer.headers.get("x-data-source", "")
        word = answer.body.get("title") or answer.body.get("code", "")
        row.story.append(
            f"{ended:.2f} {method} {answer.status} {answer.fate} {told} {word} {answer.headers.get('etag', '')}"
        )
        return answer


def _body(row: Row, mark: str) -> dict[str, str]:
    return {"title": mark, "location": row.name, "date": "2026-05-01T09:30:00.000Z"}
