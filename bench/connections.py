"""Keeps 1,000 connections open for two minutes: `make connections`. About six minutes.

Three runs against one service: mostly idle (each client asks for a vehicle every ten seconds), busy (each client asks
for a vehicle as soon as it has its answer), and overloaded (the same with a list of 500 events, more than the service
can give). A client that is answered 503 waits as long as Retry-After says. The service must answer every request with
200, or with 503 and Retry-After, and its memory must not grow. Ends with 1 if it fails to.
"""

import argparse
import asyncio
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from timing.collection import LIST, ONE, Workload, bearer, fill
from timing.load import request
from timing.servers import Server, memory, running, serving

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 10.0
"""Seconds between two requests of a client that is mostly idle."""

EARLY = 20.0
"""Seconds after which the memory is looked at first: the connections are open and each has been used."""

GROWTH = 1.05
"""How much the memory may grow between the first look and the last."""


RUNS = {"mostly idle": (ONE, PAUSE), "busy, one vehicle": (ONE, 0.0), "overloaded, 500 events": (LIST, 0.0)}
"""What the clients of each run ask for, and their pause."""


HEAD = """| run | answers/s | 200 | p50 / p99 ms | 503 | code | p50 / p99 ms | RSS MiB, early → late | faults |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


@dataclass
class Seen:
    """What the clients saw: answers by status, the seconds of each 200 and 503, and what broke a connection."""

    statuses: Counter[str] = field(default_factory=Counter)
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    early: float = 0.0
    late: float = 0.0

    @property
    def fine(self) -> bool:
        """Whether every request was answered with 200, or 503 with Retry-After, in steady memory."""
        return not self.faults and self.late <= self.early * GROWTH


class Client(asyncio.Protocol):
    """One kept-alive connection, which sends a request `pause` seconds after each answer."""

    def __init__(self, text: bytes, seen: Seen, pause: float) -> None:
        self._text, self._seen, self._pause = text, seen, pause
        self._buffer = bytearray()
        self._missing = -1
        self._sent = 0.0
        self._closing = False
        self._line: asyncio.Transport | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport; `ask` sends the first request."""
        self._line = transport  # type: ignore[assignment]

    def ask(self) -> None:
        """Sends the request."""
        if self._line is not None and not self._closing:
            self._sent = time.perf_counter()
            self._line.write(self._text)

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of the answer."""
        self._buffer += data
        if self._missing < 0:
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._head = bytes(head).lower()
            size = int(self._head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._missing = len(head) + 4 + size
        if len(self._buffer) >= self._missing:
            self._answered()

    def _answered(self) -> None:
        took, status = time.perf_counter() - self._sent, self._head[9:12].decode()
        told = self._head.partition(b"retry-after: ")[2].partition(b"\r\n")[0]
        if status != "200":
            code = re.search(rb'"code": ?"([a-z_]+)"', self._buffer)
            status = f"{status} {code[1].decode() if code else 'without code'}"
        self._seen.statuses[status] += 1
        if status == "200":
            self._seen.served.append(took)
        elif status.startswith("503") and told:
            self._seen.refused.append(took)
        else:
            self._seen.faults[f"{status}, Retry-After {told.decode() or 'missing'}"] += 1
        self._buffer.clear()
        self._missing = -1
        wait = float(told) if told else self._pause
        loop = asyncio.get_running_loop()
        loop.call_later(wait, self.ask) if wait else loop.call_soon(self.ask)

    def connection_lost(self, error: Exception | None) -> None:
        """Notes a connection that the service has closed."""
        if not self._closing:
            self._seen.faults[f"connection lost: {error}"] += 1

    def close(self) -> None:
        """Ends the client."""
        self._closing = True
        if self._line is not None:
            self._line.close()


async def keep(server: Server, workload: Workload, pause: float, options: argparse.Namespace) -> Seen:
    """Opens the connections, lets them ask for the time of the run, and closes them."""
    seen, text = Seen(), request("GET", workload.path, bearer())
    loop = asyncio.get_running_loop()
    make: Callable[[], Client] = lambda: Client(text, seen, pause)  # noqa: E731 - a factory, as asyncio wants it
    clients: list[Client] = []
    for _ in range(options.connections):
        _, client = await loop.create_connection(make, "127.0.0.1", server.port)
        clients.append(client)
    for place, client in enumerate(clients):
        loop.call_later(pause * place / len(clients), client.ask)
    early = min(EARLY, options.seconds / 2)
    await asyncio.sleep(early)
    seen.early = memory(server.pid)
    await asyncio.sleep(options.seconds - early)
    seen.late = memory(server.pid)
    for client in clients:
        client.close()
    await asyncio.sleep(0.5)
    return seen


def line(title: str, seen: Seen, options: argparse.Namespace) -> str:
    """One line of the table."""
    served, refused = (_times(times) for times in (seen.served, seen.refused))
    rate = seen.statuses.total() / options.seconds
    faults = ", ".join(f"{count} × {what}" for what, count in seen.faults.items()) or "none"
    codes = ", ".join(sorted(status for status in seen.statuses if status.startswith("503"))) or "–"
    counts = f"{len(seen.served):,} | {served} | {len(seen.refused):,} | {codes} | {refused}"
    return f"| {title} | {rate:,.0f} | {counts} | {seen.early:.0f} → {seen.late:.0f} | {faults} |"


def _times(times: list[float]) -> str:
    if not times:
        return "–"
    ordered = sorted(times)
    return " / ".join(f"{ordered[int(len(ordered) * part)] * 1e3:,.0f}" for part in (0.5, 0.99))


def make_room(connections: int) -> None:
    """Raises this program's own limit of open files, if it must and may; tells the limit of the service."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + 100
    if soft < needed:
        if hard < needed:
            sys.exit(f"{connections} connections need {needed} open files, the limit is {hard}: raise it (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def open_files(server: Server) -> str:
    """The service's limit of open files."""
    limits = Path(f"/proc/{server.pid}/limits").read_text().splitlines()
    soft, hard = next(found for found in limits if found.startswith("Max open files")).split()[3:5]
    return f"limit of open files of the service: {soft} (hard {hard})"


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120, help="of each of the three runs (120)")
    return parser.parse_args()


def main() -> int:
    """Prints the table; 1 if a request was not answered, a 503 had no Retry-After, or the memory grew."""
    options = asked()
    make_room(options.connections)
    fine = True
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "pg") as postgres:
        migrate.upgrade(postgres.url())
        asyncio.run(fill(postgres.url()))
        with running(serving("service", ROOT, postgres.url(), Path(name)), bearer()) as server:
            print(f"{options.connections} connections, {options.seconds:.0f} s each; {open_files(server)}\n")
            print(
                "| run | answers/s | 200 | p50 / p99 ms | 503 | code | p50 / p99 ms | RSS MiB, early → late | faults |"
            )
            print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
            for title, (workload, pause) in RUNS.items():
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    seen = runner.run(keep(server, workload, pause, options))
                print(line(title, seen, options), flush=True)
                fine &= seen.fine
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
