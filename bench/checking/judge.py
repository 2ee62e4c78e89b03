"""Reads what an answer promises or shows, tells the model, and notes each broken promise."""

from datetime import datetime

from checking.client import NOTHING, UNSENT, Answer, Request
from checking.contract import Contract, Witness, place, told
from checking.kinds import ADMIN, EVENT, KINDS, Slot, State
from checking.model import Model
from checking.tags import Tags
from checking.track import Waiting

CLOCKS = 0.05
"""Seconds by which our clock and that of Postgres, on one machine, may differ."""


class Judge:
    """Judges one answer at a time; the answers about one row come in their order."""

    def __init__(self, model: Model, witness: Witness) -> None:
        self._model = model
        self._witness = witness
        self._tags = Tags()
        self.contract = Contract(model, witness)
        self.saves = False
        """Whether such a write is on disk before its answer."""

    def judge(self, request: Request, answer: Answer, only: set[Slot] | None = None) -> None:
        """Judges an answer and tells the model; of a list only the rows in `only`, if given."""
        self._tell(request, answer)
        if not self.contract.check(request, answer):
            return
        if request.writes:
            self._written(request, answer)
        else:
            self._read(request, answer, only)

    def _tell(self, request: Request, answer: Answer) -> None:
        self._model.answers[_name(answer)] += 1
        line = f"{answer.sent:.3f} {answer.received:.3f} {request.method} {request.path} -> {request.state}"
        line += f" once={request.once}: {_name(answer)} {answer.headers.get('x-data-as-of', '')}"
        self._model.tell(line, request.slot)

    def judge_duel(self, exchanges: list[tuple[Request, Answer]], sent: float) -> None:
        """Tells the model of writes that several clients sent to one row at once: any of them may be the last."""
        for request, answer in exchanges:
            self._tell(request, answer)
            done = answer.status in range(200, 300)
            if request.slot is None or not request.writes or not (done or answer.status in {NOTHING, 503}):
                continue
            request.fate = "postgres" if done else "unknown"
            self._model.track(request.slot).doubtful(request.state, sent, answer.received)

    def _settle(self, answer: Answer) -> None:
        """Postgres answered a request that was sent after memory took a write, so the journal must be in Postgres."""
        if self._model.waits(answer.sent):
            conflicts = self._witness.conflicts(self._model.conflicts.last)
            self._model.settle(conflicts, answer.sent, answer.received)

    def _written(self, request: Request, answer: Answer) -> None:
        if request.slot is None:
            raise ValueError("a write is about one row")
        repeats = request.fate in {"postgres", "journal", "memory"}
        if answer.status in range(200, 300):
            self._acknowledged(request, answer, repeats=repeats)
        elif answer.status == NOTHING or (answer.status == 503 and _outcome(answer) == "unknown"):
            self._unknown(request, answer, repeats=repeats)
        elif answer.status == 503 and _outcome(answer) != "not_applied":
            self.contract.broken(request, answer, f"503 without outcome: {answer.body[:300]!r}")
        elif not repeats:
            self._refused(request, answer)
        elif answer.status != UNSENT and answer.status < 500:
            self._repeat_refused(request, answer)

    def _acknowledged(self, request: Request, answer: Answer, *, repeats: bool) -> None:
        slot = request.slot or ("", "")
        track = self._model.track(slot)
        self._learn(slot, request, answer)
        self._check_acknowledged(slot, request, answer, repeats=repeats)
        if answer.status == 202:
            durability = answer.headers.get("x-durability", "")
            clean = answer.headers.get("x-data-origin") == "postgres"
            waiting = Waiting(request.state, answer.received, durability == "journal", repeat=repeats, clean=clean)
            waiting.makes = request.method == "POST"
            waiting.certain = request.fate != "unknown"  # else Postgres may have done it before others changed the row
            track.accepted(waiting, answer.sent)
            request.fate = request.fate if repeats else durability
            return
        if repeats or answer.source == "memory":
            request.fate = "postgres"
            if request.state not in {None, track.latest}:
                track.repeated.add(request.state)
            return  # the kept answer of the first time: it says nothing about the row now
        self._settle(answer)
        if request.fate == "unknown" and track.latest != request.state:
            track.doubtful(request.state, answer.sent, answer.received)
        else:
            track.committed(request.state, answer.sent, answer.received)
        request.fate = "postgres"
        if slot[0] == "Vehicle" and request.state is None and self._model.linked:
            self._model.touch_all("Event", answer.received)  # the foreign key changed the events of that vehicle

    def _check_acknowledged(self, slot: Slot, request: Request, answer: Answer, *, repeats: bool) -> None:
        if request.outdated and not repeats:
            self._model.fault("lost", slot, f"{told(request, answer)}: If-Match named a state that was overwritten")
        if request.fate == "refused" and _was_done_before(answer):
            self._model.fault("flip", slot, f"{told(request, answer)}: an earlier attempt was told not_applied")

    def _learn(self, slot: Slot, request: Request, answer: Answer) -> None:
        """The key of the row, from the answer that shows it."""
        kind, row = KINDS[slot[0]], answer.json
        if request.state is None:
            return
        if row.get(kind.name) != slot[1] or row.get(kind.mark) != request.state:
            shown = f"{row.get(kind.name)} {row.get(kind.mark)}"
            self._model.fault("duplicate", slot, f"{request.method} of {request.state} was answered with {shown}")
        self._model.knows(slot, request.state, row[kind.key])
        self._note_tag(slot, answer)

    def _note_tag(self, slot: Slot, answer: Answer) -> None:
        tag = answer.headers.get("etag")
        if tag is not None and self._tags.seen(tag, slot, answer.body):
            self._model.fault("flip", slot, f"the ETag {tag} stands for two contents: {answer.body!r}")

    def _unknown(self, request: Request, answer: Answer, *, repeats: bool) -> None:
        slot = request.slot or ("", "")
        track = self._model.track(slot)
        if repeats:
            return
        request.fate = "unknown"
        track.doubtful(request.state, answer.sent, answer.received)
        if answer.status == NOTHING and self.contract.fallback:
            waiting = Waiting(request.state, answer.received, self.saves, certain=False, clean=False)
            waiting.makes = request.method == "POST"
            track.accepted(waiting, answer.sent)

    def _refused(self, request: Request, answer: Answer) -> None:
        track = self._model.track(request.slot or ("", ""))
        if request.fate != "unknown":
            request.fate = "refused"
            if answer.status == 503 or request.state is not None:
                track.refused.add(request.state)
        if answer.status == 404:
            self._absent(request, answer)
        if answer.status == 409 and request.method == "POST" and answer.json["code"] == "duplicate":
            self._taken(request, answer)

    def _taken(self, request: Request, answer: Answer) -> None:
        """A row with this name is there, the answer says."""
        track = self._model.track(place(request))
        states = track.possible | track.late | {waiting.state for waiting in track.waiting}
        if answer.source == "postgres" and states == {None}:
            self._model.fault("resurrected", track.slot, f"{told(request, answer)}: the row is gone")

    def _repeat_refused(self, request: Request, answer: Answer) -> None:
        """A repeat must get its first answer, unless that answer was in the memory of a process that has ended."""
        if answer.source == "postgres" and request.fate == "postgres" and answer.status != 409:
            slot = request.slot or ("", "")
            self._model.fault("flip", slot, f"a repeat of {request.once} was answered with {answer.status}")

    def _read(self, request: Request, answer: Answer, only: set[Slot] | None) -> None:
        if request.slot is None and answer.status == 200:
            self._listed(request, answer, only)
        elif request.slot is not None and answer.status == 200:
            self._note_tag(request.slot, answer)
            self._shows(request.slot, answer.json[KINDS[request.slot[0]].mark], answer)
        elif answer.status == 404:
            self._absent(request, answer)

    def _absent(self, request: Request, answer: Answer) -> None:
        """The row was not found under this key; a member who was created again may have another key."""
        track = self._model.track(request.slot or ("", ""))
        marks = track.possible | {waiting.state for waiting in track.waiting}
        if track.slot[0] == "Member" and not marks - {None} <= self._model.keys.keys():
            return  # a POST without an answer: the member may be there, under an id that no client knows
        keys = {self._model.keys[mark] for mark in marks if mark in self._model.keys}
        if all(request.path.endswith(f"/{key}") for key in keys):
            self._shows(track.slot, None, answer)

    def _listed(self, request: Request, answer: Answer, only: set[Slot] | None) -> None:
        kind = next(kind for kind in KINDS.values() if kind.path == request.path)
        found: dict[Slot, State] = {}
        for row in answer.json[kind.listed]:
            slot = (kind.resource, row[kind.name])
            if slot in found:
                self._model.fault("duplicate", slot, "twice in one list")
            if kind is EVENT and not self._model.made(slot, row["location"]):
                continue
            found[slot] = row[kind.mark]
            self._model.knows(slot, row[kind.mark], row[kind.key])
        found = {slot: mark for slot, mark in found.items() if mark != ADMIN}
        slots = {slot for slot in self._model.tracks if slot[0] == kind.resource} | found.keys()
        for slot in slots if only is None else slots & only:
            self._shows(slot, found.get(slot), answer)

    def _shows(self, slot: Slot, shown: State, answer: Answer) -> None:
        track = self._model.track(slot)
        if answer.source == "postgres":
            self._settle(answer)
            allowed = set(track.possible)
            fault = track.shown_by_postgres(shown, answer.received)
            fault = "stale" if fault == "lost" else fault
        else:
            allowed = {waiting.state for waiting in track.waiting}
            fault = track.shown_by_memory(shown, answer.as_of)
        if fault is not None:
            line = f"shown at {answer.sent:.3f}: {shown} by {answer.source} of {answer.as_of}; possible {allowed}"
            self._model.fault(fault, slot, f"{line} {answer.status} {answer.headers}")


def _was_done_before(answer: Answer) -> bool:
    """Whether the row that Postgres answers a write with was written before this attempt was sent."""
    row = answer.json if answer.source == "postgres" else None
    said = row.get("updatedAt") if isinstance(row, dict) else None
    return said is not None and datetime.fromisoformat(said).timestamp() < answer.sent - CLOCKS


def _name(answer: Answer) -> str:
    if answer.status in {NOTHING, UNSENT}:
        return "no answer" if answer.status == NOTHING else "nobody there"
    if answer.status == 503:
        return f"503 {answer.json.get('code')}"
    durability = answer.headers.get("x-durability")
    return f"{answer.status} {durability or answer.headers.get('x-data-source', '')}".strip()


def _outcome(answer: Answer) -> str | None:
    outcome: str | None = answer.json.get("outcome")
    return outcome
