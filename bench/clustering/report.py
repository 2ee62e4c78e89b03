"""The table of the runs in Markdown, and the faults of each run."""

from dataclasses import dataclass

from clustering.history import ZEROS
from clustering.run import Outcome, Plan
from clustering.selfcheck import PLANTED
from clustering.service import PLACES, Told

HEAD = (
    "| fault | mode | lost/resurrected | duplicate | false not_applied | ETags repeated (on one row) | stale reads "
    "| s without 2xx write | s without a read | 500 | unexpected | conflicts | told | calls |"
)

COLUMNS = (
    "fault",
    "lost / resurrected / duplicate",
    "s without a write",
    "s without a read",
    "s from the blow to each step of the failover",
)


@dataclass(frozen=True)
class Line:
    """One run."""

    plan: Plan
    outcome: Outcome

    def markdown(self) -> str:
        """One line of the table."""
        outcome, counts = self.outcome, self.outcome.verdict.counts
        gaps = {
            reads: ", ".join(f"{letter} {gap:.1f}" for letter, gap in outcome.gaps(reads=reads).items())
            for reads in (False, True)
        }
        cells = [
            self.plan.fault.title,
            self.plan.mode,
            f"{counts['lost']}/{counts['resurrected']}",
            counts["duplicate"],
            counts["not_applied yet applied"],
            f"{outcome.tags.repeated()} ({outcome.tags.lies()})",
            counts["stale read"],
            gaps[False],
            gaps[True],
            counts["500"],
            counts["unexpected"],
            outcome.conflicts,
            "; ".join(f"{service.letter}: {_told(service.told)}" for service in outcome.services),
            len(outcome.calls),
        ]
        return f"| {' | '.join(map(str, cells))} |"

    def recorded(self) -> str:
        """One line of the table in docs/scaling.md: the ranges are those of the services."""
        outcome, counts = self.outcome, self.outcome.verdict.counts
        writes = _range(outcome.gaps(reads=False))
        if outcome.struck > outcome.fault_began:
            writes += f"; after the kill {_range(outcome.gaps(reads=False, since=outcome.struck))}"
        zeros = " / ".join(str(counts[kind]) for kind in ("lost", "resurrected", "duplicate"))
        cells = self.plan.fault.title, zeros, writes, _range(outcome.gaps(reads=True)), self.timeline()
        return f"| {' | '.join(cells)} |"

    @property
    def inherent(self) -> bool:
        """Whether PostgreSQL itself may lose acknowledged writes: replication is asynchronous and the leader dies."""
        return self.plan.mode == "async"

    @property
    def is_wrong(self) -> bool:
        """Whether a count that must be zero is not."""
        counts, tags = self.outcome.verdict.counts, self.outcome.tags
        excused = {"lost", "resurrected"} if self.inherent else set()
        return any(counts[kind] for kind in ZEROS if kind not in excused) or tags.lies() > 0 or bool(self.silent)

    @property
    def silent(self) -> list[str]:
        """Services that acknowledged a lost write, and did not show a lost write in /ready."""
        said = {each.letter for each in self.outcome.services if (each.told.failover or {}).get("lost")}
        return sorted(set(self.outcome.verdict.losses) - said)

    def shows(self, planted: str) -> bool:
        """Whether the errors that were planted were found."""
        counts = self.outcome.verdict.counts
        if planted == "rows":
            return all(counts[kind] >= number for kind, number in PLANTED.items())
        return counts["lost"] + counts["resurrected"] > 0

    def timeline(self) -> str:
        """The seconds from the blow to each step of the failover, in the order in which they came."""
        steps = sorted(self.outcome.steps.items(), key=lambda each: each[1])
        return " → ".join(f"{step} {seconds:.1f}" for step, seconds in steps) or "the leader stayed"

    def details(self) -> str:
        """What the services reported during the run, and the histories of wrong rows."""
        lines = [
            f"{service.letter}: ready {dict(service.told.ready)}, reasons {dict(service.told.reasons)}, "
            f"journal {service.told.entries} {dict(service.told.waiting)}, failover {service.told.failover}"
            for service in self.outcome.services
        ]
        lines.insert(0, f"timeline: {self.timeline()}")
        if self.outcome.verdict.losses:
            lines.append(f"losses by service: {dict(self.outcome.verdict.losses)}; silent: {self.silent}")
        if self.outcome.oddities:
            lines.append(f"unexpected: {dict(self.outcome.oddities)}")
        return "\n".join([*lines, *self.outcome.verdict.stories])


def _told(told: Told) -> str:
    """What /ready said: writes that a failover lost, commits without a standby, a journal that waits."""
    words = [] if told.failover is None else [f"lost {told.failover['lost']}"]
    words += [f"no standby {told.unconfirmed / 2:.0f} s"] if told.unconfirmed else []
    waited = sum(number for reason, number in told.waiting.items() if reason != "None")
    words += [f"journal waits {waited / 2:.0f} s"] if waited else []
    return ", ".join(words) or "–"


def table(lines: list[Line], ttl: int, nodes: int) -> str:
    """The whole table with its heading."""
    ruler = "|" + " --- |" * (HEAD.count("|") - 1)
    title = f"{nodes} nodes, ttl {ttl} s; {'; '.join(f'{letter}: {place}' for letter, place in PLACES.items())}"
    return "\n".join([title, "", HEAD, ruler, *(line.markdown() for line in lines)])


def _range(gaps: dict[str, float]) -> str:
    """The shortest and the longest of the services' gaps, or the one figure that both are."""
    shortest, longest = f"{min(gaps.values()):.1f}", f"{max(gaps.values()):.1f}"
    return shortest if shortest == longest else f"{shortest}–{longest}"


def section(lines: list[Line], machine: str) -> str:
    """The text and table of one part of docs/scaling.md."""
    calls = sum(len(line.outcome.calls) for line in lines)
    counts = {
        "answers 500": sum(line.outcome.verdict.counts["500"] for line in lines),
        "unexpected answers": sum(line.outcome.verdict.counts["unexpected"] for line in lines),
        "wrong `not_applied`": sum(line.outcome.verdict.counts["not_applied yet applied"] for line in lines),
        "ETags that stood for two states": sum(line.outcome.tags.lies() for line in lines),
        "stale reads": sum(line.outcome.verdict.counts["stale read"] for line in lines),
    }
    said = ", ".join(f"{what}: {number}" for what, number in counts.items())
    head = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    return "\n".join([f"{machine} {calls:,} requests; {said}.", "", *head, *(line.recorded() for line in lines)])
