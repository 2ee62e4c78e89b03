"""What the clients did to each row and what they were answered, compared with the final database."""

from collections import Counter
from dataclasses import dataclass, field

State = str | None
"""The mark (title) that a write left in a row; None: there is no such row."""

ZEROS = ("lost", "resurrected", "duplicate", "not_applied yet applied", "500", "unexpected")
"""Counts that must be zero if the database itself loses nothing."""


@dataclass(slots=True)
class Row:
    """One row, which only one client writes, and the states that it may be in by the answers."""

    name: str
    possible: set[State] = field(default_factory=lambda: {None})
    refused: set[State] = field(default_factory=set)
    """States whose write was only ever answered `not_applied`."""

    unsure: set[State] = field(default_factory=set)
    """States whose write was answered `unknown` or not at all."""

    doubted: bool = False
    """A read contradicted the acknowledgements: clients leave the row alone, and the final database shows why."""

    story: list[str] = field(default_factory=list)

    def acknowledged(self, state: State) -> None:
        """A 2xx: the row is in this state and in no other."""
        self.possible = {state}

    def unknown(self, state: State) -> None:
        """The outcome of the write is unknown."""
        self.possible.add(state)
        self.unsure.add(state)

    def not_applied(self, state: State) -> None:
        """The service said that the write changed nothing."""
        if state not in self.possible and state not in self.unsure:
            self.refused.add(state)

    def may_be(self, state: State) -> bool:
        """Whether a read of this state agrees with what was acknowledged; if not, the row is in doubt."""
        self.doubted = self.doubted or state not in self.possible
        return state in self.possible


@dataclass
class Verdict:
    """The counts, and the history of the first rows that are wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    """Rows lost or resurrected, by the letter of the service that acknowledged them."""

    stories: list[str] = field(default_factory=list)

    def add(self, kind: str, row: Row, found: object) -> None:
        """Notes a row that is not what its answers said."""
        self.counts[kind] += 1
        if kind in {"lost", "resurrected"}:
            self.losses[row.name[0]] += 1
        if self.counts[kind] <= 2:
            told = "\n    ".join(row.story[-8:])
            self.stories.append(
                f"{kind} {row.name}: found {found}, may be {sorted(map(str, row.possible))}\n    {told}"
            )


def judge(rows: list[Row], final: dict[str, list[str]], conflicts: set[str]) -> Verdict:
    """Compares every row with the final database: the titles by row name, and the rows with an open conflict."""
    verdict = Verdict()
    for row in rows:
        titles = final.get(row.name, [])
        if len(titles) > 1:
            verdict.add("duplicate", row, titles)
            continue
        kind = _kind(row, titles[0] if titles else None)
        if kind and row.name in conflicts:
            kind = "conflict"
        if kind:
            verdict.add(kind, row, titles)
        elif row.doubted:
            verdict.add("stale read", row, titles)
    return verdict


def _kind(row: Row, state: State) -> str | None:
    """What is wrong with a row in this state. A row that is absent, though its DELETE was refused, counts as lost.

    A failover that loses the row's creation leaves the same picture; each of the two is wrong with strict replication.
    """
    if state in row.possible:
        return None
    if state is not None and state in row.refused:
        return "not_applied yet applied"
    return "resurrected" if row.possible == {None} else "lost"
