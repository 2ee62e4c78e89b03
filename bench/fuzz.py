"""Runs Schemathesis against the service for minutes: `make fuzz`.

First with PostgreSQL, then from memory while PostgreSQL is away. Prints the faults and the number of requests. Ends
with 1 if there is a fault.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fuzzing import fuzz, sender
from harness import Api, at, run_sql, served, settings_for, until
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

AWAY = (
    "ALTER DATABASE fuzz ALLOW_CONNECTIONS false",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'fuzz'",
    "ALTER DATABASE fuzz RENAME TO fuzz_away",
)


@contextmanager
def service(folder: Path, *, fallback: bool) -> Iterator[tuple[Api, str]]:
    """The service on an empty database of its own, and the URL of the server's other database."""
    with embedded_postgres(folder / "postgres", settings={"fsync": "off"}) as postgres:
        server = postgres.url()
        run_sql(server, "CREATE DATABASE fuzz")
        url = at(server, "fuzz")
        migrate.upgrade(url)
        settings = settings_for(
            url, backups_dir=folder, enable_memory_fallback=fallback, enable_runtime_state_save=fallback
        )
        with served(settings, url) as api:
            yield api, server


def one(name: str, options: list[str], *, away: bool) -> int:
    """Runs once and prints the number of requests and the faults."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), fallback=away) as (api, server):
        admin = sender(api)
        if away:
            until(lambda: api.get("/ready").json()["mode"] == "fallback", 20, "the mirror")
            api.get("/api/me", headers=admin.headers)
            run_sql(server, *AWAY)
            until(lambda: api.get("/ready").json()["database"] == "down", 20, "the outage")
        code, said = fuzz(api, admin, *options)
        seen = api.get("/api/me", headers=admin.headers)
        source = seen.headers.get("X-Data-Source")
    generated = re.findall(r"(\d+) generated", said)
    print(said if code else "", f"{name}: {generated} requests, found: {'nothing' if code == 0 else 'see above'};",
          f"at the end /api/me is {seen.status_code} from {source}")  # fmt: skip
    return code or seen.status_code != 200


def main() -> int:
    """Runs with PostgreSQL, then from memory; 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-examples", default="100", help="requests for each operation and phase")
    parser.add_argument("--seed", default="1")
    given = parser.parse_args()
    options = ["--max-examples", given.max_examples, "--seed", given.seed]
    return one("with PostgreSQL", options, away=False) | one("from memory", options, away=True)


if __name__ == "__main__":
    sys.exit(main())
