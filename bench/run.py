"""Measures the service under load, alone or beside another revision: `make bench ARGS="--against HEAD~5"`.

The revisions take turns in short slices. The workloads: one vehicle, a list of 500 events, the public list of 200
vehicles, create and delete of an event; with 16 connections, strict mode, one process, an embedded Postgres with fsync
on. The load generator, the service and Postgres share the machine, so compare the ratios within one run; figures of two
runs cannot be compared.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from retrobus.accounts.tokens import TokenRules, Tokens
from retrobus.development.embedded import embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
UPGRADE = """import os, importlib.util
found = importlib.util.find_spec("retrobus.migrate") is not None
migrate = importlib.import_module("retrobus.migrate" if found else "retrobus.database.migrate")
migrate.upgrade(os.environ["DATABASE_URL"])"""
"""Runs with the code of the measured revision, which has its migration module in one of two places."""

SECRET = "a-secret-for-benchmarks-and-nothing-else"
CONNECTIONS = 16
ADMIN = "INSERT INTO member (id, email, role) VALUES ('bench', 'bench@example.org', 'ADMIN')"
VEHICLES = """INSERT INTO vehicle (parc, modele, marque, description, history, is_public, mileage, caracteristiques)
SELECT 'P' || lpad(i::text, 4, '0'), 'Modèle ' || i, 'Saviem', repeat('Conservé dans son état d''origine. ', 3 + i % 4),
  repeat('Réformé après une longue carrière. ', 3 + i % 5), true, i * 1234.5,
  (SELECT jsonb_agg(jsonb_build_object('label', 'Cote ' || j, 'value', i * j || ' mm')) FROM generate_series(1, 8) j)
FROM generate_series(1, 200) i"""
EVENTS = """INSERT INTO event (id, title, date, time, location, description, adult_price, vehicle_id, status, extras)
SELECT 'e' || i, 'Sortie n°' || i, '2024-01-01'::timestamptz + i * interval '1 day', '14:00', 'Place de la République',
  repeat('Balade commentée en autobus de collection. ', 2 + i % 3), 12.5, 'P' || lpad((1 + i % 200)::text, 4, '0'),
  'PUBLISHED', '{"isVisible": true}' FROM generate_series(1, 500) i"""
BODY = json.dumps({"title": "Banc d'essai", "date": "2026-01-01", "vehicleId": "P0001"}).encode()
PATHS = {"one": "/api/vehicles/P0042", "list": "/api/events", "public": "/public/vehicles", "write": "/api/events"}


@dataclass
class Subject:
    """One revision of the service, running."""

    name: str
    port: int
    pid: int
    figures: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)


@contextlib.contextmanager
def running(name: str, source: Path) -> Iterator[Subject]:
    """The service of a source tree on a Postgres of its own, filled."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder) / "pg") as postgres:
        migrations = {"PYTHONPATH": str(source / "src"), "DATABASE_URL": postgres.url()}
        program = UPGRADE
        subprocess.run([sys.executable, "-c", program], env=os.environ | migrations, check=True)  # its own migrations
        asyncio.run(fill(postgres.url()))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"JWT_SECRET": SECRET, "APP_ENV": "test", "PORT": str(port), "LOG_LEVEL": "warning"}
        serve = [sys.executable, "-c", "from retrobus.cli import main; main()", "serve"]
        service = subprocess.Popen(serve, cwd=folder, env=os.environ | migrations | settings)
        try:
            wait_for(port)
            yield Subject(name, port, service.pid)
        finally:
            service.terminate()
            service.wait()


async def fill(url: str) -> None:
    """Fills the tables with the same rows for every revision."""
    connection = await asyncpg.connect(url)
    for statement in (ADMIN, VEHICLES, EVENTS, "VACUUM ANALYZE"):
        await connection.execute(statement)
    await connection.close()


def wait_for(port: int) -> None:
    """Returns when the service answers."""
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
            return
        time.sleep(0.05)
    sys.exit("the service did not start")


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A checkout of another revision, for as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", place, revision], cwd=ROOT, check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[Callable[[bytes], Any]]:
    """A kept-alive connection that sends one request and gives status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)

    async def ask(request: bytes) -> tuple[int, bytes]:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head[9:12]), await reader.readexactly(size)

    try:
        yield ask
    finally:
        writer.close()


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


async def load(port: int, workload: str, token: str, seconds: float) -> tuple[float, float, float]:
    """Requests per second, and the median and 99th percentile of their time in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        async with connection(port) as ask:
            while time.perf_counter() < end:
                await timed(ask, "POST" if workload == "write" else "GET")

    async def timed(ask: Callable[[bytes], Any], method: str) -> None:
        started = time.perf_counter()
        body = BODY if method == "POST" else b""
        status, answer = await ask(request(method, PATHS[workload], token, body))
        times.append(time.perf_counter() - started)
        if status not in {200, 201}:
            sys.exit(f"{workload}: unexpected answer {status}")
        if method == "POST":
            started = time.perf_counter()
            await ask(request("DELETE", f"{PATHS[workload]}/{json.loads(answer)['id']}", token))
            times.append(time.perf_counter() - started)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    ordered = sorted(times)
    return len(ordered) / seconds, ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3


def memory(pid: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(subjects: list[Subject], rounds: int, seconds: float) -> None:
    """Measures the revisions in turns; the first round only warms up."""
    token = Tokens(TokenRules((SECRET,), "retrobus", "retrobus-api", 3600))
    bearer = token.issue({"id": "bench", "role": "ADMIN", "token_epoch": 0})[0]
    for turn in range(rounds + 1):
        for workload in PATHS:
            for subject in subjects:
                figure = asyncio.run(load(subject.port, workload, bearer, seconds))
                if turn:
                    subject.figures.setdefault(workload, []).append(figure)
                print(f"\r{turn}/{rounds} {workload} {subject.name}      ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def report(subjects: list[Subject]) -> None:
    """Prints the medians, and the ratio of the first revision to each."""
    print("| workload | revision | rps | first / it | p50 ms | p99 ms | RSS MiB |\n|---|---|---|---|---|---|---|")
    for workload in PATHS:
        first = subjects[0].figures[workload]
        for subject in subjects:
            own = subject.figures[workload]
            rps, p50, p99 = (statistics.median(values) for values in zip(*own, strict=True))
            ratio = statistics.median(a[0] / b[0] for a, b in zip(first, own, strict=True))
            figures = f"{rps:.0f} | {ratio:.2f} | {p50:.2f} | {p99:.1f} | {memory(subject.pid):.0f}"
            print(f"| {workload} | {subject.name} | {figures} |")


def main() -> None:
    """Reads the options and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="a git revision to time beside the work tree")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        trees = {"work tree": ROOT}
        if options.against:
            trees[options.against] = stack.enter_context(checkout(options.against))
        subjects = [stack.enter_context(running(name, source)) for name, source in trees.items()]
        measure(subjects, options.rounds, options.seconds)
        report(subjects)


if __name__ == "__main__":
    main()
