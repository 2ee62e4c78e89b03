"""Times the writes that memory takes while Postgres is away: `python bench/journal.py`.

Sixteen clients create and delete events for ten seconds; each answer waits until the journal's entry is on the disk.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from timing.collection import BODY, WRITE, bearer, fill
from timing.load import CONNECTIONS, connection, request
from timing.servers import Server, memory, running, serving

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

SECONDS = 10.0
ROOT = Path(__file__).resolve().parents[1]
TOGGLES = {"ENABLE_MEMORY_FALLBACK": "true", "ENABLE_RUNTIME_STATE_SAVE": "true"}


async def load(port: int, token: str) -> list[float]:
    """How long each answer took, in seconds."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one() -> None:
        async with connection(port) as ask:
            while time.perf_counter() < end:
                started = time.perf_counter()
                status, answer = await ask(request("POST", WRITE.path, token, BODY))
                times.append(time.perf_counter() - started)
                if status != 202:
                    sys.exit(f"unexpected answer {status}: {answer!r}")
                started = time.perf_counter()
                await ask(request("DELETE", f"{WRITE.path}/{json.loads(answer)['id']}", token))
                times.append(time.perf_counter() - started)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return sorted(times)


def ready_from_memory(server: Server, token: str) -> bool:
    """Whether the service answers from memory now."""
    found: bool = json.loads(server.get("/ready", token)[2])["mirror"]["answers"]
    return found


def main() -> None:
    """Prints writes per second, and the median and 99th percentile of their time."""
    token = bearer()
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "pg") as postgres:
        folder, url = Path(name), postgres.url()
        migrate.upgrade(url)
        asyncio.run(fill(url))
        with running(serving("service", ROOT, url, folder, LOG_LEVEL="error", **TOGGLES), token) as server:
            postgres.kill()
            while not ready_from_memory(server, token):
                time.sleep(0.1)
            times = asyncio.run(load(server.port, token))
            p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
            rate, size = len(times) / SECONDS, memory(server.pid)
            print(f"{rate:.0f} writes/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {size:.0f} MiB")
        postgres.start()


if __name__ == "__main__":
    main()
