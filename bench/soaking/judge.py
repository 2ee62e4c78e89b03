"""Reads what an answer promises or shows, tells the model, and notes each broken promise."""

from soaking.client import NOTHING, UNSENT, Answer, Request
from soaking.kinds import EVENT, KINDS, Slot, State
from soaking.model import CONFLICTS, Model
from soaking.surroundings import Database
from soaking.track import Waiting

ORIGINS = ("postgres", "snapshot", "backup:", "empty", "sample")


class Judge:
    """Judges one answer at a time; the answers about one row come in their order."""

    def __init__(self, model: Model, database: Database) -> None:
        self._model = model
        self._database = database
        self.fallback = False
        """Whether the service may take writes into memory."""

        self.saves = False
        """Whether such a write is on disk before its answer."""

    def judge(self, request: Request, answer: Answer, only: set[Slot] | None = None) -> None:
        """Judges an answer and tells the model; of a list only the rows in `only`, if given."""
        self._tell(request, answer)
        if answer.status >= 500 and answer.status != 503:
            self._broken(request, answer, f"{answer.status} {answer.body[:300]!r}")
        if answer.status in range(200, 300):
            self._check_headers(request, answer)
        if answer.status in {200, 201, 404, 412} and self._impossible(request, answer):
            self._unflagged(request, answer, "comes from nowhere: Postgres was gone")
        elif request.writes:
            self._written(request, answer)
        else:
            self._read(request, answer, only)

    def _tell(self, request: Request, answer: Answer) -> None:
        self._model.answers[_name(answer)] += 1
        told = f"{answer.sent:.3f} {answer.received:.3f} {request.method} {request.path} -> {request.state}"
        told += f" once={request.once}: {_name(answer)} {answer.headers.get('x-data-as-of', '')}"
        self._model.tell(told, request.slot)

    def _impossible(self, request: Request, answer: Answer) -> bool:
        """Whether an answer claims to be from Postgres while Postgres could not be asked."""
        gone = self._database.gone_since
        return gone is not None and answer.sent > gone and answer.source == "postgres" and request.fate != "postgres"

    def judge_duel(self, exchanges: list[tuple[Request, Answer]], sent: float) -> None:
        """Tells the model of writes that several clients sent to one row at once: any of them may be the last."""
        for request, answer in exchanges:
            self._tell(request, answer)
            done = answer.status in range(200, 300)
            if request.slot is None or not request.writes or not (done or answer.status in {NOTHING, 503}):
                continue
            request.fate = "postgres" if done else "unknown"
            self._model.track(request.slot).doubtful(request.state, sent, answer.received)

    def _broken(self, request: Request, answer: Answer, text: str) -> None:
        slot = request.slot or ("list", request.path)
        self._model.fault("bad answer", slot, f"{request.method} {request.path}: {text} {answer.headers}")

    def _check_headers(self, request: Request, answer: Answer) -> None:
        headers = answer.headers
        if "x-data-source" not in headers:
            self._unflagged(request, answer, "does not say where it comes from")
        if (answer.status == 202) != ("x-durability" in headers):
            self._broken(request, answer, "202 and X-Durability belong together")
        if answer.source != "memory":
            return
        if not headers.get("x-data-origin", "").startswith(ORIGINS):
            self._unflagged(request, answer, "does not say what memory was filled from")
        if answer.as_of is None and headers.get("x-data-origin") != "empty":
            self._unflagged(request, answer, "does not say of when it is")

    def _unflagged(self, request: Request, answer: Answer, text: str) -> None:
        slot = request.slot or ("list", request.path)
        self._model.fault("stale", slot, f"{request.method} {request.path} {answer.status} {text}: {answer.headers}")

    def _settle(self, answer: Answer) -> None:
        """Postgres answered a request that was sent after memory took a write, so the journal must be in Postgres."""
        if self._model.waits(answer.sent):
            conflicts = self._database.psql.run(CONFLICTS, self._model.conflicts.last)
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
            self._broken(request, answer, f"503 without outcome: {answer.body[:300]!r}")
        elif not repeats:
            self._refused(request, answer)
        elif answer.status != UNSENT and answer.status < 500:
            self._repeat_refused(request, answer)

    def _acknowledged(self, request: Request, answer: Answer, *, repeats: bool) -> None:
        slot = request.slot or ("", "")
        track = self._model.track(slot)
        self._learn(slot, request, answer)
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
            return  # the kept answer of the first time: it says nothing about the row now
        self._settle(answer)
        if request.fate == "unknown" and track.latest != request.state:
            track.doubtful(request.state, answer.sent, answer.received)
        else:
            track.committed(request.state, answer.sent, answer.received)
        request.fate = "postgres"
        if slot[0] == "Vehicle" and request.state is None:
            self._model.touch_all("Event", answer.received)  # the foreign key changed the events of that vehicle

    def _learn(self, slot: Slot, request: Request, answer: Answer) -> None:
        """The key of the row, from the answer that shows it."""
        kind, row = KINDS[slot[0]], answer.json
        if request.state is None:
            return
        if row.get(kind.name) != slot[1] or row.get(kind.mark) != request.state:
            shown = f"{row.get(kind.name)} {row.get(kind.mark)}"
            self._model.fault("duplicate", slot, f"{request.method} of {request.state} was answered with {shown}")
        self._model.knows(slot, request.state, row[kind.key])

    def _unknown(self, request: Request, answer: Answer, *, repeats: bool) -> None:
        slot = request.slot or ("", "")
        track = self._model.track(slot)
        if repeats:
            return
        request.fate = "unknown"
        track.doubtful(request.state, answer.sent, answer.received)
        if answer.status == NOTHING and self.fallback:
            waiting = Waiting(request.state, answer.received, self.saves, certain=False, clean=False)
            waiting.makes = request.method == "POST"
            track.accepted(waiting, answer.sent)

    def _refused(self, request: Request, answer: Answer) -> None:
        track = self._model.track(request.slot or ("", ""))
        if request.fate != "unknown":
            request.fate = "refused"
            track.refused |= {request.state} - {None}
        if answer.status == 404:
            self._absent(request, answer)

    def _repeat_refused(self, request: Request, answer: Answer) -> None:
        """A repeat must get its first answer, unless that answer was in the memory of a process that has ended."""
        if answer.source == "postgres" and request.fate == "postgres" and answer.status != 409:
            slot = request.slot or ("", "")
            self._model.fault("duplicate", slot, f"a repeat of {request.once} was answered with {answer.status}")

    def _read(self, request: Request, answer: Answer, only: set[Slot] | None) -> None:
        if request.slot is None and answer.status == 200:
            self._listed(request, answer, only)
        elif request.slot is not None and answer.status == 200:
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
        found = {slot: mark for slot, mark in found.items() if mark != "soak-admin"}
        slots = {slot for slot in self._model.tracks if slot[0] == kind.resource} | found.keys()
        for slot in slots if only is None else only:
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
            told = f"shown at {answer.sent:.3f}: {shown} by {answer.source} of {answer.as_of}; possible {allowed}"
            self._model.fault(fault, slot, f"{told} {answer.status} {answer.headers}")


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
