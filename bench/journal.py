"""Times the writes that memory takes while Postgres is away: `python bench/journal.py`, also in `make bench`.

Sixteen clients create and delete events for ten seconds; each answer waits until the journal's entry is on the disk.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from run import BODY, CONNECTIONS, PATHS, SECRET, connection, fill, memory, request, wait_for

from retrobus.accounts.tokens import TokenRules, Tokens
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

SECONDS = 10.0
PORT = 3998
TOGGLES = {"ENABLE_MEMORY_FALLBACK": "true", "ENABLE_RUNTIME_STATE_SAVE": "true"}


async def load(token: str) -> list[float]:
    """How long each answer took, in seconds."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one() -> None:
        async with connection(PORT) as ask:
            while time.perf_counter() < end:
                started = time.perf_counter()
                status, answer = await ask(request("POST", PATHS["write"], token, BODY))
                times.append(time.perf_counter() - started)
                if status != 202:
                    sys.exit(f"unexpected answer {status}: {answer!r}")
                started = time.perf_counter()
                await ask(request("DELETE", f"{PATHS['write']}/{json.loads(answer)['id']}", token))
                times.append(time.perf_counter() - started)

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return sorted(times)


def ready_from_memory() -> bool:
    """Whether the service answers from memory now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=2) as answer:
        found: bool = json.load(answer)["mirror"]["answers"]
    return found


def main() -> None:
    """Prints writes per second, and the median and 99th percentile of their time."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder) / "pg") as postgres:
        url = postgres.url()
        migrate.upgrade(url)
        asyncio.run(fill(url))
        settings = {"DATABASE_URL": url, "JWT_SECRET": SECRET, "PORT": str(PORT), "LOG_LEVEL": "error"} | TOGGLES
        serve = [sys.executable, "-c", "from retrobus.cli import main; main()", "serve"]
        service = subprocess.Popen(serve, cwd=folder, env=os.environ | settings | {"APP_ENV": "test"})
        try:
            wait_for(PORT)
            postgres.kill()
            while not ready_from_memory():
                time.sleep(0.1)
            tokens = Tokens(TokenRules((SECRET,), "retrobus", "retrobus-api", 3600))
            times = asyncio.run(load(tokens.issue({"id": "bench", "role": "ADMIN", "token_epoch": 0})[0]))
            p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
            rate, size = len(times) / SECONDS, memory(service.pid)
            print(f"{rate:.0f} writes/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {size:.0f} MiB")
        finally:
            service.terminate()
            service.wait()
            postgres.start()


if __name__ == "__main__":
    main()
