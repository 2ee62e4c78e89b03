"""The states that one row may be in: each acknowledgement changes them, and each answer is judged by them."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from checking.kinds import Slot, State

Fault = Literal["lost", "resurrected", "stale", "duplicate", "flip", "unexpected", "lie"]
"""What can be wrong.

lost: an acknowledged write is not there. resurrected: a deleted row is. stale: an answer shows an earlier state, and
does not say so. duplicate: one Idempotency-Key had its effect twice. flip: an outcome that was told changed later.
unexpected: an answer that the contract does not have. lie: a 2xx is not as durable as it says.
"""

FAULTS: tuple[Fault, ...] = get_args(Fault)
RECENT = 2.0
"""Seconds within which the mirror may not yet have a write of psql."""


@dataclass(slots=True)
class Waiting:
    """A write that memory took, or may have taken, and that Postgres may not have yet."""

    state: State
    at: float
    lasting: bool
    """Whether it is on disk: then only a conflict may keep it out of Postgres, and the operator is told."""

    certain: bool = True
    blind: bool = False
    """Whether psql had changed the row unseen by memory: the replay must make a conflict of this change."""

    repeat: bool = False
    """Whether it repeats a request that was carried out before, and so changes nothing."""

    clean: bool = True
    """Whether only the service wrote this row lately, and knows what became of each write: then no conflict is due.

    For example a POST is answered `unknown`, and memory takes another POST of the same key and its DELETE. If Postgres
    has the first row, the second is a conflict, and the DELETE was about a row that never came to Postgres.
    """

    replayed: bool = False
    """Whether its journal has ended: Postgres applied or refused it, and a conflict says which."""

    makes: bool = False
    """Whether it creates the row."""

    overtaken: bool = False
    """Whether psql wrote the row in Postgres after it: if this write was applied, it was applied before that.

    A write that creates the row is the exception: it may be applied after psql deleted the row.
    """


class Verdicts(Protocol):
    """What the replays said about the writes that they refused."""

    def of(self, slot: Slot, waiting: Waiting) -> Literal["refused", "deleted anyway"] | None:
        """The resolution that table `conflict` has for this write; None if the write is not there."""


@dataclass(slots=True)
class Track:
    """One row: what Postgres may hold, and what memory took on top."""

    slot: Slot
    possible: set[State] = field(default_factory=lambda: {None})
    late: set[State] = field(default_factory=set)
    """States of writes whose COMMIT may still reach a Postgres that hung."""

    waiting: list[Waiting] = field(default_factory=list)
    own: float = 0.0
    """When this process last acknowledged a write of the row from Postgres; its mirror has that write since then."""

    touched: float = 0.0
    latest: State = None
    """The state that the last write leaves, if it was carried out."""

    refused: set[State] = field(default_factory=set)
    """States of writes that were refused; None only until the next write is acknowledged."""

    repeated: set[State] = field(default_factory=set)
    """States of writes that were asked for again, with their key, after a later write."""

    announced: str = ""
    """What the last acknowledgement said of its durability: journal or memory; empty if it was Postgres."""

    blind: bool = False
    """Whether psql changed the row in the present outage, so that memory changes a state that is gone."""

    offered: State = None
    """A state that a restore under way may bring, until then."""

    offered_until: float = 0.0

    history: list[str] = field(default_factory=list)
    _seen: list[tuple[float, frozenset[State]]] = field(default_factory=lambda: [(0.0, frozenset({None}))])

    def committed(self, state: State, sent: float, at: float) -> None:
        """The service said that Postgres has this state."""
        self._becomes(state, sent, at)
        if state is None and self.slot[0] == "Member" and not self.own:
            return  # the slot is an e-mail: in an older backup another member has it, and was not deleted yet
        self.own = at

    def by_hand(self, state: State, sent: float, at: float, *, unseen: bool = False) -> None:
        """A person with psql wrote this state; `unseen`: while the service could not reach Postgres."""
        self._becomes(state, sent, at)
        self.blind = unseen
        self.touch(at)
        for waiting in self.waiting:
            waiting.overtaken = True

    def _becomes(self, state: State, sent: float, at: float) -> None:
        self.latest, self.announced = state, ""
        self.repeated.discard(state)
        self.refused.discard(None)
        self.possible.add(state)
        self.note(sent)
        self.possible = self._narrow(state, at)
        self.late.clear()
        self.note(at)

    def offer(self, state: State, sent: float, until: float) -> None:
        """A restore ran between the two moments: it may have brought this state, unless the row was deleted before."""
        if self.possible == {None}:
            return
        self.offered, self.offered_until = state, until
        self.possible.add(state)
        self.note(sent)

    def _narrow(self, state: State, at: float) -> set[State]:
        """This state, and what a restore may still bring; a deleted row it must not bring back."""
        return {state, self.offered} if state is not None and at < self.offered_until else {state}

    def touch(self, at: float) -> None:
        """Another write changed the row, or may have changed it."""
        self.touched = at
        for waiting in self.waiting:
            waiting.clean = False

    def doubtful(self, state: State, sent: float, at: float) -> None:
        """It is unknown whether Postgres has this state; a COMMIT on its way may still arrive."""
        self.latest = state
        self.refused.discard(None)
        self.possible.add(state)
        self.late.add(state)
        self.note(sent)
        self.touch(at)

    def accepted(self, waiting: Waiting, sent: float) -> None:
        """Memory took this write."""
        waiting.clean = waiting.clean and not self.late and waiting.at - self.touched > RECENT
        self.blind = self.blind and waiting.state is not None and not waiting.makes
        waiting.blind = self.blind
        self.waiting.append(waiting)
        self.latest, self.announced = waiting.state, "journal" if waiting.lasting else "memory"
        self.repeated.discard(waiting.state)
        self.refused.discard(None)
        self.note(sent)

    def note(self, at: float) -> None:
        """Notes the states that an answer may show from this moment on."""
        self._seen.append((at, frozenset(self.possible | {waiting.state for waiting in self.waiting})))

    def settle(self, verdicts: Verdicts, before: float, at: float) -> int:
        """The writes journaled before this moment are in Postgres or refused; the number of needless refusals."""
        settled = [waiting for waiting in self.waiting if waiting.at < before]
        self.waiting = [waiting for waiting in self.waiting if waiting.at >= before]
        made, needless = False, 0
        for waiting in settled:
            made = made or waiting.makes
            verdict = verdicts.of(self.slot, waiting)
            if verdict == "deleted anyway":
                self.possible = {None}
            elif verdict == "refused":
                needless += waiting.clean
            elif waiting.overtaken and made and not waiting.repeat:
                self.possible.add(waiting.state)
            elif not (waiting.repeat or waiting.overtaken or waiting.blind):
                sure = waiting.certain and (waiting.clean or waiting.state is not None)
                self.possible = {waiting.state} | (set() if sure else self.possible)
        self.late.clear()
        self.blind = False
        self.note(at)
        return needless

    def forget(self, *, perhaps_replayed: bool, journal: bool, at: float) -> None:
        """The service ended: writes that were only in its memory are lost, unless a replay came first."""
        for waiting in self.waiting:
            waiting.replayed = waiting.replayed or not journal
        gone = [waiting.state for waiting in self.waiting if not waiting.lasting]
        self.waiting = [waiting for waiting in self.waiting if waiting.lasting]
        self.own = 0.0
        if gone and perhaps_replayed:
            self.possible.update(gone)
        if gone:
            self.note(at)

    def shown_by_postgres(self, shown: State, at: float) -> Fault | None:
        """Judges a state that an answer says is in Postgres."""
        allowed = self.possible | {waiting.state for waiting in self.waiting}
        fault = self._fault(shown, allowed, "lost")
        if fault is not None or not self.waiting:
            self.possible = self._narrow(shown, at) | self.late
            self.note(at)
        return fault

    def shown_by_memory(self, shown: State, as_of: float | None) -> Fault | None:
        """Judges a state that memory shows as of this moment."""
        allowed: set[State] = set()
        moved_on = any(waiting.replayed or (as_of is not None and as_of > waiting.at) for waiting in self.waiting)
        for waiting in reversed(self.waiting):
            allowed.add(waiting.state)
            if waiting.certain and not waiting.repeat and not moved_on:
                return self._fault(shown, allowed, "stale")
        return self._fault(shown, allowed | self._since(max(as_of or 0.0, self.own)), "stale")

    def _since(self, at: float) -> set[State]:
        """Every state that the row may have had at this moment or after it."""
        found: set[State] = set()
        for start, states in reversed(self._seen):
            found |= states
            if start <= at:
                break
        return found

    def _fault(self, shown: State, allowed: set[State], otherwise: Fault) -> Fault | None:
        if shown in allowed:
            return None
        if shown in self.repeated:
            return "duplicate"
        if shown in self.refused:
            return "flip"
        if otherwise == "lost" and self.announced == "journal":
            return "lie"
        return "resurrected" if allowed == {None} else otherwise
