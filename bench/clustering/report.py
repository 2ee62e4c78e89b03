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


@dataclass(frozen=True)
class Line:
    """One run."""

    plan: Plan
    outcome: Outcome

    def markdown(self) -> str:
        """One line of the table."""
        outcome, counts = self.outcome, self.outcome.verdict.counts
        letters = [service.letter for service in outcome.services]
        gaps = {
            reads: ", ".join(f"{letter} {outcome.longest_gap(letter, reads=reads):.1f}" for letter in letters)
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
