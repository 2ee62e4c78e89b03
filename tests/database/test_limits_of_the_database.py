"""Facts about commands on a database whose operator set short limits: long work is not cut, nothing is an outage."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness import at, run_sql, served, settings_for
from retrobus.database import migrate
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.model.resources import VEHICLE
from retrobus.model.rows import completed, encode

Terminal = Callable[..., tuple[int, str, str]]
LIMITS = ("statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'",
          "idle_session_timeout = '1ms'")  # fmt: skip
SINCE_17 = ("transaction_timeout = '100ms'",)
PAUSE = 0.3
"""Seconds without a request: longer than any limit of an idle session."""

BACKUPS = Path("backups")


@dataclass(frozen=True)
class Hurried:
    """An empty database with limits in which hardly a statement can end, and the way in without them."""

    url: str
    unhurried: str


@pytest.fixture
def hurried(server: str) -> Iterator[Hurried]:
    """Such a database."""
    name = f"retrobus_hurried_{os.urandom(5).hex()}"
    limits = LIMITS + (SINCE_17 if int(run_sql(server, "SHOW server_version_num")[0][0]) >= 170_000 else ())
    run_sql(server, f"CREATE DATABASE {name}", *(f"ALTER DATABASE {name} SET {limit}" for limit in limits))
    lifted = "&".join(f"{limit.split()[0]}=0" for limit in limits)
    yield Hurried(at(server, name), f"{at(server, name)}&{lifted}")
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_no_command_is_cut_by_the_limits_of_the_database(hurried: Hurried, terminal: Terminal, tmp_path: Path) -> None:
    rows = "SET statement_timeout = 0; INSERT INTO vehicle (parc) SELECT 'v' || n FROM generate_series(1, 2000) n"
    commands = [
        ("db", "upgrade"),
        ("db", "current"),
        ("member", "create-admin", "--email", "alix@example.org", "--password-stdin"),
        ("backup", "create"),
        ("backup", "verify"),
        ("db", "clean", "--table", "vehicle", "--yes"),
        ("db", "show", "vehicle"),
        ("resync", "--list"),
        ("member", "list"),
        ("member", "export", "alix@example.org"),
        ("db", "reset", "--yes"),
    ]

    ended = []
    for number, command in enumerate(commands):
        ended.append((command, *terminal(*command, url=hurried.url, given="un-mot-de-passe-inventé\n")))
        if number == 0:
            run_sql(hurried.unhurried, *rows.split("; "))
    backup = min(path.name for path in (tmp_path / "backups").glob("backup_*"))
    ended.append((("restore",), *terminal("restore", backup, "--apply", "--yes", url=hurried.url)))

    assert [(command, said) for command, code, _, said in ended if code] == []
    assert run_sql(hurried.unhurried, "SELECT count(*) FROM vehicle")[0][0] == 2000


def test_a_service_on_such_a_database_serves_and_sees_no_outage(
    hurried: Hurried, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    migrate.upgrade(hurried.url)
    settings = settings_for(hurried.url, enable_memory_fallback=True, backups_dir=tmp_path / "state")

    with served(settings, hurried.unhurried) as api:
        manager = api.person("BUREAU")
        answers = []
        for number in range(5):
            made = api.post("/api/vehicles", json={"parc": f"p{number}"}, headers=manager.headers)
            answers.append((made.status_code, made.headers["X-Data-Source"]))
            run_sql(hurried.unhurried, f"INSERT INTO vehicle (parc) VALUES ('q{number}')")
            found = api.get(f"/api/vehicles/q{number}", headers=manager.headers)
            answers.append((found.status_code, found.headers["X-Data-Source"]))
            time.sleep(PAUSE)  # an idle session is what the limit ends, and nothing tells that time has passed
        ready = api.get("/ready").json()

    assert answers == [(201, "postgres"), (200, "postgres")] * 5
    assert ready["ready"] is True
    said = capsys.readouterr().err
    assert [word for word in ("indisponible", "interrompu") if word in said] == []


def test_a_journal_of_many_writes_comes_in_on_such_a_database(hurried: Hurried, terminal: Terminal) -> None:
    migrate.upgrade(hurried.url)
    identity = run_sql(hurried.unhurried, "SELECT id::text FROM database_identity")[0][0]
    BACKUPS.mkdir(mode=0o700)
    journal = Journal(BACKUPS / "journal.jsonl", identity=identity)
    rows = [encode(VEHICLE, completed(VEHICLE, {"id": 0, "parc": f"p{n}", "version": 0})) for n in range(400)]
    at = datetime.now(UTC).isoformat()
    journal.append(*[
        Entry(n, at, "Vehicle", row["parc"], "insert", row, None, None, journal=journal.id)
        for n, row in enumerate(rows, 1)
    ])  # fmt: skip

    code, _, said = terminal("resync", url=hurried.url)

    assert (code, said) == (0, "")
    assert run_sql(hurried.unhurried, "SELECT count(*) FROM vehicle")[0][0] == 400
