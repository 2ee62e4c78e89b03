"""The servers under measurement: started, timed until their first answer, and stopped."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from timing.collection import ONE, SECRET, Workload

SERVE = [sys.executable, "-c", "from retrobus.cli import main; main()", "serve"]
START = 20.0
"""Seconds that a server has to start."""


class DidNotStart(RuntimeError):
    """A server gave no answer in time; the text names it and shows the end of its output."""


@dataclass(frozen=True)
class Program:
    """How to start a server, and the database that it uses; `environment` is added to that of this program."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    database: str


@dataclass
class Server:
    """A running server and the time of its start, in seconds."""

    program: Program
    port: int
    pid: int
    start: float
    etags: dict[Workload, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.program.name

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, token: str, headers: dict[str, str] | None = None) -> tuple[int, str | None, bytes]:
        """Status, ETag and body of one answer."""
        line = HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(line):
            line.request("GET", path, headers={"Authorization": f"Bearer {token}"} | (headers or {}))
            answer = line.getresponse()
            return answer.status, answer.getheader("ETag"), answer.read()

    def learn_etag(self, workload: Workload, token: str) -> bool:
        """Notes the ETag of a path; whether the server answers it with 304."""
        etag = self.get(workload.path, token)[1]
        if etag is None or self.get(workload.path, token, {"If-None-Match": etag})[0] != 304:
            return False
        self.etags[workload] = etag
        return True


def serving(name: str, source: Path, database: str, folder: Path, **settings: str) -> Program:
    """The service of a source tree on a database."""
    environment = {"DATABASE_URL": database, "JWT_SECRET": SECRET, "APP_ENV": "test", "LOG_LEVEL": "warning"}
    return Program(name, SERVE, environment | {"PYTHONPATH": str(source / "src")} | settings, folder, database)


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(program: Program, token: str) -> Iterator[Server]:
    """The server, from its first answer to the end of the block."""
    port = free_port()
    log = program.folder / f"{port}.log"
    environment = os.environ | program.environment | {"PORT": str(port)}
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(program.command, cwd=program.folder, env=environment, stdout=output, stderr=output)
    try:
        server = Server(program, port, process.pid, 0.0)
        while not answers(server, token):
            if process.poll() is not None or time.perf_counter() - began > START:
                raise DidNotStart(f"{program.name}:\n" + "\n".join(log.read_text().splitlines()[-15:]))
            time.sleep(0.005)
        server.start = time.perf_counter() - began
        yield server
    finally:
        process.terminate()
        process.wait()


def answers(server: Server, token: str) -> bool:
    """Whether the server gives a row."""
    try:
        return server.get(ONE.path, token)[0] == 200
    except (OSError, HTTPException):
        return False


def memory(pid: int) -> float:
    """Resident memory of a process and its children, in MiB."""
    total, left = 0, [pid]
    while left:
        place = Path(f"/proc/{left.pop()}")
        total += int((place / "status").read_text().split("VmRSS:")[1].split()[0])
        left += [int(child) for task in (place / "task").iterdir() for child in (task / "children").read_text().split()]
    return total / 1024
