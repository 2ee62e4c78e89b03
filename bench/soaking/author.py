"""Makes the random requests: mostly plausible ones, some repeats, some that must be refused."""

from itertools import count
from random import Random
from typing import Any

from checking.client import Request
from checking.kinds import ADMIN, EVENT, KINDS, MEMBER, VEHICLE, Kind, Slot, State
from checking.model import Model
from soaking.slots import SLOTS, VEHICLES

from retrobus.model.ids import new_id

REMEMBERED = 200


class Author:
    """Makes requests; each write leaves a mark in its row that no other write leaves."""

    def __init__(self, random: Random, model: Model) -> None:
        self._random = random
        self._model = model
        self._marks = (f"m{number}" for number in count(1))
        self._onces = (f"once-{random.getrandbits(20):05x}-{number}" for number in count(1))
        self._keyed: list[Request] = []
        self._made: list[Slot] = []
        """Events whose id the server chose."""

    def any(self) -> Request:
        """The next request of a client."""
        steps = (self.create, self.update, self.delete, self.get, self.list_all, self.create_event, self.repeat)
        return self._random.choices(steps, (16, 22, 12, 22, 10, 3, 8))[0]()

    def slot(self, resource: str | None = None) -> Slot:
        """A random row, which may exist or not."""
        slots = [slot for slot in (*SLOTS, *self._made[-8:]) if resource in {None, slot[0]}]
        return self._random.choice(slots)

    def mark(self) -> str:
        """A mark that no row has had before."""
        return next(self._marks)

    def create(self, slot: Slot | None = None) -> Request:
        """POST of a row whose key the client chooses."""
        slot = slot or self.slot()
        kind, mark = KINDS[slot[0]], self.mark()
        request = Request("create", "POST", kind.path, slot, mark, self._body(kind, slot[1], mark), self._maybe_once())
        if request.once and kind is MEMBER:
            self._model.knows(slot, mark, new_id(ADMIN, request.once))
        return self._remember(request)

    def create_event(self) -> Request:
        """POST of an event whose id the server chooses; only its Idempotency-Key keeps it from being there twice."""
        once, mark = next(self._onces), self.mark()
        slot = ("Event", new_id(ADMIN, once))
        self._made.append(slot)
        body = self._body(EVENT, "", mark) | {"location": once}
        del body["id"]
        return self._remember(Request("create", "POST", EVENT.path, slot, mark, body, once))

    def update(self, slot: Slot | None = None) -> Request:
        """PATCH or PUT of the mark."""
        slot = slot or self._living()
        kind, mark, key = KINDS[slot[0]], self.mark(), self._key(slot)
        self._model.knows(slot, mark, key)
        method = self._random.choice(("PATCH", "PUT"))
        body = {kind.mark: mark}
        return self._remember(Request("update", method, f"{kind.path}/{key}", slot, mark, body, self._maybe_once()))

    def delete(self, slot: Slot | None = None) -> Request:
        """DELETE of a row."""
        slot = slot or self._living()
        path = f"{KINDS[slot[0]].path}/{self._key(slot)}"
        return self._remember(Request("delete", "DELETE", path, slot, once=self._maybe_once()))

    def get(self, slot: Slot | None = None) -> Request:
        """GET of one row, also of one that is gone."""
        slot = slot or self.slot()
        return Request("get", "GET", f"{KINDS[slot[0]].path}/{self._key(slot)}", slot)

    def list_all(self) -> Request:
        """GET of every row of a resource."""
        return Request("list", "GET", self._random.choice((EVENT, VEHICLE, MEMBER)).path)

    def repeat(self) -> Request:
        """A request that was sent before, with its Idempotency-Key; any other if there is none."""
        known = [request for request in self._keyed if not self._was_refused_later(request)]
        if not known:
            return self.create()
        request = known[-1 - min(int(self._random.expovariate(0.1)), len(known) - 1)]
        request.step = "repeat"
        return request

    def plan(self, slot: Slot, length: int) -> list[Request]:
        """Requests that a client sends to one row one after the other, whatever the answers are."""
        steps = (self.create, self.update, self.delete, self.get)
        return [self._random.choices(steps, (3, 4, 2, 3))[0](slot) for _ in range(length)]

    def service_ended(self) -> None:
        """The service ended: requests that only its memory had taken may be lost, so their outcome is unknown now."""
        for request in self._keyed:
            if request.fate == "memory":
                request.fate = "unknown"

    def _was_refused_later(self, request: Request) -> bool:
        """Whether the replay made a conflict of this write; a repeat of it is then a new request."""
        taken = request.fate in {"journal", "memory"}
        return taken and (request.state is None or request.state in self._model.conflicts.marks)

    def _remember(self, request: Request) -> Request:
        if request.once is not None:
            self._keyed.append(request)
            del self._keyed[:-REMEMBERED]
        return request

    def _maybe_once(self) -> str | None:
        return next(self._onces) if self._random.random() < 0.5 else None

    def _living(self) -> Slot:
        """A row that probably exists."""
        there = [slot for slot, track in self._model.tracks.items() if track.latest is not None]
        return self._random.choice(there) if there and self._random.random() < 0.85 else self.slot()

    def _key(self, slot: Slot) -> str:
        if slot[0] != "Member":
            return slot[1]
        return next((self._model.keys[mark] for mark in self._marks_of(slot) if mark in self._model.keys), "nobody")

    def _marks_of(self, slot: Slot) -> list[State]:
        track = self._model.track(slot)
        return [waiting.state for waiting in reversed(track.waiting)] + [track.latest, *track.possible]

    def _body(self, kind: Kind, name: str, mark: str) -> dict[str, Any]:
        body: dict[str, Any] = {kind.name: name, kind.mark: mark}
        if kind is EVENT:
            body["date"] = "2026-05-01T09:30:00.000Z"
            if self._random.random() < 0.3:
                body["vehicleId"] = self._random.choice(VEHICLES)
        return body
