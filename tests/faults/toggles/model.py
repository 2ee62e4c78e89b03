"""What the design promises of a service under three toggles, as a small world of its own: none of our code is in it."""

from dataclasses import dataclass, field
from itertools import product
from typing import Literal

Operation = Literal["list", "public list", "get", "create", "update", "delete"]
OPERATIONS: tuple[Operation, ...] = ("list", "public list", "get", "create", "update", "delete")
Rows = dict[str, str]
"""Vehicles: parc and state."""


@dataclass(frozen=True)
class Toggles:
    """One of the eight combinations."""

    load: bool
    fallback: bool
    save: bool

    def __str__(self) -> str:
        names = {"LOAD": self.load, "FALLBACK": self.fallback, "SAVE": self.save}
        return "+".join(name for name, on in names.items() if on) or "strict"


COMBINATIONS = [Toggles(*bits) for bits in product((False, True), repeat=3)]


@dataclass(frozen=True)
class Cell:
    """One answer: its status, what its headers say, and what it shows (a refusal: its code)."""

    status: int
    content: object
    source: str | None = None
    origin: str | None = None
    durability: str | None = None

    def __str__(self) -> str:
        words = [str(self.status), self.source, self.origin and f"of {self.origin}"]
        words += [self.durability and f"+{self.durability}"]
        return " ".join(word for word in words if word)


@dataclass
class World:
    """Postgres, one service, its memory and its disk, as the design tells them."""

    toggles: Toggles
    production: bool
    truth: Rows
    backup: Rows
    up: bool = False
    mirror: Rows = field(default_factory=dict)
    origin: str = "empty"
    journal: list[tuple[str, str, str]] = field(default_factory=list)
    known: bool = True
    """Whether the journal's rows came from this Postgres."""

    snapshot: tuple[str, Rows] | None = None
    conflicts: int = 0

    def start(self) -> None:
        """The service starts: Postgres wins, else the snapshot, else the backup, else nothing."""
        if not self.toggles.save:
            self.journal = []
        self.mirror, self.origin = {}, "empty"
        if self.up:
            self._take_over()
        elif self.toggles.save and self.snapshot is not None:
            self.origin, rows = self.snapshot
            self.mirror = dict(rows)
        elif self.toggles.load:
            self.origin, self.mirror = "backup", dict(self.backup)

    def lose_postgres(self) -> None:
        """Postgres goes; the mirror stays what it last was."""
        self.up = False

    def find_postgres(self) -> None:
        """Postgres is back: first it gets the journal, then it speaks."""
        self.up = True
        self._take_over()

    def end(self) -> None:
        """The service ends, politely or not: with SAVE its picture is on the disk, and every acknowledged write."""
        if self.toggles.save and self.origin != "empty":
            self.snapshot = ("snapshot" if self.origin == "postgres" else self.origin, dict(self.mirror))

    def ask(self, operation: Operation, parc: str, state: str) -> Cell:
        """The answer to an operation."""
        if self.up:
            status = 201 if operation == "create" else 200
            content = self._do(self.truth, operation, parc, state)
            self.mirror = dict(self.truth)
            return Cell(status, content, "postgres")
        if not self.toggles.fallback:
            return Cell(503, "database_unavailable")
        if self.origin == "empty" and (self.production or operation != "public list"):
            return Cell(503, "memory_unavailable")  # in development the public sees that nothing is known
        if operation in {"list", "public list", "get"}:
            return Cell(200, self._do(self.mirror, operation, parc, state), "memory", self.origin)
        if not self.journal:
            self.known = self.origin in {"postgres", "snapshot"}
        self.journal.append((operation, parc, state))
        content = self._do(self.mirror, operation, parc, state)
        return Cell(202, content, "memory", self.origin, "journal" if self.toggles.save else "memory")

    def _take_over(self) -> None:
        if not self.known:
            self.conflicts += len(self.journal)
        for operation, parc, state in self.journal if self.known else ():
            self._do(self.truth, operation, parc, state)
        self.journal, self.known = [], True
        self.mirror, self.origin = dict(self.truth), "postgres"

    def _do(self, rows: Rows, operation: str, parc: str, state: str) -> object:
        if operation in {"list", "public list"}:
            return tuple(sorted(rows.items()))
        if operation == "delete":
            del rows[parc]
            return "ok"
        if operation != "get":
            rows[parc] = state
        return (parc, rows[parc])

    def files(self) -> str:
        """What becomes of each kind of file in the whole story: read, written, or nothing at all."""
        serves_from_disk = self.toggles.save and self.toggles.fallback
        found = {
            "backup": "read" if self.toggles.load else "",
            "journal": "read+written" if serves_from_disk else "",
            "lock": "written" if any((self.toggles.load, self.toggles.fallback, self.toggles.save)) else "",
            "snapshot": "read+written" if serves_from_disk else "written" if self.toggles.save else "",
        }
        return ", ".join(f"{name} {how}" for name, how in found.items() if how) or "nothing"
