"""Where the seconds of an outage go: what etcd, each Patroni and haproxy believe, asked again and again during a run.

The outage of a strict cluster has these steps, each of which waits for the one before: the lock of the lost leader
expires, a standby takes it, PostgreSQL is promoted there, another standby follows and confirms commits, haproxy leads
there, the services write.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from clustering.nodes import Cluster, Node

PAUSE = 0.1
"""Seconds between two questions to the same program; the figures are no finer."""

PATIENCE = 0.5
"""Seconds that a program may take to answer; one that is frozen does not."""

SILENT, FREE, STANDBY, PRIMARY, CONFIRMED = "silent", "free", "standby", "primary", "primary, confirmed"
LOCK, PROXY = "lock", "haproxy"


@dataclass(frozen=True, slots=True)
class Seen:
    """From this moment on `who` believed `what`."""

    moment: float
    who: str
    what: str


class Watch:
    """Asks every program in a thread of its own and notes what changed, until `stop`."""

    def __init__(self, cluster: Cluster) -> None:
        self.seen: list[Seen] = []
        self._stopped = threading.Event()
        questions: dict[str, Callable[[], str]] = {
            LOCK: lambda: _lock(cluster.etcd_port),
            PROXY: lambda: _led_to(str(cluster.proxy_socket)),
        }
        for node in cluster.nodes:
            questions[node.places.name] = lambda node=node: _belief(node)  # type: ignore[misc]
        self._threads = [threading.Thread(target=self._ask, args=each, daemon=True) for each in questions.items()]

    def start(self) -> None:
        """Starts to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends all questions."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)

    def _ask(self, who: str, question: Callable[[], str]) -> None:
        last = None
        while not self._stopped.wait(PAUSE):
            try:
                what = question()
            except (OSError, HTTPException, ValueError):
                what = SILENT
            if what != last:
                self.seen.append(Seen(time.monotonic(), who, what))
            last = what

    def steps(self, struck: float, leader: str, *, strict: bool) -> dict[str, float]:
        """The seconds from the blow to each step that made this node the leader; no step if it led before."""
        after = sorted((each for each in self.seen if each.moment > struck), key=lambda each: each.moment)
        wanted = {
            "lock free": (LOCK, {FREE}),
            "lock taken": (LOCK, {leader}),
            "promoted": (leader, {PRIMARY, CONFIRMED}),
            "standby confirms": (leader, {CONFIRMED}),
            "haproxy leads there": (PROXY, {leader}),
        }
        if not strict:
            del wanted["standby confirms"]
        found = {}
        for step, (who, what) in wanted.items():
            moments = [each.moment for each in after if each.who == who and each.what in what]
            if moments:
                found[step] = moments[0] - struck
        return found


def _get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def _lock(port: int) -> str:
    """The node whose lock etcd keeps."""
    status, text = _get(port, "/v2/keys/service/retrobus/leader")
    return FREE if status == 404 else str(json.loads(text)["node"]["value"])


def _belief(node: Node) -> str:
    """What a Patroni says of its PostgreSQL, and of the standbys that confirm its commits."""
    told = json.loads(_get(node.places.rest, "/patroni")[1])
    if told.get("role") not in {"master", "primary"} or told.get("state") != "running":
        return STANDBY
    confirming = [each for each in told.get("replication") or () if each["sync_state"] in {"sync", "quorum"}]
    return CONFIRMED if any(each["state"] == "streaming" for each in confirming) else PRIMARY


def _led_to(path: str) -> str:
    """The nodes to which haproxy leads connections."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        line.connect(path)
        line.sendall(b"show stat\n")
        text = b""
        with suppress(TimeoutError):
            while more := line.recv(1 << 16):
                text += more
    rows = [row.split(",") for row in text.decode().splitlines() if row.startswith("postgres,")]
    return ",".join(row[1] for row in rows if row[17].startswith("UP") and row[1] != "BACKEND")
