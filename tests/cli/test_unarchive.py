"""Facts about `retrobus unarchive`: what a purge put away comes back as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from retrobus.backups import catalog
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.opening import LOCK
from retrobus.files import folder as files

Terminal = Callable[..., tuple[int, str, str]]
ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, {"version": 3, "hash": "x"}, "m1")


@pytest.fixture
def made(terminal: Terminal, database: str, tmp_path: Path) -> str:
    """The name of a backup that a purge put away, with a journal of one write."""
    name = str(json.loads(terminal("backup", "create", "--json", url=database)[1])["name"])
    Journal(tmp_path / "backups" / "journal.jsonl").append(ENTRY)
    assert terminal("purge", "--archive", "--yes")[0] == 0
    return name


def archived(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "archive").iterdir())


def test_without_a_name_the_archive_is_shown(terminal: Terminal, made: str) -> None:
    code, said, _ = terminal("unarchive")

    assert code == 0
    assert f"{made} : backup\n" in said
    assert "journal, 1 écriture acquittée depuis 2026-01-31T14:00:00.000Z, à remettre dans journal.jsonl" in said
    assert terminal("unarchive", BACKUPS_DIR="absent")[1] == "Rien dans absent/archive.\n"


def test_a_backup_comes_back_into_the_folder_the_index_and_the_choice(terminal: Terminal, made: str) -> None:
    before = catalog.choose(Path("backups"))

    code, _, _ = terminal("unarchive", made, "--yes")

    assert (code, before) == (0, None)
    assert catalog.choose(Path("backups")) == made
    assert [entry.listed for entry in catalog.entries(Path("backups"))] == [True]
    assert terminal("backup", "verify", made)[0] == 0


def test_a_journal_comes_back_with_every_write(terminal: Terminal, made: str) -> None:
    _, journal = archived(Path("backups"))

    dry = terminal("unarchive", journal, "--dry-run")
    still = archived(Path("backups"))
    code, said, _ = terminal("unarchive", journal, "--yes")

    assert dry[0] == 0
    assert still == [made, journal]
    assert code == 0
    assert "retrobus resync" in said
    assert read_journal(Path("backups"), max_age=1e9).entries == [ENTRY]


def test_nothing_that_is_here_is_overwritten(terminal: Terminal, made: str) -> None:
    _, journal = archived(Path("backups"))
    (Path("backups") / made).mkdir()
    (Path("backups") / "journal.jsonl").write_text("")

    for name in (made, journal):
        code, _, error = terminal("unarchive", name, "--yes")
        assert code == 1
        assert "existe déjà" in error
    assert archived(Path("backups")) == [made, journal]
    assert terminal("unarchive", "backup_x", "--yes")[2].startswith("❌ backup_x : rien de ce nom dans backups/archive")


def test_a_running_service_keeps_its_folder(terminal: Terminal, made: str) -> None:
    with files.locked(Path("backups"), LOCK):
        code, _, error = terminal("unarchive", made, "--yes")

    assert code == 1
    assert "un service utilise backups" in error
    assert made in archived(Path("backups"))
