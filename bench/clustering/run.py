"""One run: traffic, a fault, quiet, and the comparison with the final database."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from checking.tags import Tags
from clustering.clients import Call, Client, Connection, Habits
from clustering.configuration import Rules
from clustering.faults import Fault
from clustering.history import Row, Verdict, judge
from clustering.nodes import Cluster, Node, until
from clustering.programs import hand_over
from clustering.service import Service, prepare, token, url
from clustering.timeline import Watch

WARM_UP = 4.0
POOLED = {"DATABASE_STATEMENT_CACHE": "0"}
CONFLICTS = "SELECT entry::text AS entry FROM conflict WHERE resolution IS NULL"


@dataclass(frozen=True)
class Plan:
    """The options of a run."""

    fault: Fault
    mode: str
    ttl: int
    nodes: int
    seconds: float
    command: list[str]
    """The `retrobus` that creates the schema."""

    serving: list[str]
    """The `retrobus` that serves; another one if it has a planted bug."""

    plant: Callable[[Node, list[Row]], None] | None = None
    """Changes the final database behind the service's back; the comparison must find it."""


@dataclass
class Outcome:
    """The results of a run."""

    verdict: Verdict
    tags: Tags
    calls: list[Call]
    services: list[Service]
    fault_began: float
    traffic_ended: float
    struck: float
    """When the fault took the leader away: later than its beginning where replication stalls first."""

    steps: dict[str, float] = field(default_factory=dict)
    """The seconds from the blow to each step of the failover."""

    oddities: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0

    def gaps(self, *, reads: bool, since: float | None = None) -> dict[str, float]:
        """The longest gap of each service, by its letter."""
        return {each.letter: self.longest_gap(each.letter, reads=reads, since=since) for each in self.services}

    def longest_gap(self, letter: str, *, reads: bool, since: float | None = None) -> float:
        """The most seconds without an answered read, or without a 2xx to a write, from the fault or `since` on."""
        since = self.fault_began if since is None else since
        wanted = {200, 404} if reads else {200, 201, 202}
        moments = [
            call.ended
            for call in self.calls
            if call.service == letter and (call.verb == "GET") == reads and call.status in wanted
        ]
        inside = sorted(moment for moment in moments if since <= moment <= self.traffic_ended)
        edges = [since, *inside, self.traffic_ended]
        return max(later - earlier for earlier, later in pairwise(edges))


@contextmanager
def cluster_of(folder: Path, plan: Plan) -> Iterator[Cluster]:
    """A cluster with the schema; all its processes end with the block."""
    folder.mkdir(mode=0o755)
    hand_over(folder)
    cluster = Cluster(folder, Rules(plan.ttl, plan.mode == "sync", plan.nodes))
    try:
        cluster.start()
        prepare(plan.command, cluster)
        yield cluster
    finally:
        cluster.end()


def run(folder: Path, plan: Plan) -> Outcome:
    """Starts the cluster and the clients, makes the fault, waits for quiet, compares, ends everything."""
    with cluster_of(folder, plan) as cluster, ExitStack() as ends:
        services = _services(folder, plan, cluster, ends)
        tags, watch = Tags(), Watch(cluster)
        clients = _clients(plan, services, tags)
        for client in clients:
            ends.callback(client.stop)
            client.start()
        ends.callback(watch.stop)
        watch.start()
        time.sleep(WARM_UP)
        former, began = cluster.leader, time.monotonic()
        _injected(cluster, plan, began, clients)
        ended = time.monotonic()
        for client in clients:
            client.stop()
        for client in clients:
            client.join(60)
        cluster.wait_until_whole()
        for service in services:
            service.wait_until_ready()
        watch.stop()
        outcome = Outcome(Verdict(), tags, [], services, began, ended, cluster.struck or began)
        if cluster.leader is not former:
            outcome.steps = watch.steps(outcome.struck, cluster.leader.places.name, strict=plan.mode == "sync")
        return _judged(plan, cluster, clients, outcome, folder)


def _injected(cluster: Cluster, plan: Plan, began: float, clients: list[Client]) -> None:
    """Makes the fault during the traffic, which goes on until every service writes again.

    It lasts for the asked time, and at least 10 s after the fault.
    """
    plan.fault.inject(cluster, plan.mode)
    healed = time.monotonic()
    time.sleep(max(began + plan.seconds - healed, 10.0))
    late = time.monotonic() - 1.0
    until(lambda: set(plan.fault.services) <= _writing(clients, late), "writes at every service after the fault")


def _writing(clients: list[Client], since: float) -> set[str]:
    """The letters of the services that confirmed a write since then."""
    return {
        call.service
        for client in clients
        for call in client.calls[-50:]
        if call.verb != "GET" and call.fate == "ok" and call.ended > since
    }


def _services(folder: Path, plan: Plan, cluster: Cluster, ends: ExitStack) -> list[Service]:
    toggles = {"ENABLE_MEMORY_FALLBACK": "true", "ENABLE_RUNTIME_STATE_SAVE": "true"} if plan.fault.fallback else {}
    services = []
    for letter in plan.fault.services:
        environment = {"DATABASE_URL": url(letter, cluster), **(POOLED if letter == "E" else {}), **toggles}
        service = Service(letter, plan.serving, folder / f"service-{letter}", environment)
        ends.callback(service.end)
        services.append(service)
    for service in services:
        service.wait_until_ready()
        service.watch()
    return services


def _clients(plan: Plan, services: list[Service], tags: Tags) -> list[Client]:
    each = max(plan.fault.clients // len(services), plan.fault.readers + 2)
    return [
        Client(
            f"{service.letter}{number}",
            service.letter,
            Connection(service.port, token()),
            tags,
            Habits(number < plan.fault.readers, plan.fault.pause),
        )
        for service in services
        for number in range(each)
    ]


def _judged(plan: Plan, cluster: Cluster, clients: list[Client], outcome: Outcome, folder: Path) -> Outcome:
    leader = cluster.leader
    rows = [row for client in clients for row in client.rows]
    if plan.plant is not None:
        plan.plant(leader, rows)
    final: dict[str, list[str]] = {}
    for found in leader.sql("SELECT location, title FROM event"):
        final.setdefault(found["location"], []).append(found["title"])
    entries = [found["entry"] for found in leader.sql(CONFLICTS)]
    named = {row.name for row in rows if any(f'"{row.name}"' in entry for entry in entries)} if entries else set()
    outcome.conflicts = len(entries)
    outcome.verdict = judge(rows, final, named)
    outcome.calls = sorted((call for client in clients for call in client.calls), key=lambda call: call.ended)
    for client in clients:
        outcome.oddities += client.oddities
    outcome.verdict.counts["500"] += sum(call.status == 500 for call in outcome.calls)
    outcome.verdict.counts["unexpected"] += sum(outcome.oddities.values())
    with (folder / "history.jsonl").open("w") as history:
        history.writelines(json.dumps(asdict(call)) + "\n" for call in outcome.calls)
    return outcome
