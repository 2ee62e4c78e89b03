"""Runs Schemathesis against the service for minutes: `make fuzz`.

In strict mode and with the fallback, each with PostgreSQL and while it is away. All checks of Schemathesis are on, also
`use_after_free` and `ensure_resource_availability`; `tests/support/fuzz_hooks.py` has what three of them pass over.
Streams never end, so this program asks for them itself. Prints a table, and each finding. Ends with 1 if there is one.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from timing.report import machine, record

from fuzzing import fuzz, sender
from harness import Api, Person, at, run_sql, served, settings_for, until
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

DOCUMENT = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- the last fuzz -->", "<!-- end of the last fuzz -->")
HEAD = "| run | cases | findings | of these streams, by status |\n| --- | ---: | ---: | --- |"
AWAY = (
    "ALTER DATABASE fuzz ALLOW_CONNECTIONS false",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'fuzz'",
    "ALTER DATABASE fuzz RENAME TO fuzz_away",
)


MODES = ("strict", "fallback")
SENT = ("", "since=", "since=%00", "since=AAAA", "resource=Event", "resource=Nothing", "resource=Event&resource=Event",
        "limit=1", "cursor=x", "page=2", "since=" + "A" * 9000, "%FF=1", "&&&&", "since=" + "W10" * 50)  # fmt: skip
"""What streams are asked for: Schemathesis would wait for the end of an answer that has none."""

RESUMED = ("", "x", "AAAA", "é", "W10" * 50, "a" * 9000)
"""What a client that comes again says it saw last."""


@dataclass
class Run:
    """One row of the table."""

    name: str
    cases: int
    findings: int
    statuses: Counter[int]
    told: str

    @property
    def fine(self) -> bool:
        """Whether nothing was found, streams included."""
        return not self.findings and not self.told

    @property
    def row(self) -> str:
        """The row as it stands in docs/reliability.md."""
        counted = ", ".join(f"{count} × {status}" for status, count in sorted(self.statuses.items()))
        return f"| {self.name} | {self.cases:,} | {self.findings} | {counted} |"


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


def asked_for_streams(api: Api, admin: Person, *, away: bool) -> Counter[int]:
    """Opens each stream with good and bad questions, reads its first bytes and leaves; the statuses."""
    found: Counter[int] = Counter()
    for path, query, last in product(("/api/changes/stream", "/public/changes/stream"), SENT, RESUMED):
        headers = admin.headers | ({"Last-Event-ID": last.encode()} if last else {})
        with api.stream("GET", f"{path}?{query}", headers=headers) as answer:
            found[answer.status_code] += 1
            if answer.status_code == 200:
                next(answer.iter_raw())
            elif answer.read() and answer.status_code == 503 and not (away and "Retry-After" in answer.headers):
                raise AssertionError(answer.text)
    return found


def one(mode: str, options: list[str], *, away: bool) -> Run:
    """Runs once; PostgreSQL goes before it, if it is to be away."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), fallback=mode == "fallback") as (api, server):
        admin = sender(api)
        if away:
            if mode == "fallback":
                until(lambda: api.get("/ready").json()["mode"] == "fallback", "the mirror")
            api.get("/api/me", headers=admin.headers)
            run_sql(server, *AWAY)
            until(lambda: api.get("/ready").json()["database"] == "down", "the outage")
        code, said = fuzz(api, admin, *options, away=mode if away else "")
        streams = asked_for_streams(api, admin, away=away)
        alive = api.get("/api/me", headers=admin.headers).status_code == 200
    generated = re.findall(r"(\d+) generated", said)
    cases = sum(map(int, generated)) + streams.total()
    told = said if code or not generated else "" if alive else "the service no longer answers /api/me"
    wrong = len(re.findall(r"^_{3,} ", told, re.MULTILINE)) or code
    bad = sum(count for status, count in streams.items() if status >= 500 and not (away and status == 503))
    return Run(f"{mode}, PostgreSQL {'away' if away else 'there'}", cases, wrong + bad, streams, told)


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-examples", default="6", help="requests for each operation and phase")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", default="", help="only the runs whose name holds this text")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    return parser.parse_args()


def main() -> int:
    """Runs in both modes, with PostgreSQL and while it is away; 1 if there is a finding."""
    given, runs, place = asked(), list[Run](), machine()
    options = ["--max-examples", given.max_examples, "--seed", given.seed]
    print(f"{place}\n\n{HEAD}", flush=True)
    for mode, away in product(MODES, (False, True)):
        if given.only in f"{mode}, PostgreSQL {'away' if away else 'there'}":
            run = one(mode, options, away=away)
            runs.append(run)
            print(run.row, f"\n{run.told}" if run.told else "", flush=True)
    if given.record:
        cases = f"{sum(run.cases for run in runs):,} cases."
        record("\n".join([f"{place} {cases}", "", HEAD, *(run.row for run in runs)]), DOCUMENT, MARKS)
    return 0 if all(run.fine for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
