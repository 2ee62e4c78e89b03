"""Facts about `retrobus purge`: what an earlier service left behind goes, what it acknowledged is kept aside."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import SECRET
from retrobus.backups import catalog
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.opening import LOCK
from retrobus.files import folder as files

Terminal = Callable[..., tuple[int, str, str]]
ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, {"version": 3, "hash": "x"}, "m1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of backups as an outage in fallback mode leaves it."""
    folder = tmp_path / "backups"
    (folder / "backup_2026-01-01T00-00-00").mkdir(parents=True)
    (folder / "backup_2026-01-01T00-00-00" / "data.json").write_text('{"Vehicle": []}')
    (folder / "runtime-state.json").write_text("{}")
    catalog.select(folder, "backup_2026-01-01T00-00-00", "essai")
    Journal(folder / "journal.jsonl").append(ENTRY)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith("lock"))


def test_snapshot_and_selection_go_and_the_journal_is_set_aside_whole(terminal: Terminal, folder: Path) -> None:
    code, said, _ = terminal("purge", "--yes", BACKUPS_DIR=folder)

    [aside] = (folder / "archive").iterdir()
    assert code == 0
    assert f"1 écriture acquittée, à mettre de côté dans archive/{aside.name}" in said
    assert names(folder) == ["archive", "backup_2026-01-01T00-00-00"]
    (folder / "journal.jsonl").write_bytes(aside.read_bytes())
    assert read_journal(folder, max_age=1e9).entries == [ENTRY]


def test_a_second_purge_has_nothing_to_do(terminal: Terminal, folder: Path) -> None:
    terminal("purge", "--yes", BACKUPS_DIR=folder)

    assert terminal("purge", "--yes", BACKUPS_DIR=folder) == (0, f"Rien à purger dans {folder}.\n", "")
    assert terminal("purge", BACKUPS_DIR=folder / "absent")[0] == 0


def test_backups_are_put_away_on_request(terminal: Terminal, folder: Path) -> None:
    terminal("purge", "--yes", "--archive", BACKUPS_DIR=folder)

    assert names(folder) == ["archive", "index.json"]
    assert (folder / "archive" / "backup_2026-01-01T00-00-00" / "data.json").exists()
    assert catalog.choose(folder) is None


@pytest.mark.parametrize(("options", "given", "code"), [(["--dry-run"], "", 0), ([], "n\n", 1), ([], "", 1)])
def test_nothing_happens_before_it_is_confirmed(
    terminal: Terminal, folder: Path, options: list[str], given: str, code: int
) -> None:
    before = names(folder)

    ended, said, _ = terminal("purge", *options, given=given, BACKUPS_DIR=folder)

    assert ended == code
    assert "runtime-state.json : instantané, supprimé" in said
    assert names(folder) == before


def test_a_script_reads_json(terminal: Terminal, folder: Path) -> None:
    _, said, _ = terminal("purge", "--json", "--yes", BACKUPS_DIR=folder)

    found = json.loads(said)
    assert found["done"] is True
    assert [step["name"] for step in found["steps"]] == ["runtime-state.json", "restore-info.json", "journal.jsonl"]


def test_a_folder_that_a_service_uses_is_left_alone(terminal: Terminal, folder: Path) -> None:
    before = names(folder)

    with files.locked(folder, LOCK):
        ended = terminal("purge", "--yes", BACKUPS_DIR=folder)

    assert ended == (1, "", f"❌ un service utilise {folder} : arrêtez-le d'abord\n")
    assert names(folder) == before


def test_a_damaged_journal_is_kept_too(terminal: Terminal, folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"00000000 {}\n")

    _, said, _ = terminal("purge", "--yes", BACKUPS_DIR=folder)

    assert "0 écriture acquittée (endommagé), à mettre de côté" in said
    assert [path.read_bytes() for path in (folder / "archive").iterdir()] == [b"00000000 {}\n"]


def test_a_service_that_refused_its_start_over_a_journal_starts_after_a_purge(
    terminal: Terminal, folder: Path, database: str
) -> None:
    environment = {"BACKUPS_DIR": folder, "JWT_SECRET": SECRET, "HOST": "192.0.2.1"}
    before = terminal("serve", url=database, **environment)
    terminal("purge", "--yes", BACKUPS_DIR=folder)

    after = terminal("serve", url=database, **environment)

    assert before[0] == 78
    assert "1 écriture acquittée" in before[2]
    assert (after[0], "HOST" in after[2]) == (1, True)
