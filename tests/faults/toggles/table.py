"""The table: what each answer was, beside what it should have been."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from faults.backup_folder import NAME
from faults.toggles.model import Cell, Operation

BACKUP_AS_OF = "2025-12-01T14:00:00.000Z"
NAMES, WIDTH = 31, 31
"""Characters of a line's name and of a cell."""


@dataclass
class Line:
    """One line of the table."""

    phase: str
    service: str
    cells: dict[str, tuple[object, object]] = field(default_factory=dict)
    """For each column what was expected, and what there was."""

    @property
    def agreed(self) -> int:
        """How many of its cells are as expected."""
        return sum(expected == actual for expected, actual in self.cells.values())

    def __str__(self) -> str:
        told = [f"{'✅' if want == got else '❌'} {got!s:<{WIDTH}}" for want, got in self.cells.values()]
        return f"{self.service:<{NAMES}} {' '.join(told)}".rstrip()

    def complaints(self) -> list[str]:
        """One sentence for each cell that is not as expected."""
        differing = [(name, *pair) for name, pair in self.cells.items() if pair[0] != pair[1]]
        place = f"{self.phase}, {self.service}"
        return [f"{place}, {name}:\n  expected {want!r}\n  there was {got!r}" for name, want, got in differing]


class Held(dict[str, str]):
    """Rows, as the table shows them: all are compared, and counted."""

    def __str__(self) -> str:
        return f"{len(self)} rows"


def cell(operation: Operation, answer: httpx.Response, lost_at: datetime) -> Cell:
    """An answer as the table shows it; `lost_at` is when Postgres went."""
    if answer.status_code >= 400:
        return Cell(answer.status_code, answer.json()["code"])
    headers = answer.headers
    origin = _dated(headers.get("X-Data-Origin"), headers.get("X-Data-As-Of"), lost_at)
    return Cell(
        answer.status_code,
        _content(operation, answer),
        headers.get("X-Data-Source"),
        origin,
        headers.get("X-Durability"),
    )


def _content(operation: Operation, answer: httpx.Response) -> object:
    body = answer.json()
    if operation == "delete":
        return "ok" if body == {"ok": True} else body
    if operation in {"list", "public list"}:
        rows = body if operation == "public list" else body["vehicles"]
        return tuple(sorted((row["parc"], row["etat"]) for row in rows))
    return (body["parc"], body["etat"])


def _dated(origin: str | None, as_of: str | None, lost_at: datetime) -> str | None:
    """The kind of origin, if the age that goes with it is possible."""
    if origin is None or origin == "empty":
        return origin if as_of is None else f"{origin}, though dated"
    if origin == f"backup:{NAME}":
        return "backup" if as_of == BACKUP_AS_OF else f"backup, dated {as_of}"
    return origin if as_of and datetime.fromisoformat(as_of) <= lost_at else f"{origin}, dated {as_of}"


def printed(lines: Iterable[Line]) -> str:
    """The table."""
    told, phase = [], None
    for line in lines:
        if line.phase != phase:
            phase = line.phase
            heads = " ".join(f"   {name:<{WIDTH}}" for name in line.cells)
            told += ["", f"{phase:<{NAMES}} {heads}".rstrip()]
        told.append(str(line))
    return "\n".join(told)
