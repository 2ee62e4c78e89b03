"""Facts about automatic backups: made at their times by one service, verified, thinned out, and told in /metrics."""

import asyncio
import re
import shutil
import signal
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from harness import Api, process, run_sql, served, settings_for, until
from retrobus import logbook
from retrobus.backups import catalog
from retrobus.backups.program import Failed
from retrobus.backups.schedule import Schedule, local_now, next_time

pytestmark = pytest.mark.usefixtures("forked_programs")

PAST, SOON = datetime(2020, 1, 1, tzinfo=UTC), timedelta(seconds=0.2)
HOUR = 3600
"""Seconds: no test lasts so long."""

FAR = f"{local_now() + timedelta(hours=12):%H:%M}"
"""A time of day that does not come while these tests run."""


def kept(folder: Path) -> list[str]:
    return [entry.name for entry in catalog.entries(folder) if entry.present]


def a_schedule(database: str, folder: Path, **more: Any) -> Schedule:
    logbook.configure("console", "info")
    return Schedule(more.pop("times", ("03:30",)), more.pop("keep", 2), 90, folder, database, **more)


def both(*work: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        await asyncio.gather(*work)

    asyncio.run(run())


def figure(api: Api, name: str) -> float:
    found = api.metric(name)
    assert found is not None
    return found


def test_the_next_time_is_the_first_one_still_to_come() -> None:
    noon = local_now().replace(hour=12, minute=0, second=0, microsecond=0)

    assert next_time(("03:30", "15:30"), noon) == noon.replace(hour=15, minute=30)
    assert next_time(("03:30",), noon).date() == noon.date() + timedelta(days=1)
    assert next_time(("12:00",), noon) > noon


def test_a_turn_makes_a_backup_verifies_it_and_leaves_the_newest(database: str, tmp_path: Path) -> None:
    schedule = a_schedule(database, tmp_path, keep=1)

    asyncio.run(schedule.turn(datetime.now(UTC)))
    [first] = kept(tmp_path)
    asyncio.run(schedule.turn(datetime.now(UTC)))

    assert kept(tmp_path) != [first]
    assert len(kept(tmp_path)) == 1
    assert schedule.made == schedule.verified
    assert max(schedule.age, schedule.verified_age) < HOUR
    assert catalog.entries(tmp_path)[0].note == "automatique"


def test_of_two_services_one_makes_the_backup_and_both_know_of_it(database: str, tmp_path: Path) -> None:
    two = [a_schedule(database, tmp_path) for _ in range(2)]
    due = datetime.now(UTC)

    both(*(schedule.turn(due) for schedule in two))

    assert len(kept(tmp_path)) == 1
    assert {schedule.verified for schedule in two} == {two[0].made}


def test_the_turn_of_another_service_is_waited_for_aloud_and_not_for_ever(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    schedule = a_schedule(database, tmp_path, patience=timedelta(0))

    async def beside_one_that_never_ends() -> None:
        other = await asyncpg.connect(database)
        await other.execute("SELECT pg_advisory_lock(hashtextextended('retrobus:backup', 0))")
        with pytest.raises(Failed, match="pg_locks"):
            await schedule.turn(datetime.now(UTC))
        await other.close()

    asyncio.run(beside_one_that_never_ends())

    assert "attente de son tour" in capfd.readouterr().err
    assert kept(tmp_path) == []


def clock_from(first: datetime) -> Callable[[], datetime]:
    """A clock that shows `first` when it is looked at for the first time, and goes on from there."""
    began: list[datetime] = []

    def now() -> datetime:
        found = local_now()
        began.append(found)
        return first + (found - began[0])

    return now


def test_a_failure_is_counted_and_the_next_time_comes_all_the_same(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    due = local_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    schedule = a_schedule("postgresql://127.0.0.1:1/x", tmp_path, times=(f"{due:%H:%M}",), clock=clock_from(due - SOON))

    async def run() -> None:
        task = asyncio.create_task(schedule.run())
        await asyncio.to_thread(until, lambda: schedule.failures)
        schedule.url, schedule.times = database, (f"{due + timedelta(minutes=1):%H:%M}",)
        schedule.clock = clock_from(due + timedelta(minutes=1) - SOON)
        task.cancel()
        again = asyncio.create_task(schedule.run())
        await asyncio.to_thread(until, lambda: schedule.verified)
        again.cancel()

    asyncio.run(run())

    assert schedule.failures == 1
    assert "Backup automatique manqué" in capfd.readouterr().err
    assert len(kept(tmp_path)) == 1


def test_a_backup_is_made_although_older_ones_cannot_go(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    schedule = a_schedule(database, tmp_path)
    (tmp_path / "restore-info.json").mkdir()

    asyncio.run(schedule.turn(PAST))

    said = capfd.readouterr().err
    assert (schedule.failures, len(kept(tmp_path))) == (0, 1)
    assert schedule.verified is not None
    assert "Backup automatique fait, anciens backups gardés" in said
    assert f"{tmp_path}/restore-info.json : c'est un dossier" in said


def test_a_service_tells_the_age_of_its_backups(database: str, tmp_path: Path) -> None:
    asyncio.run(a_schedule(database, tmp_path).turn(PAST))

    with served(settings_for(database, backup_schedule=(FAR,), backups_dir=tmp_path), database) as api:
        until(lambda: figure(api, "retrobus_last_verified_backup_age_seconds") < HOUR)

        assert figure(api, "retrobus_last_backup_age_seconds") < HOUR
        assert figure(api, "retrobus_backup_failures") == 0


def test_without_a_schedule_no_age_is_told_and_no_folder_is_made(api: Api) -> None:
    assert str(figure(api, "retrobus_last_backup_age_seconds")) == "nan"
    assert not Path("backups").exists()


def test_a_damaged_backup_is_told_and_older_ones_stay(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(a_schedule(database, tmp_path).turn(datetime.now(UTC)))
    [name] = kept(tmp_path)
    (tmp_path / name / "data.json").write_text("{}")

    with served(settings_for(database, backup_schedule=(FAR,), backups_dir=tmp_path), database) as api:
        until(lambda: figure(api, "retrobus_backup_failures") == 1)

        assert str(figure(api, "retrobus_last_verified_backup_age_seconds")) == "inf"
        assert "est endommagé" in capfd.readouterr().err
    assert kept(tmp_path) == [name]


@pytest.mark.faults
def test_the_variable_is_all_it_takes(database: str, tmp_path: Path) -> None:
    run_sql(database, "INSERT INTO vehicle (parc) VALUES ('920')")
    asyncio.run(a_schedule(database, tmp_path / "backups").turn(PAST))

    with process(database, tmp_path, BACKUP_SCHEDULE=f"{FAR}, {FAR}") as (api, running):
        until(lambda: figure(api, "retrobus_last_verified_backup_age_seconds") < HOUR)
        running.popen.terminate()

        assert running.wait() == -signal.SIGTERM


def test_backups_without_a_date_do_not_keep_the_automatic_one_away(database: str, tmp_path: Path) -> None:
    undated = tmp_path / "backup_of_old"
    undated.mkdir()
    (undated / "data.json").write_text('{"Vehicle": []}')
    schedule = a_schedule(database, tmp_path)

    asyncio.run(schedule.look_back())
    asyncio.run(schedule.turn(datetime.now(UTC)))

    assert schedule.failures == 0
    assert schedule.age < HOUR
    assert len(kept(tmp_path)) == 2


def test_what_a_turn_removes_and_what_was_removed_by_hand_is_logged(
    database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    schedule = a_schedule(database, tmp_path, keep=2)
    for _ in range(2):
        asyncio.run(schedule.turn(datetime.now(UTC)))
    by_hand, thinned = kept(tmp_path)
    shutil.rmtree(tmp_path / by_hand)
    schedule.keep = 1

    asyncio.run(schedule.turn(datetime.now(UTC)))

    said = capfd.readouterr().err
    assert len(kept(tmp_path)) == len(catalog.entries(tmp_path)) == 1
    assert f"Backups supprimés à la main, retirés de index.json backups={by_hand}" in strip(said)
    assert f"Anciens backups supprimés backups={thinned}" in strip(said)


def strip(said: str) -> str:
    """Console lines without colours and padding."""
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[\d*m", "", said))
