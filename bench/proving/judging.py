"""The verdict of one run: the history of a site in its order, told to the model, and compared with the database."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from checking.client import Answer, Request, now
from checking.judge import Judge
from checking.kinds import Slot
from checking.model import ROWS, Model
from checking.track import FAULTS
from proving.crowd import Done
from proving.site import Site

SETTLED_WITHIN = 30.0
BUSY = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"


@dataclass
class Verdict:
    """What was broken in one run, and what was done."""

    counts: Counter[str]
    stories: list[str]
    conflicts: int
    answers: Counter[str]
    diary: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The number of broken promises."""
        return sum(self.counts[kind] for kind in FAULTS)


def judged(site: Site) -> Verdict:
    """Waits until all is quiet, then judges every answer and compares the database and the follower's copy."""
    done = site.done
    if done is None:
        raise ValueError("the clients were not ended")
    model = Model(linked=False)
    judge = Judge(model, site)
    judge.contract.fallback = judge.saves = site.kind == "fallback"
    _replay_history(site, done, judge, model)
    settled = _settle(site)
    for text in site.complaints:
        model.fault("unexpected", ("site", site.kind), text)
    if not settled:
        model.fault("unexpected", ("site", site.kind), f"no answer from Postgres within {SETTLED_WITHIN} s")
    rows = site.psql.run(ROWS)
    _read_conflicts(site, model, settled=settled)
    model.compare(rows, now(), quiet=settled)
    _judge_lists(site, judge)
    done.copy.compare(site.client(), {(row["resource"], row["name"]): row["mark"] for row in rows}, model)
    counts = Counter(kind for kind, _, _ in model.faults)
    stories = [f"{kind.upper()} {slot}: {text}" for kind, slot, text in model.faults]
    conflicts = site.psql.run("SELECT count(*) FROM conflict")[0][0]
    return Verdict(counts, stories, conflicts, model.answers, model.diary)


def _replay_history(site: Site, done: Done, judge: Judge, model: Model) -> None:
    """Tells the judge everything in the order in which it became known."""
    history: list[tuple[float, int, Callable[[], object]]] = []
    for number, work in enumerate(done.works):
        for request, answer in work.exchanges:
            history.append((answer.received, number, _judging(judge, request, answer, work.slots)))
    for request, answer in done.followed.exchanges:
        history.append((answer.received, -1, _checking(judge, request, answer)))
    for at, deed in site.deeds:
        history.append((at, -2, lambda deed=deed: deed(model)))
    for _, _, tell in sorted(history, key=lambda entry: entry[:2]):
        tell()


def _judging(judge: Judge, request: Request, answer: Answer, own: set[Slot]) -> Callable[[], object]:
    return lambda: judge.judge(request, answer, own)


def _checking(judge: Judge, request: Request, answer: Answer) -> Callable[[], object]:
    return lambda: judge.contract.check(request, answer)


def _read_conflicts(site: Site, model: Model, *, settled: bool) -> None:
    """All that memory took is in Postgres now, or in the table of conflicts."""
    at = now()
    if settled and model.waits(at):
        model.settle(site.conflicts(model.conflicts.last), at, at)


LISTS = ("/api/events", "/api/vehicles", "/api/members")


def _settle(site: Site) -> bool:
    """Waits until lists come from Postgres and no transaction runs; whether it came to that in time."""
    client, end = site.client(), time.monotonic() + SETTLED_WITHIN
    wanted = [Request("list", "GET", path) for path in LISTS]
    while wanted and time.monotonic() < end:
        answer = client.send(wanted[-1])
        if answer.status == 200 and answer.source == "postgres":
            wanted.pop()
        else:
            time.sleep(0.05)
    while site.psql.run(BUSY) and time.monotonic() < end:
        time.sleep(0.02)
    client.close()
    return not wanted


def _judge_lists(site: Site, judge: Judge) -> None:
    """Every list must show every row as the database has it."""
    client = site.client()
    for path in LISTS:
        request = Request("list", "GET", path)
        judge.judge(request, client.send(request))
    client.close()
