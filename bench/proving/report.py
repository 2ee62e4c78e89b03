"""The table, the JSON and the picture of a run."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from checking.track import FAULTS as VERDICTS
from proving.bugs import BUGS
from proving.catalogue import FAULTS
from proving.people import Exchange
from proving.run import Result
from proving.site import Kind

COLUMNS = (
    "fault",
    *VERDICTS,
    "served / refused / unknown",
    "2xx p50 / p99, ms",
    "503 p50 / p99, ms",
    "s without a write",
    "s without a read",
    "s to PostgreSQL after the heal",
    "conflicts",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
TITLES: dict[Kind, str] = {"strict": "Strict: no toggle", "fallback": "Fallback: all three toggles"}


def tables(results: Iterable[Result]) -> str:
    """One table for each mode, in Markdown."""
    found = list(results)
    parts = []
    for kind, title in TITLES.items():
        rows = [line(result) for result in found if result.kind == kind]
        if rows:
            parts.append("\n".join([f"### {title}", "", HEAD, *rows]))
    return "\n\n".join(parts)


def line(result: Result) -> str:
    """One line of a table."""
    figures, counts = result.figures, result.verdict.counts
    cells = [
        FAULTS[result.fault].title + ("" if result.doubt is None else f" (proves nothing: {result.doubt})"),
        *(str(counts[kind]) for kind in VERDICTS),
        f"{figures.served} / {figures.refused} / {figures.unknown}",
        _pair(figures.p50, figures.p99),
        _pair(figures.refused_p50, figures.refused_p99),
        f"{figures.no_write:.1f}",
        f"{figures.no_read:.1f}",
        "–" if figures.back is None else f"{figures.back:.2f}",
        str(result.verdict.conflicts),
    ]
    return f"| {' | '.join(cells)} |"


def _pair(one: float | None, other: float | None) -> str:
    return "–" if one is None or other is None else f"{one:.1f} / {other:.0f}"


def summary(results: Iterable[Result]) -> str:
    """One sentence: what was sent, what was broken, what proves nothing."""
    found = list(results)
    calls = sum(len(result.exchanges) for result in found)
    broken = sum(result.verdict.total for result in found)
    doubts = sum(result.doubt is not None for result in found)
    said = f"{len(found)} runs, {calls:,} requests, {broken} broken promises"
    return said + (f", {doubts} runs that prove nothing" if doubts else "")


def in_short(results: Iterable[Result]) -> str:
    """The run in five lines, for the README."""
    found = list(results)
    faults, calls = len({result.fault for result in found}), sum(len(result.exchanges) for result in found)
    counts = {kind: sum(result.verdict.counts[kind] for result in found) for kind in VERDICTS}
    strict = [result.figures for result in found if result.kind == "strict"]
    refusals = median(figures.refused_p50 for figures in strict if figures.refused_p50 is not None)
    back = max((figures.back for figures in strict if figures.back is not None), default=0.0)
    zeros = ", ".join(f"**{number}** {kind}" for kind, number in counts.items())
    told = (
        f"`make\0proof` did {faults} things to a strict service and to one with all three toggles on, while sixteen "
        "clients worked: kills, freezes, cut and slow lines, full disks, wrong clocks, restores. "
        f"{calls:,} requests were judged, and the final rows: {zeros}. While PostgreSQL was away, a strict service "
        f"refused in {refusals:.0f} ms (median); after the heal PostgreSQL answered within {back:.1f} s at most. "
        f"`make\0proof-negative` plants {len(BUGS)} known bugs, which the same run must catch."
    )
    return fill(told, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def document(results: Iterable[Result], place: str) -> dict[str, Any]:
    """The run as JSON."""
    return {
        "machine": place,
        "runs": [
            {
                "fault": result.fault,
                "title": FAULTS[result.fault].title,
                "mode": result.kind,
                "valid": result.valid,
                "doubt": result.doubt,
                "verdicts": {kind: result.verdict.counts[kind] for kind in VERDICTS},
                "stories": result.verdict.stories,
                "conflicts": result.verdict.conflicts,
                "answers": dict(result.verdict.answers),
                "seconds": {"heal": result.healed - result.began, "end": result.ended - result.began},
                "figures": result.figures.document(),
            }
            for result in results
        ],
    }


def write_history(exchanges: Iterable[Exchange], file: Path) -> None:
    """Every call of a run, one line of JSON each, in the order of the answers."""
    with file.open("w") as history:
        history.writelines(f"{json.dumps(call)}\n" for call in _calls(exchanges))


def _calls(exchanges: Iterable[Exchange]) -> Iterator[dict[str, Any]]:
    for request, answer in sorted(exchanges, key=lambda exchange: exchange[1].received):
        yield {
            "sent": answer.sent,
            "received": answer.received,
            "method": request.method,
            "path": request.path,
            "row": request.slot,
            "state": request.state,
            "once": request.once,
            "match": request.match,
            "status": answer.status,
            "source": answer.headers.get("x-data-source"),
            "durability": answer.headers.get("x-durability"),
            "outcome": answer.json.get("outcome") if answer.status == 503 else None,
        }
