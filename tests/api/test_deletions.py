"""Facts about the tombstones that managers read, and the way back that one of them names."""

import json
import shlex
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness import SECRET, Api, Person, served, settings_for
from retrobus.backups import catalog
from retrobus.backups.holders import PATIENCE, holders
from retrobus.cli.program import app
from retrobus.model.resources import VEHICLE
from routes import assert_refused

LEGACY = Path(__file__).parents[1] / "data" / "legacy-backups"
Cli = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture
def desk(database: str, folder: Path) -> Iterator[Api]:
    """The service with a database and a folder of backups of its own."""
    with served(settings_for(database, backups_dir=folder), database) as found:
        yield found


@pytest.fixture
def cli(database: str, folder: Path) -> Cli:
    """A command of the operator on the same database and folder."""
    environment = {"DATABASE_URL": database, "BACKUPS_DIR": str(folder), "JWT_SECRET": SECRET}
    return lambda *arguments: CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)


def listed(api: Api, who: Person, **asked: object) -> list[dict[str, Any]]:
    answer = api.get("/api/deletions", params={name: str(value) for name, value in asked.items()}, headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deletions"]
    return found


def only(api: Api, who: Person, key: str) -> dict[str, Any]:
    """The one deletion of this key, with the backups that hold its row."""
    [found] = listed(api, who, key=key)
    answer = api.get(f"/api/deletions/{found['version']}", headers=who.headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_a_delete_tells_who_when_and_why(api: Api, manager: Person) -> None:
    api.sql(
        "INSERT INTO vehicle (parc) VALUES ('920')",
        "INSERT INTO event (id, title, date) VALUES ('e1', 'Fête', '2026-05-01')",
    )
    assert api.delete("/api/vehicles/920", headers=manager.headers).status_code == 200
    api.sql("DELETE FROM event")

    by_psql, by_manager = listed(api, manager)

    assert {name: by_manager[name] for name in ("resource", "key", "cause", "deletedBy", "deletedByName")} == {
        "resource": "Vehicle", "key": "920", "cause": "api", "deletedBy": manager.id, "deletedByName": "Alix Exemple",
    }  # fmt: skip
    assert (by_psql["resource"], by_psql["key"], by_psql["cause"], by_psql["deletedByName"]) == (
        "Event", "e1", "sql", None,
    )  # fmt: skip
    assert by_psql["version"] > by_manager["version"]
    assert by_psql["batch"] != by_manager["batch"]


def test_the_filters_hold_together(api: Api, manager: Person) -> None:
    api.sql(
        "INSERT INTO deletion (version, resource, key, cause, batch, deleted_at) VALUES"
        " (1, 'Vehicle', '920', 'api', 1, '2026-01-01'), (2, 'Event', '920', 'api', 1, '2026-02-01'),"
        " (3, 'Vehicle', '921', 'clean', 2, '2026-03-01')"
    )

    assert [one["version"] for one in listed(api, manager, resource="Vehicle")] == [3, 1]
    assert [one["version"] for one in listed(api, manager, key="920")] == [2, 1]
    assert [one["version"] for one in listed(api, manager, cause="clean")] == [3]
    assert [one["version"] for one in listed(api, manager, since="2026-02-01")] == [3, 2]
    assert [one["version"] for one in listed(api, manager, resource="Vehicle", key="920", cause="api")] == [1]
    assert listed(api, manager, cause="erase") == []


def test_pages_follow_each_other_without_gap_or_repeat(api: Api, manager: Person) -> None:
    rows = ", ".join(f"({number}, 'Event', 'e{number}', 'api', 1)" for number in range(1, 8))
    api.sql(f"INSERT INTO deletion (version, resource, key, cause, batch) VALUES {rows}")
    seen, path = [], "/api/deletions?limit=3"

    while path:
        answer = api.get(path, headers=manager.headers)
        seen += [one["version"] for one in answer.json()["deletions"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""

    assert seen == [7, 6, 5, 4, 3, 2, 1]


OTHER_CURSORS: tuple[object, ...] = (
    [1],
    ["version"],
    ["number", 1],
    ["version", "1"],
    ["version", -1],
    ["version", True],
    ["version", 1e30],
    {},
)


@pytest.mark.parametrize("place", OTHER_CURSORS, ids=str)
def test_a_cursor_of_another_list_is_refused(api: Api, manager: Person, place: object) -> None:
    cursor = urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")

    answer = api.get("/api/deletions", params={"cursor": cursor}, headers=manager.headers)

    assert_refused(answer, 422, "invalid", "cursor")


@pytest.mark.parametrize("name", ["resource", "cause", "since"])
def test_a_filter_with_an_unknown_value_is_named(api: Api, manager: Person, name: str) -> None:
    assert_refused(api.get("/api/deletions", params={name: "x"}, headers=manager.headers), 422, "invalid", name)


@pytest.mark.parametrize("version", ["1", "x", "-1", "9" * 18, "9" * 40])
def test_a_deletion_that_never_was_is_not_found(api: Api, manager: Person, version: str) -> None:
    assert_refused(api.get(f"/api/deletions/{version}", headers=manager.headers), 404, "not_found")


@pytest.mark.parametrize("key", ["920", 'Bus d\'Or "920"', "--apply"])
def test_the_command_that_a_deletion_names_brings_the_row_back(desk: Api, cli: Cli, key: str) -> None:
    manager, quoted = desk.person("BUREAU"), key.replace("'", "''")
    desk.sql(f"INSERT INTO vehicle (parc, etat) VALUES ('{quoted}', 'préservé'), ('autre', 'préservé')")
    assert cli("backup", "create").exit_code == 0
    desk.sql("DELETE FROM vehicle")
    assert cli("backup", "create").exit_code == 0

    [backup] = only(desk, manager, key)["backups"]
    program, *command = shlex.split(backup["restore"])
    done = cli(*command, "--yes")

    assert (program, done.exit_code) == ("retrobus", 0), done.output
    assert [tuple(row) for row in desk.sql("SELECT parc, etat FROM vehicle")] == [(key, "préservé")]
    assert only(desk, manager, key)["present"] is True


def test_a_row_that_is_back_needs_no_command(desk: Api, cli: Cli) -> None:
    manager = desk.person("BUREAU")
    desk.sql("INSERT INTO vehicle (parc) VALUES ('920')")
    cli("backup", "create")
    desk.sql("DELETE FROM vehicle", "INSERT INTO vehicle (parc) VALUES ('920')")

    found = only(desk, manager, "920")

    assert (found["present"], [one["restore"] for one in found["backups"]]) == (True, [None])


def test_a_row_of_another_table_with_the_same_key_is_no_way_back(desk: Api, cli: Cli) -> None:
    manager = desk.person("BUREAU")
    desk.sql("INSERT INTO event (id, title, date) VALUES ('920', '\"parc\":\"920\"', '2026-05-01')")
    cli("backup", "create")
    desk.sql("INSERT INTO vehicle (parc) VALUES ('920')", "DELETE FROM vehicle")

    found = only(desk, manager, "920")

    assert (found["resource"], found["backups"], found["unread"]) == ("Vehicle", [], [])


def test_nothing_brings_an_erased_member_back(desk: Api, cli: Cli) -> None:
    manager = desk.person("BUREAU")
    desk.sql("INSERT INTO member (id, email) VALUES ('m1', 'm1@example.org')")
    cli("backup", "create")
    desk.sql("DELETE FROM member WHERE id = 'm1'", "UPDATE deletion SET cause = 'erase'")

    found = only(desk, manager, "m1")

    assert (found["erased"], found["backups"]) == (True, [])


def test_the_backups_of_the_predecessor_are_read_too(desk: Api, folder: Path) -> None:
    manager = desk.person("BUREAU")
    shutil.copytree(LEGACY, folder, dirs_exist_ok=True)
    desk.sql("INSERT INTO deletion (version, resource, key, cause, batch) VALUES (1, 'Vehicle', '920', 'sql', 1)")

    found = only(desk, manager, "920")

    assert {one["name"] for one in found["backups"]} <= {entry.name for entry in catalog.entries(folder)}
    assert found["backups"]


def test_a_damaged_backup_is_named_and_promises_nothing(desk: Api, cli: Cli, folder: Path) -> None:
    manager = desk.person("BUREAU")
    desk.sql("INSERT INTO vehicle (parc) VALUES ('920')")
    cli("backup", "create")
    [entry] = catalog.entries(folder)
    data = folder / entry.name / "data.json"
    data.write_bytes(data.read_bytes().replace(b'"920"', b'"921"'))
    desk.sql("DELETE FROM vehicle")

    found = only(desk, manager, "920")

    [unread] = found["unread"]
    assert (found["backups"], unread["name"]) == ([], entry.name)
    assert "somme de contrôle" in unread["reason"]


def test_a_damaged_index_is_told_and_the_deletion_all_the_same(desk: Api, folder: Path) -> None:
    manager = desk.person("BUREAU")
    desk.sql("INSERT INTO deletion (version, resource, key, cause, batch) VALUES (1, 'Vehicle', '920', 'sql', 1)")
    (folder / "index.json").write_text("{")

    found = only(desk, manager, "920")

    assert [one["name"] for one in found["unread"]] == ["index.json"]


def test_a_search_that_takes_too_long_says_which_backups_it_did_not_read(cli: Cli, folder: Path) -> None:
    cli("backup", "create")
    cli("backup", "create")
    times = iter((0.0, 0.0, PATIENCE + 1))

    found = holders(folder, VEHICLE, "920", lambda: next(times))

    older = catalog.entries(folder)[1].name
    assert (found.backups, list(found.unread)) == ([], [older])
