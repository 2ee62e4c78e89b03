"""Clients that create, change, delete, read and repeat without a pause for thought, and keep every answer."""

import threading
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from checking.client import NOTHING, UNSENT, Answer, Client, Request
from checking.kinds import ADMIN, EVENT, KINDS, MEMBER, VEHICLE, Slot, State

from retrobus.model.ids import new_id

PAUSE = 0.1
"""Seconds between two requests of a client: the two cores stay free enough for latencies that mean something."""

AGAIN = 0.25
"""Seconds after which a write that got no good answer is sent again with the same Idempotency-Key."""

OWN = {"Event": 4, "Vehicle": 2, "Member": 2}
"""Rows of each resource that a client has, and that no other client writes."""

NEW = 6
"""The last events with an id of the server's choice that a client goes on changing."""

Exchange = tuple[Request, Answer]


@dataclass(slots=True)
class Known:
    """What the client believes of one of its rows."""

    there: bool = False
    key: str = ""
    etag: str | None = None
    """The ETag of its last answer from Postgres; None if the row may have changed since."""

    overwritten: str | None = None
    """An ETag that was overwritten by a write that Postgres has."""


class Person(threading.Thread):
    """One client; what it sends depends on what it was answered, and on chance."""

    def __init__(self, name: str, client: Client) -> None:
        super().__init__(name=name, daemon=True)
        self.exchanges: list[Exchange] = []
        self._own = list(_own(name))
        self.known = {slot: Known(key=slot[1]) for slot in self._own}
        self.strangers: set[Slot] = set()
        """Rows that psql wrote too: a journaled write of them may be refused, and its repeat is then a new write."""

        self.error: BaseException | None = None
        """What ended it before it was stopped: then the run proves nothing."""

        self._client = client
        self._random = Random(name)
        self._over = threading.Event()
        self._done: deque[Request] = deque(maxlen=12)
        self._new: deque[Slot] = deque(maxlen=NEW)
        self._marks = (f"{name}-m{number}" for number in range(1_000_000))

    def stop(self) -> None:
        """Ends it after the request that is under way."""
        self._over.set()

    def run(self) -> None:
        """Sends requests until it is stopped."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the run must hear of it
            self.error = error

    def _work(self) -> None:
        steps = (self._create, self._create_new, self._update, self._conditional, self._outdated, self._delete,
                 self._get, self._list, self._repeat)  # fmt: skip
        weights = (18, 5, 18, 10, 3, 13, 20, 3, 7)
        while not self._over.wait(PAUSE):
            request = self._random.choices(steps, weights)[0]()
            if request is not None:
                self._send(request)
        self._client.close()

    def _send(self, request: Request) -> None:
        """Sends a request; a write with a key is sent again, with reads between, until the service says what it did."""
        patient = request.once is not None and self._random.random() < 0.75
        while True:
            answer = self._client.send(request)
            self.exchanges.append((request, answer))
            if request.slot is not None:
                self._learn(request, request.slot, answer)
            busy = answer.status == 409 and answer.json["code"] == "request_in_progress"
            again = busy or answer.status in {503, NOTHING, UNSENT}
            if not (again and patient and request.writes) or self._over.wait(AGAIN):
                return
            self._send(self._random.choice((self._get, self._get, self._get, self._list))())

    def _learn(self, request: Request, slot: Slot, answer: Answer) -> None:
        known = self.known[slot]
        if request.step == "repeat":
            known.etag = None
        elif answer.status in {200, 201, 202} and request.method == "DELETE":
            known.there, known.etag, known.overwritten = False, None, None
            self._remember(request, answer)
        elif answer.status in {200, 201, 202}:
            self._saw(known, slot, answer, changed=request.writes)
            self._remember(request, answer)
        elif answer.status == 404:
            known.there, known.etag, known.overwritten = False, None, None
        elif answer.status == 409:
            known.there = True
        elif request.writes:
            known.etag = None

    def _saw(self, known: Known, slot: Slot, answer: Answer, *, changed: bool) -> None:
        lasting = answer.source == "postgres"
        tag = answer.headers.get("etag") if lasting else None
        known.overwritten = known.etag if changed and lasting and known.etag != tag else known.overwritten
        known.there, known.key, known.etag = True, answer.json[KINDS[slot[0]].key], tag

    def _remember(self, request: Request, answer: Answer) -> None:
        if request.once and answer.source == "postgres" and request not in self._done:
            self._done.append(request)

    def _pick(self, *, there: bool) -> Slot | None:
        """One of its rows, which it believes to be there or not."""
        slots = [slot for slot, known in self.known.items() if known.there == there and self._is_live(slot)]
        return self._random.choice(slots) if slots else None

    def _is_live(self, slot: Slot) -> bool:
        return slot in self._own or slot in self._new

    def _create(self) -> Request | None:
        slot = self._pick(there=False)
        if slot is None or slot in self._new:
            return None
        kind, mark = KINDS[slot[0]], next(self._marks)
        once = self._once() if kind is MEMBER else self._maybe()
        if kind is MEMBER:
            self.known[slot].key = new_id(ADMIN, once or "")
        return Request("create", "POST", kind.path, slot, mark, _body(slot, mark), once)

    def _create_new(self) -> Request:
        """An event whose id the server chooses: only the Idempotency-Key keeps it from being there twice."""
        once, mark = self._once(), next(self._marks)
        slot = ("Event", new_id(ADMIN, once))
        self.known[slot] = Known(key=slot[1])
        self._new.append(slot)
        body = _body(slot, mark) | {"location": once}
        del body["id"]
        return Request("create", "POST", EVENT.path, slot, mark, body, once)

    def _update(self) -> Request | None:
        return self._change(self._random.choice(("PATCH", "PUT")), lambda known: known.there)

    def _conditional(self) -> Request | None:
        """A change of the row as it was last seen."""
        request = self._change("PATCH", lambda known: known.there and known.etag is not None)
        if request is not None and request.slot is not None:
            request.match = self.known[request.slot].etag
        return request

    def _outdated(self) -> Request | None:
        """A change of a row as it was before another change: it must be refused."""
        request = self._change("PATCH", lambda known: known.there and bool(known.etag and known.overwritten))
        if request is not None and request.slot is not None:
            request.match, request.outdated = self.known[request.slot].overwritten, True
        return request

    def _change(self, method: str, suits: Any) -> Request | None:
        slots = [slot for slot, known in self.known.items() if suits(known) and self._is_live(slot)]
        if not slots:
            return None
        slot = self._random.choice(slots)
        kind, mark = KINDS[slot[0]], next(self._marks)
        path = f"{kind.path}/{self.known[slot].key}"
        return Request("update", method, path, slot, mark, {kind.mark: mark}, self._maybe())

    def _delete(self) -> Request | None:
        slot = self._pick(there=True)
        if slot is None:
            return None
        path = f"{KINDS[slot[0]].path}/{self.known[slot].key}"
        return Request("delete", "DELETE", path, slot, once=self._maybe())

    def _get(self) -> Request:
        slot = self._random.choice([slot for slot in self.known if self._is_live(slot)])
        return Request("get", "GET", f"{KINDS[slot[0]].path}/{self.known[slot].key}", slot)

    def _list(self) -> Request:
        return Request("list", "GET", self._random.choice((EVENT, VEHICLE, MEMBER)).path)

    def _repeat(self) -> Request | None:
        """A write that was done before: it must be answered again, and not be done again."""
        done = [request for request in self._done if request.slot not in self.strangers]
        if not done:
            return None
        request = self._random.choice(done)
        request.step = "repeat"
        return request

    def _once(self) -> str:
        return f"once-{uuid.UUID(int=self._random.getrandbits(128))}"

    def _maybe(self) -> str | None:
        return self._once() if self._random.random() < 0.7 else None


def _own(name: str) -> Iterator[Slot]:
    for resource, number in OWN.items():
        for index in range(number):
            yield resource, f"{name}-{index}@example.org" if resource == "Member" else f"{name}-{index}"


def _body(slot: Slot, mark: State) -> dict[str, Any]:
    kind = KINDS[slot[0]]
    body: dict[str, Any] = {kind.name: slot[1], kind.mark: mark}
    return body | ({"date": "2026-05-01T09:30:00.000Z"} if kind is EVENT else {})
