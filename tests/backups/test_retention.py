"""Facts about the end of a backup: the operator sees what goes, the index and the folder agree afterwards."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness import run_sql, served, settings_for
from retrobus.backups import catalog
from retrobus.backups.manifest import FORMAT, Kind, Manifest
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.files import folder as files
from retrobus.model.wire import moment

Ended = tuple[int, str, str]
Terminal = Callable[..., Ended]
TOGGLES = ("load_backup_at_boot", "enable_memory_fallback", "enable_runtime_state_save")
ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, {"version": 3, "hash": "x"}, "m1")
FIRST, SECOND, THIRD = (f"backup_2026-01-0{day}T00-00-00-000Z" for day in (1, 2, 3))


def add(folder: Path, name: str, kind: Kind = "normal", days: float = 0) -> None:
    at = moment(datetime.now(UTC) - timedelta(days=days))
    (folder / name).mkdir(parents=True)
    manifest = Manifest(name, at, FORMAT, kind, counts={"Vehicle": 3, "Event": 1, "tombstones": 40})
    files.write_atomically(folder / name, "manifest.json", [manifest.written()])
    catalog.add(folder, manifest)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("backup")}


def listed(folder: Path) -> set[str]:
    return {item["name"] for item in json.loads((folder / "index.json").read_text())}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three ordinary backups, the third one the newest."""
    folder = tmp_path / "backups"
    for days, name in ((3, FIRST), (2, SECOND), (1, THIRD)):
        add(folder, name, days=days)
    return folder


def test_backups_are_shown_and_deleted_after_a_yes_and_the_index_agrees(terminal: Terminal, folder: Path) -> None:
    asked = terminal("backup", "delete", FIRST, SECOND, given="non\n")
    untouched = names(folder)
    code, said, _ = terminal("backup", "delete", FIRST, SECOND, given="oui\n")

    assert asked[0] == 1
    assert f"🗑️  {FIRST}  4 lignes, 40 suppressions" in asked[1]
    assert untouched == {FIRST, SECOND, THIRD}
    assert code == 0
    assert "✅ 2 backups supprimés" in said
    assert names(folder) == listed(folder) == {THIRD}


def test_a_dry_run_and_a_script_without_yes_delete_nothing(terminal: Terminal, folder: Path) -> None:
    dry = terminal("backup", "delete", FIRST, "--dry-run")
    script = terminal("backup", "delete", FIRST, "--json")

    assert (dry[0], script[0]) == (0, 1)
    assert FIRST in dry[1]
    assert names(folder) == listed(folder) == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize("name", ["backup_2030-01-01T00-00-00", "../backups", "index.json"])
def test_if_one_name_is_no_backup_none_is_deleted(terminal: Terminal, folder: Path, name: str) -> None:
    code, _, error = terminal("backup", "delete", FIRST, name, "--yes")

    assert code == 1
    assert "❌" in error
    assert names(folder) == {FIRST, SECOND, THIRD}


def test_the_selected_backup_goes_only_with_its_selection(terminal: Terminal, folder: Path) -> None:
    catalog.select(folder, SECOND, "le plus sûr")

    refused = terminal("backup", "delete", FIRST, SECOND, "--yes")
    kept = names(folder)
    done = terminal("backup", "delete", FIRST, SECOND, "--yes", "--deselect")

    assert refused[0] == 1
    assert f"{SECOND} est sélectionné pour le démarrage : --deselect" in refused[2]
    assert kept == {FIRST, SECOND, THIRD}
    assert done[0] == 0
    assert catalog.selection(folder) is None
    assert names(folder) == listed(folder) == {THIRD}


def test_a_folder_removed_by_hand_is_told_and_leaves_the_index(terminal: Terminal, folder: Path) -> None:
    shutil.rmtree(folder / SECOND)

    code, said, told = terminal("backup", "list")
    again = terminal("backup", "list")

    assert code == 0
    assert SECOND not in said
    assert f"{SECOND} n'est plus dans backups : il a été supprimé à la main ; retiré de index.json" in told
    assert listed(folder) == {FIRST, THIRD}
    assert again == (0, said, "")


def test_the_next_backup_takes_those_that_were_removed_by_hand_off_the_index_and_says_so(
    terminal: Terminal, folder: Path, database: str
) -> None:
    shutil.rmtree(folder / SECOND)

    code, said, told = terminal("backup", "create", "--json", url=database)

    assert code == 0
    assert f"{SECOND} n'est plus dans backups" in told
    assert names(folder) == listed(folder) == {FIRST, THIRD, json.loads(said)["name"]}


def test_verify_of_all_backups_tells_of_the_one_that_was_removed_by_hand_and_reads_the_others(
    terminal: Terminal, database: str
) -> None:
    first, second = (json.loads(terminal("backup", "create", "--json", url=database)[1])["name"] for _ in range(2))
    shutil.rmtree(Path("backups") / first)

    code, said, told = terminal("backup", "verify")

    assert code == 0
    assert first in told
    assert [line.split()[1] for line in said.splitlines()] == [second]


