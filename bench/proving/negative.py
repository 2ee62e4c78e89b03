"""The negative control: services with a known bug, each of which the run must catch by the verdict that fits."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from checking.track import FAULTS as VERDICTS
from proving.bugs import BUGS, Bug
from proving.catalogue import FAULTS
from proving.run import Result

FOLDER = Path(__file__).parent / "planted"
HEAD = "| planted bug | under | mode | must be caught by | caught by |\n| --- | --- | --- | --- | --- |"


@dataclass(frozen=True)
class Caught:
    """One bug, and the verdicts that its run got."""

    bug: Bug
    counts: dict[str, int]
    broke_off: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether a verdict that fits the bug was given."""
        return any(self.counts.get(kind) for kind in self.bug.caught_by)

    def line(self) -> str:
        """One line of the table."""
        found = ", ".join(f"{kind} {number}" for kind, number in self.counts.items() if number)
        said = found if self.is_right else f"**not caught**: {self.broke_off or found or 'nothing was seen'}"
        wanted = " or ".join(self.bug.caught_by)
        return f"| {self.bug.title} | {FAULTS[self.bug.fault].title} | {self.bug.mode} | {wanted} | {said} |"


def environment(name: str) -> dict[str, str]:
    """The variables by which a service plants this bug in itself."""
    return {"PYTHONPATH": str(FOLDER), "RETROBUS_PLANTED": name}


def caught(name: str, results: Iterable[Result]) -> Caught:
    """What the run of a bug showed."""
    [result] = results
    return Caught(BUGS[name], {kind: result.verdict.counts[kind] for kind in VERDICTS})


def table(found: Iterable[Caught]) -> str:
    """The table of all bugs in Markdown."""
    return "\n".join([HEAD, *(each.line() for each in found)])
