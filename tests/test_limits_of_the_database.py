"""Facts about commands on a database whose operator set short limits: long work is not cut, nothing is an outage."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import at, run_sql

Terminal = Callable[..., tuple[int, str, str]]
LIMITS = ("statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'",
          "idle_session_timeout = '1ms'")  # fmt: skip


@pytest.fixture
def hurried(server: str) -> Iterator[str]:
    """An empty database with limits in which hardly a statement can end."""
    name = f"retrobus_hurried_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}", *(f"ALTER DATABASE {name} SET {limit}" for limit in LIMITS))
    yield at(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_no_command_is_cut_by_the_limits_of_the_database(hurried: str, terminal: Terminal, tmp_path: Path) -> None:
    unhurried = f"{hurried}&statement_timeout=0&idle_session_timeout=0"
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
        ended.append((command, *terminal(*command, url=hurried, given="un-mot-de-passe-inventé\n")))
        if number == 0:
            run_sql(unhurried, *rows.split("; "))
    backup = min(path.name for path in (tmp_path / "backups").glob("backup_*"))
    ended.append((("restore",), *terminal("restore", backup, "--apply", "--yes", url=hurried)))

    assert [(command, said) for command, code, _, said in ended if code] == []
    assert (
        run_sql(f"{hurried}&statement_timeout=0&idle_session_timeout=0", "SELECT count(*) FROM vehicle")[0][0] == 2000
    )