def test_a_selection_whose_backup_was_removed_by_hand_is_told_and_stays(terminal: Terminal, folder: Path) -> None:
    catalog.select(folder, SECOND, "le plus sûr")
    shutil.rmtree(folder / SECOND)

    code, _, told = terminal("backup", "list")
    document = json.loads(terminal("backup", "list", "--json")[1])

    assert code == 0
    assert f"{SECOND} est sélectionné, mais n'existe plus : un démarrage sans PostgreSQL ne chargerait rien" in told
    assert (document["selected"], document["selected_present"]) == (SECOND, False)
    assert catalog.choose(folder) == SECOND


def test_the_list_counts_rows_and_deletions_apart_for_older_entries_too(terminal: Terminal, folder: Path) -> None:
    old = [{k: v for k, v in item.items() if k != "deletions"} | {"totalRows": 44} for item in index(folder)]
    (folder / "index.json").write_text(json.dumps(old))

    backups = json.loads(terminal("backup", "list", "--json")[1])["backups"]

    assert {(entry["rows"], entry["deletions"]) for entry in backups} == {(4, 40)}
    assert f"{THIRD}  4 lignes, 40 suppressions\n" in terminal("backup", "list")[1]


def index(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / "index.json").read_text())
    return found


def test_keep_shows_what_it_removes_and_asks_when_the_new_backup_is_made(
    terminal: Terminal, folder: Path, database: str
) -> None:
    no = terminal("backup", "create", "--keep", "2", url=database, given="n\n")
    silent = terminal("backup", "create", "--keep", "2", url=database)
    five = names(folder)
    yes = terminal("backup", "create", "--keep", "2", url=database, given="o\n")

    assert no[0] == 1
    assert [line for line in no[1].splitlines() if line.startswith("🗑️")] == [
        f"🗑️  {SECOND}  4 lignes, 40 suppressions", f"🗑️  {FIRST}  4 lignes, 40 suppressions"
    ]  # fmt: skip
    assert "❌ le nouveau backup est fait, aucun ancien n'est supprimé" in no[2]
    assert (
        "❌ pas de réponse : le nouveau backup est fait, aucun ancien n'est supprimé ; --yes pour un script"
        in silent[2]
    )
    assert silent[0] == 1
    assert len(five) == 5
    assert yes[0] == 0
    assert len(names(folder)) == 2
    assert names(folder) == listed(folder)


def test_keep_asks_nothing_with_yes_or_if_nothing_goes(terminal: Terminal, folder: Path, database: str) -> None:
    nothing = terminal("backup", "create", "--keep", "9", "--json", url=database)
    script = terminal("backup", "create", "--keep", "1", "--yes", "--json", url=database)

    assert (nothing[0], json.loads(nothing[1])["removed"]) == (0, [])
    assert script[0] == 0
    assert set(json.loads(script[1])["removed"]) >= {FIRST, SECOND, THIRD}
    assert len(names(folder)) == 1


def test_old_safety_backups_go_but_never_the_newest_or_the_selected_one(
    terminal: Terminal, tmp_path: Path, database: str
) -> None:
    folder = tmp_path / "backups"
    for name, days in (("old", 300), ("chosen", 200), ("young", 29), ("newest", 28)):
        add(folder, f"backup_{name}", "safety", days)
    catalog.select(folder, "backup_chosen", "essai")

    terminal("backup", "create", "--keep", "5", "--yes", url=database, BACKUP_KEEP_SAFETY_DAYS=30)
    first = names(folder)
    terminal("backup", "create", "--keep", "5", "--yes", url=database, BACKUP_KEEP_SAFETY_DAYS=1)

    assert first >= {"backup_chosen", "backup_young", "backup_newest"}
    assert "backup_old" not in first
    assert {name for name in names(folder) if "T" not in name} == {"backup_chosen", "backup_newest"}


def test_a_restore_by_the_name_of_a_deleted_backup_says_that_it_is_gone(
    terminal: Terminal, folder: Path, database: str
) -> None:
    terminal("backup", "delete", FIRST, "--yes")

    code, _, error = terminal("restore", FIRST, url=database)

    assert code == 1
    assert f"{FIRST} : ce backup n'existe pas" in error
    assert run_sql(database, "SELECT count(*) FROM vehicle")[0][0] == 0
    assert names(folder) == {SECOND, THIRD}


@pytest.mark.parametrize("toggles", [{}, dict.fromkeys(TOGGLES, True)], ids=["strict", "every toggle"])
def test_a_service_starts_after_the_folder_was_emptied_by_hand(
    terminal: Terminal, folder: Path, database: str, toggles: dict[str, bool]
) -> None:
    catalog.select(folder, SECOND, "le plus sûr")
    Journal(folder / "journal.jsonl").append(ENTRY)
    settings = settings_for(database, backups_dir=folder, **toggles)
    subprocess.run(["sh", "-c", f"rm -rf {folder}/*"], check=True)

    for _ in range(2):
        with served(settings, database) as api:
            manager = api.person("ADMIN")
            made = api.post("/api/vehicles", json={"parc": api.person().id[:20]}, headers=manager.headers)
            assert (api.get("/ready").status_code, made.status_code) == (200, 201)
            assert made.headers["X-Data-Source"] == "postgres"
    code, said, error = terminal("backup", "list")
    assert (code, said, error) == (0, "Aucun backup dans backups.\n", "")
