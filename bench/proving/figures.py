"""What a fault cost the clients: latencies, seconds without service, and the return."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import quantiles
from typing import Any

from checking.client import NOTHING, Answer, Request

GAP = 0.3
"""Seconds without a good answer from which on the service counts as unavailable; usually one comes every 10 ms."""


@dataclass(frozen=True)
class Figures:
    """Milliseconds and seconds of one run; None where there is nothing to measure."""

    calls: int
    """Requests between the beginning of the fault and its heal."""

    served: int
    """Answers that say what is: 2xx, and 404, 409 and 412."""

    refused: int
    """503 `not_applied`, 503 to a read, or no connection: nothing was done."""

    unknown: int
    """503 `unknown`, or no answer."""

    p50: float | None
    """Of the 2xx, in milliseconds."""

    p99: float | None
    refused_p50: float | None
    """Of the 503, in milliseconds."""

    refused_p99: float | None
    no_write: float
    """Seconds without an acknowledged write, from the fault to the end of the run: the sum of all gaps."""

    no_read: float
    back: float | None
    """Seconds from the heal to the first answer of Postgres."""

    told: dict[str, int]
    """Answers by status and source."""

    def document(self) -> dict[str, Any]:
        """For the JSON of the run."""
        return asdict(self)


Exchange = tuple[Request, Answer]


def measured(exchanges: Iterable[Exchange], began: float, healed: float, ended: float) -> Figures:
    """The figures of a run whose fault began, was healed, and whose clients were ended then."""
    calls = sorted(exchanges, key=lambda exchange: exchange[1].received)
    during = [exchange for exchange in calls if began <= exchange[1].received and exchange[1].sent <= healed]
    fates = [fate(answer) for _, answer in during]
    good = [_took(answer) for _, answer in during if answer.status in range(200, 300)]
    refused = [_took(answer) for _, answer in during if answer.status == 503]
    told: dict[str, int] = {}
    for _, answer in during:
        name = f"{answer.status} {answer.source}" if answer.status in range(200, 300) else str(answer.status)
        told[name] = told.get(name, 0) + 1
    return Figures(
        calls=len(during),
        served=fates.count("served"),
        refused=fates.count("refused"),
        unknown=fates.count("unknown"),
        p50=_percentile(good, 50),
        p99=_percentile(good, 99),
        refused_p50=_percentile(refused, 50),
        refused_p99=_percentile(refused, 99),
        no_write=_without(calls, began, ended, writes=True),
        no_read=_without(calls, began, ended, writes=False),
        back=_back(calls, healed),
        told=told,
    )


def fate(answer: Answer) -> str:
    """What the answer means for its request: served, refused or unknown."""
    if answer.status in {200, 201, 202, 404, 409, 410, 412}:
        return "served"
    if answer.status == NOTHING or (answer.status == 503 and answer.json.get("outcome") == "unknown"):
        return "unknown"
    return "refused"


def _took(answer: Answer) -> float:
    return (answer.received - answer.sent) * 1000


def _percentile(values: list[float], wanted: int) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=100, method="inclusive")[wanted - 1]


def _without(calls: list[Exchange], began: float, ended: float, *, writes: bool) -> float:
    """Seconds of all gaps between two good answers that are longer than GAP."""
    kind = [answer for request, answer in calls if request.writes == writes and began <= answer.received <= ended]
    good = [a.received for a in kind if a.status in range(200, 300) or (a.status == 404 and not writes)]
    gaps = [later - earlier for earlier, later in pairwise([began, *good, ended])]
    return sum(gap for gap in gaps if gap > GAP)


def _back(calls: list[Exchange], healed: float) -> float | None:
    for _, answer in calls:
        if answer.received > healed and answer.source == "postgres" and answer.status in range(200, 300):
            return answer.received - healed
    return None
