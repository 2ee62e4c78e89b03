"""What one row may be by now: every acknowledgement is remembered, every answer is judged by it."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from soaking.kinds import Slot, State

Fault = Literal["lost", "resurrected", "stale", "duplicate", "refused yet applied", "bad answer"]
RECENT = 2.0
"""Seconds within which the mirror may not know what somebody else wrote."""


@dataclass(slots=True)
class Waiting:
    """A write that memory took, or perhaps took, and that Postgres may not have yet."""

    state: State
    at: float
    lasting: bool
    """Whether it is on disk: nothing may lose it but a conflict that an operator is told of."""

    certain: bool = True
    repeat: bool = False
    """Whether it repeats a request that was carried out before: it changes nothing any more."""

    clean: bool = True
    """Whether nobody but the service wrote this row lately: then no conflict can be about it."""

    replayed: bool = False
    """Whether its journal is gone: Postgres took it or refused it, and a conflict tells which."""

    makes: bool = False
    """Whether it makes the row."""

    overtaken: bool = False
    """Whether somebody else wrote the row in Postgres after it: what was not refused came before that.

    Unless it makes the row, which it may do after the other deleted it.
    """


class Verdicts(Protocol):
    """What the replays said of the writes that they did not take."""

    def of(self, slot: Slot, waiting: Waiting) -> Literal["refused", "deleted anyway"] | None:
        """How the table `conflict` tells of this write; None if it does not."""


@dataclass(slots=True)
class Track:
    """One row: what Postgres may hold, and what memory took on top."""

    slot: Slot
    possible: set[State] = field(default_factory=lambda: {None})
    late: set[State] = field(default_factory=set)
    """States of writes whose COMMIT may still reach a Postgres that hung."""

    waiting: list[Waiting] = field(default_factory=list)
    own: float = 0.0
    """When this process last acknowledged a write of the row in Postgres: its mirror has it since."""

    touched: float = 0.0
    latest: State = None
    """What the last write that may have been carried out leaves."""

    refused: set[State] = field(default_factory=set)
    history: list[str] = field(default_factory=list)
    _seen: list[tuple[float, frozenset[State]]] = field(default_factory=lambda: [(0.0, frozenset({None}))])

    def committed(self, state: State, sent: float, at: float) -> None:
        """The service said that Postgres has this."""
        self._becomes(state, sent, at)
        self.own = at

    def by_hand(self, state: State, sent: float, at: float) -> None:
        """Somebody with psql wrote this."""
        self._becomes(state, sent, at)
        self.touch(at)
        for waiting in self.waiting:
            waiting.overtaken = True

    def _becomes(self, state: State, sent: float, at: float) -> None:
        self.latest = state
        self.possible.add(state)
        self.note(sent)
        self.possible = {state}
        self.late.clear()
        self.note(at)

    def touch(self, at: float) -> None:
        """Somebody else changed the row, or nobody knows whether it changed."""
        self.touched = at
        for waiting in self.waiting:
            waiting.clean = False

    def doubtful(self, state: State, sent: float, at: float) -> None:
        """Nobody could say whether Postgres took this; a COMMIT on its way may yet arrive."""
        self.latest = state
        self.possible.add(state)
        self.late.add(state)
        self.note(sent)
        self.touch(at)

    def accepted(self, waiting: Waiting, sent: float) -> None:
        """Memory took this."""
        waiting.clean = waiting.clean and waiting.at - self.touched > RECENT
        self.waiting.append(waiting)
        self.latest = waiting.state
        self.note(sent)

    def note(self, at: float) -> None:
        """From this moment on an answer may show what is possible now."""
        self._seen.append((at, frozenset(self.possible | {waiting.state for waiting in self.waiting})))

    def settle(self, verdicts: Verdicts, before: float, at: float) -> int:
        """What was journaled before this moment is in Postgres unless it was refused; how many refusals had no need."""
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
            elif not (waiting.repeat or waiting.overtaken):
                sure = waiting.certain and (waiting.clean or waiting.state is not None)
                self.possible = {waiting.state} | (set() if sure else self.possible)
        self.late.clear()
        self.note(at)
        return needless

    def forget(self, *, perhaps_replayed: bool, journal: bool, at: float) -> None:
        """The service ended: what was only in its memory is gone, unless a replay came first."""
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
        """Judges what Postgres is said to hold."""
        allowed = self.possible | {waiting.state for waiting in self.waiting}
        fault = self._fault(shown, allowed, "lost")
        if fault is not None or not self.waiting:
            self.possible = {shown} | self.late
            self.note(at)
        return fault

    def shown_by_memory(self, shown: State, as_of: float | None) -> Fault | None:
        """Judges what memory shows and says to be of this moment."""
        allowed: set[State] = set()
        moved_on = any(waiting.replayed or (as_of is not None and as_of > waiting.at) for waiting in self.waiting)
        for waiting in reversed(self.waiting):
            allowed.add(waiting.state)
            if waiting.certain and not waiting.repeat and not moved_on:
                return self._fault(shown, allowed, "stale")
        return self._fault(shown, allowed | self._since(max(as_of or 0.0, self.own)), "stale")

    def _since(self, at: float) -> set[State]:
        """Every state that the row may have had at this moment or later."""
        found: set[State] = set()
        for start, states in reversed(self._seen):
            found |= states
            if start <= at:
                break
        return found

    def _fault(self, shown: State, allowed: set[State], otherwise: Fault) -> Fault | None:
        if shown in allowed:
            return None
        if shown in self.refused:
            return "refused yet applied"
        return "resurrected" if allowed == {None} else otherwise
