"""Everything that was acknowledged, and its comparison with the database."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from checking.kinds import KINDS, Slot, State
from checking.track import Fault, Track, Waiting

ROWS = """SELECT 'Event' AS resource, id AS name, id AS key, title AS mark, location AS once FROM event
UNION ALL SELECT 'Vehicle', parc, parc, modele, NULL FROM vehicle
UNION ALL SELECT 'Member', email, id, city, NULL FROM member WHERE id <> 'checker'"""
CONFLICTS = """SELECT id, resource, key, operation, entry->'row' AS row, entry->>'image' AS image,
  extract(epoch FROM created_at)::float AS at FROM conflict WHERE id > $1 ORDER BY id"""


MANY = 3
"""Faults after which a run ends: more of them teach nothing."""


@dataclass
class Conflicts:
    """The rows of table `conflict` that were read so far."""

    slot_of: Mapping[tuple[str, str], Slot]
    last: int = 0
    marks: set[State] = field(default_factory=set)
    images: set[State] = field(default_factory=set)
    deletes: list[tuple[Slot, float, bool]] = field(default_factory=list)

    def read(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Reads the new rows of the table."""
        for row in rows:
            self.last = row["id"]
            kind = KINDS[row["resource"]]
            if row["operation"] != "delete":
                self.marks.add(json.loads(row["row"])[kind.mark])
                continue
            slot = self.slot_of.get((row["resource"], row["key"]), (row["resource"], row["key"]))
            self.deletes.append((slot, row["at"], row["image"] is not None))
            if row["image"] is not None:
                self.images.add(json.loads(row["image"])[kind.mark])

    def of(self, slot: Slot, waiting: Waiting) -> Literal["refused", "deleted anyway"] | None:
        """What the table says about a write that memory took."""
        if waiting.state is not None:
            return "refused" if waiting.state in self.marks else None
        for position, (deleted, at, applied) in enumerate(self.deletes):
            if deleted == slot and at > waiting.at - 0.1:
                del self.deletes[position]
                return "deleted anyway" if applied else "refused"
        return None


class Model:
    """One track for each row; the keys, the conflicts and the faults."""

    def __init__(self, slots: Iterable[Slot] = (), *, linked: bool = True) -> None:
        self.linked = linked
        """Whether events name vehicles, so that the end of a vehicle changes events."""

        self.tracks: dict[Slot, Track] = {slot: Track(slot) for slot in slots}
        self.keys: dict[State, str] = {}
        """By mark: the key under which the API addresses the row that had it."""

        self.slot_of: dict[tuple[str, str], Slot] = {}
        self.conflicts = Conflicts(self.slot_of)
        self.faults: list[tuple[Fault, Slot, str]] = []
        self.needless: list[str] = []
        """Conflicts about rows that only the service wrote: nothing is lost, but the operator is asked without need."""

        self.diary: list[str] = []
        self._once: dict[str, set[str]] = {}
        self.steps: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    def track(self, slot: Slot) -> Track:
        """The track of a row, known or new."""
        return self.tracks.setdefault(slot, Track(slot))

    def tell(self, text: str, slot: Slot | None = None) -> None:
        """Notes an event in the diary, with the row that it happened to."""
        self.diary.append(f"{text} {slot or ''}")
        if slot is not None:
            self.track(slot).history.append(text)

    def knows(self, slot: Slot, mark: State, key: str) -> None:
        """The row that has this mark is addressed by this key."""
        self.keys[mark] = key
        self.slot_of[slot[0], key] = slot

    def fault(self, kind: Fault | None, slot: Slot, text: str) -> None:
        """Notes a fault with the row's history; does nothing if `kind` is None."""
        if kind is None:
            return
        if (kind, slot) not in [fault[:2] for fault in self.faults]:
            self.faults.append((kind, slot, "\n    ".join([text, *self.track(slot).history[-25:]])))
            self.diary.append(f"{kind.upper()} {slot} {text}")

    @property
    def enough(self) -> bool:
        """Whether the run may end."""
        return len(self.faults) >= MANY

    def waits(self, before: float) -> bool:
        """Whether memory took something before this moment that is not known to be in Postgres."""
        return any(waiting.at < before for track in self.tracks.values() for waiting in track.waiting)

    def settle(self, conflicts: Iterable[Mapping[str, Any]], before: float, at: float) -> None:
        """Everything that was journaled before this moment is in Postgres now; reads the new conflicts."""
        self.conflicts.read(conflicts)
        for track in self.tracks.values():
            if any(waiting.at < before for waiting in track.waiting):
                needless = track.settle(self.conflicts, before, at)
                self.tell(f"{at:.3f} settled: {track.possible}", track.slot)
                self.needless += ["\n    ".join([str(track.slot), *track.history[-12:]])] * needless

    def touch_all(self, resource: str, at: float) -> None:
        """A write changed other rows of this resource too, by a foreign key."""
        for (name, _), track in self.tracks.items():
            if name == resource:
                track.touch(at)

    def compare(self, rows: Iterable[Mapping[str, Any]], at: float, *, quiet: bool) -> None:
        """Compares the whole database with the model; `quiet` says that no transaction is running."""
        found: dict[Slot, State] = {}
        for row in rows:
            slot = (row["resource"], row["name"])
            found[slot] = row["mark"]
            self.knows(slot, row["mark"], row["key"])
            self.made(slot, row["once"])
        for slot in self.tracks.keys() | found.keys():
            track = self.track(slot)
            if quiet:
                track.late.clear()
            shown = found.get(slot)
            allowed = set(track.possible)
            kind = track.shown_by_postgres(shown, at)
            if kind is not None and shown is None and allowed and allowed <= self.conflicts.images:
                kind = None  # a delete was applied to a changed row, and the row is kept in table conflict
            self.fault(kind, slot, f"the database holds {shown}, possible was {allowed}")

    def made(self, slot: Slot, once: str | None) -> bool:
        """Notes a fault if one Idempotency-Key made more than one row; whether it made one row only."""
        if once is None or not once.startswith("once-"):
            return True
        made = self._once.setdefault(once, set())
        made.add(slot[1])
        self.fault("duplicate" if len(made) > 1 else None, slot, f"{once} made {sorted(made)}")
        return len(made) == 1
