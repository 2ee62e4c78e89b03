"""Measures how fast the service notices the loss and the return of Postgres: `python bench/outage.py`.

Postgres is stopped, then killed with -9, then suspended for six seconds. Meanwhile sixteen connections send requests,
one in four of them a write. If a limit is not kept, the program ends with status 1.
"""

import asyncio
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from timing.collection import BODY, ONE, WRITE, bearer, fill
from timing.load import CONNECTIONS, connection, request
from timing.servers import running, serving

from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, embedded_postgres
from retrobus.logbook import UNAVAILABLE

ROOT = Path(__file__).resolve().parents[1]
BEFORE, AFTER = 1.0, 5.0
"""Seconds of load before the outage, and after its end."""

REFUSAL = UNAVAILABLE.encode()


@dataclass(frozen=True)
class Outage:
    """How Postgres goes away, for how long, how it comes back, and how long a refusal may take."""

    name: str
    go: Callable[[EmbeddedPostgres], None]
    come: Callable[[EmbeddedPostgres], None]
    seconds: float
    p50: float
    p99: float


OUTAGES = (
    Outage("stopped", EmbeddedPostgres.stop, EmbeddedPostgres.start, 3, 0.050, 0.050),
    Outage("killed -9", EmbeddedPostgres.kill, EmbeddedPostgres.start, 3, 0.050, 0.050),
    Outage("suspended", EmbeddedPostgres.freeze, EmbeddedPostgres.thaw, 6, 0.010, 2.0),
)
RETURN = 1.0
"""Seconds from the end of the outage to the first answer from Postgres, at most."""


@dataclass
class Seen:
    """What the clients saw: each answer's end, duration, status and whether it was the refusal."""

    answers: list[tuple[float, float, int, bool]] = field(default_factory=list)
    over: bool = False


async def ask_on(port: int, token: str, seen: Seen) -> None:
    """Sends requests on one connection until the outage is over."""
    read, write = request("GET", ONE.path, token), request("POST", WRITE.path, token, BODY)
    turn = 0
    async with connection(port) as ask:
        while not seen.over:
            turn += 1
            started = time.perf_counter()
            status, body = await ask(read if turn % 4 else write)
            ended = time.perf_counter()
            seen.answers.append((ended, ended - started, status, REFUSAL in body))
            await asyncio.sleep(0.005)  # a pause between requests: else the clients' own queue would be measured


async def go_through(outage: Outage, postgres: EmbeddedPostgres, port: int, token: str) -> tuple[Seen, float, float]:
    """Makes the outage under load; returns when it began and when it ended."""
    seen = Seen()
    clients = [asyncio.create_task(ask_on(port, token, seen)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(BEFORE)
    gone = time.perf_counter()
    await asyncio.to_thread(outage.go, postgres)
    await asyncio.sleep(outage.seconds)
    await asyncio.to_thread(outage.come, postgres)
    back = time.perf_counter()
    await asyncio.sleep(AFTER)
    seen.over = True
    await asyncio.gather(*clients)
    return seen, gone, back


def in_use(port: int) -> float:
    """The number of connections that the pool has handed out."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return float(
        next(line for line in lines if line.startswith('retrobus_pool_connections{state="in_use"}')).split()[1]
    )


def report(outage: Outage, seen: Seen, gone: float, back: float, left: float) -> bool:
    """Prints one line of the table; whether every limit was kept."""
    refused = sorted(took for _, took, _, refusal in seen.answers if refusal)
    p50, p99 = refused[len(refused) // 2], refused[int(len(refused) * 0.99)]
    until = min((end - back for end, _, status, _ in seen.answers if end > back and status < 300), default=99.0)
    others = Counter(
        status for end, _, status, refusal in seen.answers if end > gone and not refusal and status not in {200, 201}
    )
    kept = p50 <= outage.p50 and p99 <= outage.p99 and until <= RETURN and left == 0
    figures = (len(refused), *(f"{1e3 * seconds:.1f}" for seconds in (p50, p99, refused[-1], until)), f"{left:.0f}")
    print(f"| {outage.name} | {' | '.join(map(str, figures))} | {dict(others) or ''} | {'yes' if kept else 'NO'} |")
    return kept


def main() -> None:
    """Makes the three outages and prints the table."""
    token = bearer()
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "pg") as postgres:
        migrate.upgrade(postgres.url())
        asyncio.run(fill(postgres.url()))
        print("| outage | refusals | p50 ms | p99 ms | slowest ms | first answer ms | in use | other answers | kept |")
        print("|---|---|---|---|---|---|---|---|---|")
        with running(serving("service", ROOT, postgres.url(), Path(name), LOG_LEVEL="error"), token) as server:
            kept = []
            for outage in OUTAGES:
                seen, gone, back = asyncio.run(go_through(outage, postgres, server.port, token))
                kept.append(report(outage, seen, gone, back, in_use(server.port)))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
