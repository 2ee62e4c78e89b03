"""Facts about commands killed in mid-work: a backup is whole or absent, a restore did all or nothing."""

import asyncio
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from harness import Process, run_sql, until
from locks import held
from retrobus.backups import catalog, create
from retrobus.backups.formats import read_backup

pytestmark = pytest.mark.faults

EVENTS = """INSERT INTO event (id, title, date)
SELECT 'e' || n, 'x', '2025-09-20' FROM generate_series(1, 6000) AS n"""
STAGES = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'retrobus cli'",
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted",
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT id, title, %FROM event WHERE%'",
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DELETE FROM %'",
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE event SET title%'",
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE database_identity%'",
)
"""How far a restore got, asked of Postgres; a later stage may be missed, then the restore ended."""

RESTORE = ("restore", "--apply", "--replace", "--yes")
MOMENTS = [Random(number).uniform(0.05, 1.5) for number in range(12)]
"""Seconds after its start at which a restore is killed, wherever it is then."""


def cli(folder: Path, database: str, *arguments: str) -> Process:
    return Process(list(arguments), folder, {"DATABASE_URL": database, "BACKUPS_DIR": "backups"})


def make(url: str, folder: Path) -> str:
    async def run() -> str:
        connection = await asyncpg.connect(url)
        made = await create.create(connection, folder)
        await connection.close()
        return made.name

    return asyncio.run(run())


def content(url: str) -> tuple[list[Any], list[Any]]:
    return run_sql(url, "SELECT id, title, updated_at FROM event ORDER BY 1"), run_sql(url, "SELECT parc FROM vehicle")


def written(folder: Path) -> int:
    """Bytes of the backup that is being written."""
    found = [data for path in folder.glob(".backup_*.tmp") for data in path.glob("data.json")]
    with suppress(FileNotFoundError):  # it was finished, and has its own name, since it was found
        return max((data.stat().st_size for data in found), default=-1)
    return -1


def killed(running: Process, condition: Any) -> None:
    until(lambda: running.popen.poll() is not None or condition())
    running.popen.kill()
    running.wait()


def reached(url: str, stage: str, _started: float) -> bool:
    return bool(run_sql(url, stage)[0][0])


def passed(seconds: float, started: float) -> bool:
    return time.monotonic() - started > seconds


def test_a_backup_killed_at_any_moment_is_whole_or_absent_and_the_next_one_cleans_up(
    database: str, tmp_path: Path
) -> None:
    run_sql(database, EVENTS)
    folder = tmp_path / "backups"
    left: list[str] = []
    for size in (0, 200_000, 1_500_000, 10**9):
        killed(cli(tmp_path, database, "backup", "create"), lambda: written(folder) >= size)  # noqa: B023 - used at once
        left = [entry.name for entry in catalog.entries(folder) if entry.present]

    whole = make(database, folder)

    assert left
    assert {len(read_backup(folder / name).rows["Event"]) for name in left} == {6000}
    assert {path.name for path in folder.iterdir()} == {".backup.lock", ".index.lock", "index.json", *left, whole}
    assert {entry.listed for entry in catalog.entries(folder)} == {True}


def test_a_deletion_of_backups_killed_at_any_moment_leaves_whole_backups_that_the_index_knows(
    database: str, tmp_path: Path
) -> None:
    run_sql(database, EVENTS)
    folder = tmp_path / "backups"
    found = []
    for condition in (lambda: index_is_new(folder), lambda: any(folder.glob(".backup_*.tmp")), lambda: False):
        names = [make(database, folder) for _ in range(3)]
        (folder / "stamp").write_bytes((folder / "index.json").read_bytes())
        killed(cli(tmp_path, database, "backup", "delete", *names, "--yes"), condition)
        found.append([entry.name for entry in catalog.entries(folder) if entry.name in names])

    last = make(database, folder)

    left = {path.name for path in folder.glob("backup_*")}
    assert found[-1] == []
    assert {len(read_backup(folder / name).rows["Event"]) for name in left} == {6000}
    assert {entry.name for entry in catalog.entries(folder) if entry.listed and entry.present} == left
    assert last in left
    assert list(folder.glob(".backup_*.tmp")) == []


def index_is_new(folder: Path) -> bool:
    return (folder / "index.json").read_bytes() != (folder / "stamp").read_bytes()


def test_a_restore_killed_at_any_moment_did_all_or_nothing(database: str, tmp_path: Path) -> None:
    run_sql(database, EVENTS)
    name, wanted = make(database, tmp_path / "backups"), content(database)
    found, before = [], changed(database)
    conditions = [partial(reached, database, stage) for stage in STAGES]
    conditions += [partial(passed, seconds) for seconds in MOMENTS]
    for condition in conditions:
        running = cli(tmp_path, database, *RESTORE, name)
        killed(running, partial(condition, time.monotonic()))
        until(lambda: run_sql(database, f"{STAGES[0]} AND datname = current_database()")[0][0] == 0)
        state = content(database)
        found.append((state, before))
        if state != before:
            before = changed(database)

    last = cli(tmp_path, database, *RESTORE, name).wait()

    assert [state for state, before in found if state not in (before, wanted)] == []
    assert (last, content(database)) == (0, wanted)


def changed(url: str) -> tuple[list[Any], list[Any]]:
    """Changes what the backup has otherwise; the content that a restore which did nothing leaves."""
    run_sql(url, "UPDATE event SET title = 'autre'", "INSERT INTO vehicle (parc) VALUES ('new') ON CONFLICT DO NOTHING")
    return content(url)


def test_a_restore_killed_while_it_waits_for_the_tables_did_nothing(database: str, tmp_path: Path) -> None:
    run_sql(database, EVENTS)
    name, before = make(database, tmp_path / "backups"), changed(database)
    with held(database, "LOCK TABLE vehicle IN ROW EXCLUSIVE MODE") as lock:
        running = cli(tmp_path, database, *RESTORE, name)
        killed(running, lock.waiting)

    assert content(database) == before
