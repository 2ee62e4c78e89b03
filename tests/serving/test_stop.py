"""The service stops without resetting a connection, and a process that dies is told, counted and replaced."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from clients import Clients, Kind, answer_on
from harness import LONGEST, Api, Process, process, until
from limits import of_a_process
from raw_http import connected, head
from retrobus.development.process_tree import family, freeze, thaw
from retrobus.serving.listening import refuse_new

READ, WRITE = "GET /public/vehicles", "POST /api/auth/login"
KINDS = [
    *(Kind(READ) for _ in range(8)),
    *(Kind(WRITE, b"{}") for _ in range(2)),
    *(Kind(READ, pause=0.05) for _ in range(2)),
    *(Kind(READ, once=True) for _ in range(4)),
]
PATIENT = [
    *(Kind(READ, pause=0.01) for _ in range(10)),
    *(Kind(WRITE, b"{}", pause=0.01) for _ in range(2)),
    *(Kind(READ, once=True, pause=0.01) for _ in range(4)),
]
"""Sixteen clients that leave some processor time to the processes that start."""

HALF = b'{"identifier": "alix@example.org", '
REST = b'"password": ""}'


def started(running: Process, count: int) -> None:
    """Waits until so many processes of the service have started."""
    until(lambda: running.log.count("RétroBus API démarrée") >= count, f"the start of process {count}")


@pytest.mark.parametrize(
    ("workers", "number"), [(1, signal.SIGTERM), (1, signal.SIGINT), (1, signal.SIGHUP), (4, signal.SIGTERM)]
)
def test_no_request_of_sixteen_clients_is_lost_when_the_service_stops(
    database: str, tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    with process(database, tmp_path, "--workers", str(workers)) as (api, running):
        started(running, workers)
        clients = Clients(api.base_url.port or 0, KINDS)
        with clients.running():
            until(lambda: clients.answered >= 2_000, "2,000 answers")
            running.popen.send_signal(number)
        running.wait()

    assert clients.failures == {}
    assert "Traceback" not in running.log


def test_no_request_is_lost_while_processes_are_replaced_one_by_one(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, "--workers", "2") as (api, running):
        started(running, 2)
        clients = Clients(api.base_url.port or 0, PATIENT)
        with clients.running():
            running.popen.send_signal(signal.SIGHUP)
            started(running, 4)
            counted = clients.answered
            until(lambda: clients.answered >= counted + 500, "answers of the new processes")
            running.popen.send_signal(signal.SIGTERM)
        running.wait()

    assert clients.failures == {}
    assert "Processus de service mort" not in running.log


@pytest.fixture
def stopping(database: str, tmp_path: Path) -> Iterator[tuple[Api, Process]]:
    """A service that is told to stop while a test looks on."""
    with process(database, tmp_path) as (api, running):
        yield api, running


def stop(running: Process) -> None:
    running.popen.send_signal(signal.SIGTERM)
    until(lambda: "Arrêt demandé" in running.log, "the notice of the stop")


def test_load_balancers_hear_of_the_stop_before_connections_are_refused(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, **of_a_process(serving__server__NOTICE=LONGEST)) as (api, running):
        stop(running)

        answer = httpx.get(f"{api.base_url}/ready", timeout=LONGEST)

    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.headers["Connection"] == "close"


def test_a_request_under_way_is_answered_though_the_service_stops(stopping: tuple[Api, Process]) -> None:
    api, running = stopping
    length = b"Content-Length: %d" % len(HALF + REST)
    with connected(api) as link:
        link.settimeout(LONGEST)
        link.sendall(head("POST", b"/api/auth/member-login", None, length, b"Expect: 100-continue"))
        assert link.recv(100).startswith(b"HTTP/1.1 100 ")
        link.sendall(HALF)
        stop(running)
        until(lambda: _refuses(api), "the end of listening")
        link.sendall(REST)

        status, kept = answer_on(link)

    assert (status, kept) == ("422", False)


def _refuses(api: Api) -> bool:
    with socket.socket() as probe:
        probe.settimeout(LONGEST)
        return probe.connect_ex(("127.0.0.1", api.base_url.port)) != 0


def test_an_idle_connection_ends_and_is_not_reset(stopping: tuple[Api, Process]) -> None:
    api, running = stopping
    with connected(api) as used, connected(api) as unused:
        used.sendall(head("GET", b"/api/health"))
        first = answer_on(used)
        running.popen.send_signal(signal.SIGTERM)
        used.settimeout(LONGEST)
        unused.settimeout(LONGEST)

        assert first == ("200", True)
        assert (used.recv(100), unused.recv(100)) == (b"", b"")

    assert running.wait() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_connection_that_waits_in_the_kernel_is_served(stopping: tuple[Api, Process], number: signal.Signals) -> None:
    api, running = stopping
    freeze(running.popen.pid)
    with connected(api) as link:
        link.settimeout(LONGEST)
        link.sendall(head("GET", b"/api/health"))
        running.popen.send_signal(number)
        thaw(running.popen.pid)

        assert answer_on(link)[0] == "200"


def test_after_the_end_of_listening_the_queue_only_empties() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as early:
        early.sendall(b"early")

        refuse_new([listener])

        with socket.socket() as late:
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            early.sendall(b" and late")
            assert accepted.recv(100).startswith(b"early")


def test_a_process_that_dies_is_told_counted_and_replaced(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, "--workers", "2") as (api, running):
        started(running, 2)
        victim = next(pid for pid in family(running.popen.pid)[1:] if _serves(pid))
        before = _deaths(api)

        os.kill(victim, signal.SIGKILL)

        until(lambda: "Processus de service mort, remplacé" in running.log, "the line about the death")
        started(running, 3)
        assert f'"pid": {victim}, "how": "SIGKILL"' in running.log
        assert (before, until(lambda: _deaths(api), "the count of the death")) == (0, 1)


def test_processes_that_die_at_once_are_replaced_more_and_more_slowly(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, "--workers", "2") as (_, running):
        started(running, 2)
        for _ in range(3):
            _kill_one(running)
        pauses = [float(pause) for pause in re.findall(r'"pause": ([\d.]+)', running.log)]

    assert all(later == max(earlier * 2, 1) for earlier, later in pairwise(pauses)), pauses


def _kill_one(running: Process) -> None:
    """Kills the newest process of the service, and returns when the supervisor has told of it."""
    before = running.log.count("Processus de service mort")
    victim = until(lambda: [pid for pid in family(running.popen.pid)[1:] if _serves(pid)], "a process")[-1]
    os.kill(victim, signal.SIGKILL)
    until(lambda: running.log.count("Processus de service mort") > before, "the line about its death")


def _serves(pid: int) -> bool:
    """The other child of a supervisor is multiprocessing's tracker of resources."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it is gone
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _deaths(api: Api) -> float:
    found = re.search(r"^retrobus_worker_deaths_total (\S+)$", httpx.get(f"{api.base_url}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else -1
