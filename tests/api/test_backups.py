"""Facts about backups over HTTP: the list, and one made now, whatever else runs or stands in the way."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness import SECRET, Api, Person, served, settings_for, until
from locks import held
from retrobus.backups import create
from retrobus.backups.turn import TURN
from retrobus.cli.program import app
from routes import assert_refused

pytestmark = pytest.mark.usefixtures("forked_programs")

Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def desk(database: str, folder: Path) -> Iterator[Api]:
    """The service with a database and a folder of backups of its own."""
    with served(settings_for(database, backups_dir=folder), database) as found:
        yield found


@pytest.fixture
def admin(desk: Api) -> Person:
    return desk.person("ADMIN")


@pytest.fixture
def cli(database: str, folder: Path) -> Cli:
    """A command of the operator on the same database and folder."""
    environment = {"DATABASE_URL": database, "BACKUPS_DIR": str(folder), "JWT_SECRET": SECRET}
    return lambda *arguments: CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)


def listed(desk: Api, who: Person) -> list[dict[str, Any]]:
    answer = desk.get("/api/backups", headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["backups"]
    return found


def test_a_backup_made_now_is_whole_verified_and_listed(desk: Api, admin: Person, folder: Path) -> None:
    desk.sql("INSERT INTO vehicle (parc) VALUES ('920'), ('921')", "DELETE FROM vehicle WHERE parc = '921'")
    before = datetime.now(UTC)

    answer = desk.post("/api/backups", headers=admin.headers)

    made = answer.json()
    assert (answer.status_code, made["trouble"], made["kind"], made["rows"], made["deletions"]) == (
        201, None, "normal", 2, 1,
    )  # fmt: skip
    assert datetime.fromisoformat(made["verifiedAt"]) > before
    assert made["size"] == (folder / made["name"] / "data.json").stat().st_size
    assert made["restore"] == f"retrobus restore {made['name']}"
    assert listed(desk, admin) == [{name: value for name, value in made.items() if name != "trouble"}]


def test_the_list_tells_kind_selection_and_what_was_removed_by_hand(
    desk: Api, admin: Person, cli: Cli, folder: Path
) -> None:
    first, second = (json.loads(cli("backup", "create", "--json").stdout)["name"] for _ in range(2))
    cli("backup", "select", first, "--reason", "essai")
    (folder / second).rename(folder.parent / "elsewhere")

    newest, oldest = listed(desk, admin)

    assert (newest["name"], newest["present"], newest["selected"], newest["size"]) == (second, False, False, None)
    assert (oldest["name"], oldest["present"], oldest["selected"], oldest["verifiedAt"]) == (first, True, True, None)


def test_a_verification_by_command_is_told_and_one_that_fails_takes_it_back(
    desk: Api, admin: Person, cli: Cli, folder: Path
) -> None:
    name = json.loads(cli("backup", "create", "--json").stdout)["name"]
    cli("backup", "verify")
    [verified] = listed(desk, admin)
    (folder / name / "data.json").write_text("{}")
    cli("backup", "verify")
    [damaged] = listed(desk, admin)

    assert verified["verifiedAt"] is not None
    assert damaged["verifiedAt"] is None


def test_without_a_folder_there_are_no_backups(desk: Api, admin: Person) -> None:
    assert listed(desk, admin) == []


def test_a_damaged_index_is_told_and_the_next_backup_mends_it(desk: Api, admin: Person, folder: Path) -> None:
    folder.mkdir()
    (folder / "index.json").write_text("{")

    refused = desk.get("/api/backups", headers=admin.headers)
    made = desk.post("/api/backups", headers=admin.headers)

    assert_refused(refused, 503, "backups_unreadable")
    assert "index.json" in refused.json()["detail"]
    assert made.status_code == 201, made.text
    assert len(listed(desk, admin)) == 1


def test_of_two_requests_one_makes_a_backup(desk: Api, admin: Person) -> None:
    with held(desk.database_url, "LOCK TABLE vehicle") as lock, ThreadPoolExecutor() as both:
        first = both.submit(desk.post, "/api/backups", headers=admin.headers)
        until(lock.waiting, "the backup to wait for the lock")
        second = desk.post("/api/backups", headers=admin.headers)
        lock.run("COMMIT")
        done = first.result()

    assert_refused(second, 409, "backup_in_progress")
    assert done.status_code == 201
    assert len(listed(desk, admin)) == 1


def test_the_backup_of_another_service_with_this_database_is_waited_for(desk: Api, admin: Person) -> None:
    with held(desk.database_url, TURN):
        refused = desk.post("/api/backups", headers=admin.headers)

    assert_refused(refused, 409, "backup_in_progress")
    assert desk.post("/api/backups", headers=admin.headers).status_code == 201


def test_a_backup_or_restore_by_command_is_waited_for(desk: Api, admin: Person, folder: Path) -> None:
    folder.mkdir()
    with create.alone(folder):
        refused = desk.post("/api/backups", headers=admin.headers)

    assert_refused(refused, 409, "backup_in_progress")
    assert "attendez sa fin" in refused.json()["detail"]
    assert listed(desk, admin) == []


def test_a_folder_that_cannot_be_written_is_told_as_that_and_not_as_an_outage(
    desk: Api, admin: Person, folder: Path
) -> None:
    folder.write_text("a file in the way")

    answer = desk.post("/api/backups", headers=admin.headers)

    assert_refused(answer, 503, "backup_failed")
    assert str(folder) in answer.json()["detail"]
    assert answer.json()["outcome"] == "not_applied"
    assert desk.get("/ready").status_code == 200


def test_a_backup_whose_connection_is_cut_was_not_made(desk: Api, admin: Person) -> None:
    with held(desk.database_url, "LOCK TABLE vehicle") as lock, ThreadPoolExecutor() as one:
        asked = one.submit(desk.post, "/api/backups", headers=admin.headers)
        until(lock.waiting, "the backup to wait for the lock")
        desk.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'retrobus cli'")
        answer = asked.result()

    assert_refused(answer, 503, "backup_failed")
    assert "rompue" in answer.json()["detail"]


def test_an_admin_who_is_no_more_makes_none(desk: Api, admin: Person) -> None:
    desk.sql(f"UPDATE member SET role = 'MEMBER' WHERE id = '{admin.id}'")

    assert_refused(desk.post("/api/backups", headers=admin.headers), 401, "unauthenticated")
    assert_refused(desk.get("/api/backups", headers=admin.headers), 401, "unauthenticated")
