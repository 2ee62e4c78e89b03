"""Facts about the status that managers read: it tells the truth of files and of PostgreSQL, and when it is away."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import Api, Person, served, settings_for
from retrobus.api.status import meaning
from retrobus.changes.latest import BACK

pytestmark = pytest.mark.usefixtures("forked_programs")

FAR = f"{datetime.now().astimezone() + timedelta(hours=12):%H:%M}"
"""A time of day that does not come while these tests run."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir(mode=0o700)
    return tmp_path / "backups"


@pytest.fixture
def desk(database: str, folder: Path) -> Iterator[Api]:
    """The service with a database and a folder of backups of its own."""
    settings = settings_for(database, backups_dir=folder, backup_schedule=(FAR,))
    with served(settings, database) as found:
        yield found


def told(api: Api, who: Person) -> dict[str, Any]:
    answer = api.get("/api/status", headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def points(found: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {one["name"]: (one["level"], one["found"], one["cure"]) for one in found["checks"]}


def test_it_says_all_that_ready_says(desk: Api) -> None:
    found, ready = told(desk, desk.person("BUREAU")), desk.get("/ready").json()

    assert {name: found[name] for name in ready} == ready


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "inconnue"),
        ({"fsync": "off", "synchronous_commit": "on", "standbys": ""}, "toute la base"),
        ({"fsync": "on", "synchronous_commit": "off", "standbys": ""}, "synchronous_commit=off"),
        ({"fsync": "on", "synchronous_commit": "on", "standbys": ""}, "à une panne du serveur"),
        ({"fsync": "on", "synchronous_commit": "local", "standbys": "s1"}, "à une panne du serveur"),
        ({"fsync": "on", "synchronous_commit": "on", "standbys": "s1"}, "aussi sur une réplique (s1)"),
        ({"fsync": "on", "synchronous_commit": "on", "standbys": "s1", "reason": "aucune réplique"}, "aucune réplique"),
    ],
)
def test_it_says_in_words_what_an_acknowledged_write_is_worth(settings: dict[str, str], said: str) -> None:
    assert said in meaning(settings)


def test_it_counts_rows_and_deletions(desk: Api) -> None:
    desk.sql("INSERT INTO vehicle (parc) VALUES ('920'), ('921')", "DELETE FROM vehicle WHERE parc = '921'")

    found = told(desk, desk.person("BUREAU"))

    assert found["counts"] == {"vehicles": 1, "events": 0, "members": 1, "deletions": 1}


def test_it_has_the_points_of_the_checklist_with_their_cures(desk: Api) -> None:
    found = points(told(desk, desk.person("BUREAU")))

    assert found["Administrateur actif"] == ("error", "aucun", "retrobus member create-admin --email …")
    assert found["Backups"] == ("warning", "aucun", "retrobus backup create")
    assert found["Migrations"][0] == "ok"
    assert "fsync=" in found["Durabilité"][1]


def test_it_knows_the_newest_backup_and_its_verification(desk: Api) -> None:
    admin = desk.person("ADMIN")
    made = desk.post("/api/backups", headers=admin.headers).json()

    found = told(desk, admin)

    newest = {name: made[name] for name in ("name", "timestamp", "verifiedAt")}
    assert found["backups"] == {"schedule": [FAR], "count": 1, "newest": newest}
    assert points(found)["Vérification du dernier backup"][0] == "ok"


def test_a_damaged_index_is_a_point_and_no_outage(desk: Api, folder: Path) -> None:
    (folder / "index.json").write_text("{")

    found = told(desk, desk.person("BUREAU"))

    assert (found["ready"], found["backups"]["count"], found["counts"]["members"]) == (True, None, 1)
    assert "index.json" in points(found)["Backups"][1]


def test_its_changes_are_the_last_ones_and_its_cursor_tells_what_follows(desk: Api) -> None:
    manager = desk.person("BUREAU")
    for number in range(BACK + 30):
        desk.sql(f"INSERT INTO vehicle (parc) VALUES ('v{number}')")
    desk.sql("DELETE FROM vehicle WHERE parc = 'v0'")

    found = told(desk, manager)
    desk.sql("INSERT INTO vehicle (parc) VALUES ('later')")
    answer = desk.get("/api/changes", params={"since": found["cursor"]}, headers=manager.headers)
    following = [one["key"] for one in answer.json()["changes"]]

    keys = [(one["key"], one["deleted"]) for one in found["changes"]]
    assert keys[:2] == [("v0", True), (f"v{BACK + 29}", False)]
    assert len(keys) == 20
    assert (following[-1], len(following)) == ("later", BACK + 1)


def test_a_manager_who_is_no_more_learns_nothing(desk: Api) -> None:
    manager = desk.person("BUREAU")
    desk.sql(f"UPDATE member SET role = 'MEMBER' WHERE id = '{manager.id}'")

    assert desk.get("/api/status", headers=manager.headers).status_code == 401
