"""Two services behind the load balancer of deploy/haproxy.cfg: a real haproxy runs the file as it is."""

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # no stubs are installed for one file

from builders import an_event
from harness import LONGEST, SECRET, Api, Person, Process, closed_to_all, free_port, run_sql, until

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy/haproxy.cfg"

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(HAPROXY is None, reason="needs haproxy (Debian: apt-get install haproxy)"),
]

PATRONI = """
from pathlib import Path
from clustering.configuration import Places, Rules, patroni

print(patroni(Places("n1", Path("n1"), 1, 2, 3), Rules(10, True, 3)))
"""
"""Prints the patroni.yml of a node of `make cluster`: strict, three nodes."""


class Pair:
    """Two services, and a client of both through haproxy."""

    def __init__(self, database: str, folder: Path) -> None:
        self._database, self._folder = database, folder
        self.ports = [free_port(), free_port()]
        self.services = [self.start(number) for number in (0, 1)]
        self.address = f"http://127.0.0.1:{free_port()}"

    def start(self, number: int) -> Process:
        """Starts a service on its port."""
        place = self._folder / f"service{number}"
        place.mkdir(exist_ok=True)
        environment = {"DATABASE_URL": self._database, "JWT_SECRET": SECRET, "APP_ENV": "test"}
        return Process(["serve"], place, environment | {"PORT": str(self.ports[number])})

    def replace(self, number: int) -> None:
        """Stops a service as systemd does, and returns when another one on its port is ready."""
        self.services[number].popen.send_signal(signal.SIGTERM)
        self.services[number].wait()
        self.services[number] = self.start(number)
        until(lambda: self.ready(number), "the new service")

    def ready(self, number: int) -> bool:
        """Whether this service says so itself."""
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.ports[number]}/ready").status_code == 200
        return False


@contextmanager
def balanced(database: str, folder: Path) -> Iterator[tuple[Pair, Api]]:
    """Both services ready behind haproxy, which runs our file; only the ports are this test's."""
    pair = Pair(database, folder)
    written, here = CONFIGURATION.read_text(encoding="utf-8"), {"bind :80": f"bind {pair.address[7:]}"}
    here |= {f"127.0.0.1:{3001 + number}": f"127.0.0.1:{port}" for number, port in enumerate(pair.ports)}
    for text, ours in here.items():
        assert text in written
        written = written.replace(text, ours)
    (folder / "haproxy.cfg").write_text(written)
    running = subprocess.Popen([str(HAPROXY), "-db", "-f", folder / "haproxy.cfg"], stderr=subprocess.DEVNULL)
    try:
        with Api(pair.address, database) as api:
            until(lambda: pair.ready(0) and pair.ready(1), "both services")
            until(lambda: api.get("/ready").status_code == 200, "haproxy")
            yield pair, api
    finally:
        running.kill()
        running.wait()
        for service in pair.services:
            service.popen.kill()
            service.wait()


class Traffic:
    """Clients that write and read through the balancer until they are told to stop."""

    def __init__(self, address: str, person: Person) -> None:
        self.statuses: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self._counting = threading.Lock()
        self._address, self._headers, self._end = address, person.headers, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, writes: int) -> None:
        """Returns when so many more writes were acknowledged."""
        before = len(self.acknowledged)
        until(lambda: len(self.acknowledged) > before + writes)

    def _work(self, number: int) -> None:
        for count in range(1_000_000):
            if self._end.is_set():
                return
            with suppress(httpx.TransportError):  # counted as what is not in `statuses`
                self._once(f"turn-{number}-{count}")

    def _once(self, key: str) -> None:
        self._count("asked")
        with httpx.Client(base_url=self._address, headers=self._headers, timeout=LONGEST) as client:
            made = client.post("/api/events", json=an_event(title=key))
            self._count(f"POST {made.status_code}")
            if made.status_code == 201:
                self.acknowledged.append(made.json()["id"])
                read = client.get(f"/api/events/{made.json()['id']}")
                self._count(f"GET {read.status_code}")

    def _count(self, what: str) -> None:
        with self._counting:
            self.statuses[what] += 1


def test_services_that_are_replaced_one_by_one_fail_no_request(database: str, tmp_path: Path) -> None:
    with balanced(database, tmp_path) as (pair, api):
        manager = api.person("ADMIN")
        with Traffic(pair.address, manager) as traffic:
            until(lambda: len(traffic.acknowledged) > 20)
            for number in (0, 1):
                pair.replace(number)
                traffic.goes_on(20)
        kept = {row["id"] for row in run_sql(database, "SELECT id FROM event")}
        done = traffic.statuses["asked"]

        assert traffic.statuses == {"asked": done, "POST 201": done, "GET 200": done}
        assert kept == set(traffic.acknowledged)


def test_a_service_that_dies_is_left_out_and_its_writes_are_not_sent_twice(database: str, tmp_path: Path) -> None:
    with balanced(database, tmp_path) as (pair, api):
        manager = api.person("ADMIN")
        with Traffic(pair.address, manager) as traffic:
            until(lambda: len(traffic.acknowledged) > 20)
            pair.services[0].popen.kill()
            pair.services[0].wait()
            traffic.goes_on(50)
        titles = [row["title"] for row in run_sql(database, "SELECT title FROM event")]

        assert len(titles) == len(set(titles))
        assert len(titles) >= len(traffic.acknowledged)


def test_without_postgresql_the_services_own_answer_passes_the_balancer(database: str, tmp_path: Path) -> None:
    with balanced(database, tmp_path) as (_, api):
        with closed_to_all(database):
            refused = until(lambda: own_refusal(api), "the service's own 503")
            assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        until(lambda: api.get("/public/vehicles").status_code == 200)


def own_refusal(api: Api) -> httpx.Response | None:
    """What a service answers; None while haproxy answers in its place."""
    answer = api.get("/public/vehicles")
    return answer if "Retry-After" in answer.headers else None


def test_the_balancer_passes_streams_and_hides_metrics(database: str, tmp_path: Path) -> None:
    with balanced(database, tmp_path) as (_, api):
        assert api.get("/metrics").status_code == 404
        with api.stream("GET", "/public/changes/stream") as answer:
            assert "event: current" in answer.iter_lines()


def test_the_way_to_the_leader_in_the_documents_is_the_one_of_the_cluster_runs(tmp_path: Path) -> None:
    written = (ROOT / "docs/scaling.md").read_text(encoding="utf-8").partition("```haproxy\n")[2].partition("```")[0]
    run = (ROOT / "bench/clustering/configuration.py").read_text(encoding="utf-8")
    file = tmp_path / "haproxy.cfg"
    times = "defaults\n mode tcp\n timeout connect 2s\n timeout client 30m\n timeout server 30m\n"
    file.write_text(times + re.sub(r"[abc]\.example\.org", "127.0.0.1", written))

    assert [
        line for line in written.splitlines() if " server " not in line and " bind " not in line and line not in run
    ] == []
    assert subprocess.run([str(HAPROXY), "-c", "-f", file], capture_output=True, check=False).returncode == 0


def test_the_settings_of_patroni_in_the_documents_are_those_of_the_cluster_runs() -> None:
    written = (ROOT / "docs/scaling.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    ran = subprocess.run([sys.executable, "-c", PATRONI], cwd=ROOT / "bench", capture_output=True, check=True).stdout

    assert yaml.safe_load(written) == yaml.safe_load(ran)["bootstrap"]["dcs"]
