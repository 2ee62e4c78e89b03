"""Facts about the list of backups and the choice of the one that a boot may load."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from retrobus.backups import BadBackup, catalog, removal
from retrobus.backups.manifest import FORMAT, Kind, Manifest
from retrobus.cli.program import app
from retrobus.files import folder as files

LEGACY = Path(__file__).parents[1] / "data" / "legacy-backups"
OLD = "backup_2025-12-02T02-00-00"
NEWEST = "backup_2025-12-03T23-00-00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The predecessor's folder, as it left it."""
    return Path(shutil.copytree(LEGACY, tmp_path / "backups"))


def add(folder: Path, name: str, kind: Kind = "normal", at: str = "2026-01-01T00:00:00.000Z") -> None:
    (folder / name).mkdir(parents=True)
    manifest = Manifest(name, at, FORMAT, kind, counts={"Vehicle": 3})
    files.write_atomically(folder / name, "manifest.json", [manifest.written()])
    catalog.add(folder, manifest)


def test_names_of_new_backups_tell_their_time_and_are_names() -> None:
    name = catalog.new_name(datetime(2026, 1, 31, 14, 5, 6, 7000, tzinfo=UTC))

    assert name == "backup_2026-01-31T14-05-06-007Z"
    assert catalog.checked_name(name) == name


def test_the_selection_of_the_predecessor_is_chosen(folder: Path) -> None:
    assert catalog.choose(folder) == OLD


def test_a_selection_written_by_hand_is_chosen(folder: Path) -> None:
    (folder / "restore-info.json").write_text(f'{{"backupToRestore": "{NEWEST}"}}')

    assert catalog.choose(folder) == NEWEST


def test_without_a_selection_the_newest_of_the_index_is_chosen(folder: Path) -> None:
    catalog.deselect(folder)

    assert catalog.choose(folder) == NEWEST


def test_a_safety_backup_is_never_chosen(folder: Path) -> None:
    catalog.deselect(folder)
    add(folder, "backup_2026-01-01T00-00-00-000Z", "safety")
    safe = catalog.choose(folder)
    add(folder, "backup_2026-01-02T00-00-00-000Z")

    assert safe == NEWEST
    assert catalog.choose(folder) == "backup_2026-01-02T00-00-00-000Z"


def test_a_backup_that_is_gone_from_the_disk_is_not_chosen(folder: Path) -> None:
    catalog.deselect(folder)
    shutil.rmtree(folder / NEWEST)

    assert catalog.choose(folder) == "backup_2025-12-02T13-00-00"


def test_an_empty_or_missing_folder_gives_no_choice(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert catalog.choose(tmp_path / "empty") is None
    assert catalog.choose(tmp_path / "missing") is None
    assert catalog.entries(tmp_path / "missing") == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"backupToRestore": 3}', '{"backupToRestore": "../secret"}', "\x00"]
)
def test_a_selection_that_cannot_be_read_lets_nothing_be_loaded(folder: Path, text: str) -> None:
    (folder / "restore-info.json").write_text(text)

    with pytest.raises(BadBackup):
        catalog.choose(folder)


def test_a_selection_is_written_with_its_reason_and_time(folder: Path) -> None:
    catalog.select(folder, NEWEST, "remise à zéro")

    said = json.loads((folder / "restore-info.json").read_text())

    assert (said["backupToRestore"], said["reason"]) == (NEWEST, "remise à zéro")
    assert said["timestamp"].endswith("Z")


def test_only_what_exists_can_be_selected(folder: Path) -> None:
    with pytest.raises(BadBackup, match="n'existe pas"):
        catalog.select(folder, "backup_2030-01-01T00-00-00", "x")


def test_the_index_keeps_the_entries_of_the_predecessor_as_they_are(folder: Path) -> None:
    before = json.loads((folder / "index.json").read_text())

    add(folder, "backup_2026-01-01T00-00-00-000Z")

    after = json.loads((folder / "index.json").read_text())
    assert after[:-1] == before
    assert after[-1]["totalRows"] == 3


def test_a_backup_that_a_kill_kept_out_of_the_index_comes_in_with_the_next(folder: Path) -> None:
    first, second = "backup_2026-01-01T00-00-00-000Z", "backup_2026-01-02T00-00-00-000Z"
    index = (folder / "index.json").read_bytes()
    add(folder, first)
    (folder / "index.json").write_bytes(index)

    add(folder, second)

    assert [entry.name for entry in catalog.entries(folder) if entry.listed][:2] == [second, first]


def test_a_damaged_index_is_set_aside_and_written_again_from_the_manifests(folder: Path) -> None:
    add(folder, "backup_2026-01-01T00-00-00-000Z")
    (folder / "index.json").write_text("[{")

    add(folder, "backup_2026-01-02T00-00-00-000Z")

    assert [path.read_text() for path in folder.glob("index.json.corrupt-*")] == ["[{"]
    assert len([entry for entry in catalog.entries(folder) if entry.listed]) == 2


def test_an_archived_backup_is_neither_listed_nor_chosen(folder: Path) -> None:
    catalog.deselect(folder)

    target = removal.archive(folder, NEWEST)

    assert (target / "data.json").exists()
    assert NEWEST not in {entry.name for entry in catalog.entries(folder)}
    assert catalog.choose(folder) == "backup_2025-12-02T13-00-00"


def test_the_selected_backup_cannot_be_archived(folder: Path) -> None:
    with pytest.raises(BadBackup, match="deselect"):
        removal.archive(folder, OLD)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs `retrobus` in this process on the predecessor's folder."""

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, arguments, env={"BACKUPS_DIR": str(folder)})
        return result.exit_code, result.stdout

    return invoke


def test_the_list_tells_what_is_selected_and_what_is_not_in_the_index(run: Run) -> None:
    code, said = run("backup", "list")

    lines = said.splitlines()
    assert code == 0
    assert lines[0].startswith(f"{NEWEST}  5 lignes")
    assert next(line for line in lines if line.startswith(OLD)).endswith("sélectionné")
    assert lines[-1].endswith("hors index")


def test_verify_reads_every_backup_and_fails_if_one_is_damaged(run: Run, folder: Path) -> None:
    sound, _ = run("backup", "verify")
    (folder / NEWEST / "data.json").write_text('{"Vehicle": [')
    damaged, said = run("backup", "verify", "--json")
    _, line = run("backup", "verify", NEWEST)

    assert (sound, damaged) == (0, 1)
    assert {result["name"]: result["ok"] for result in json.loads(said)}[NEWEST] is False
    assert line.count(NEWEST) == 1


def test_show_tells_what_does_not_come_in(run: Run) -> None:
    code, said = run("backup", "show", OLD)

    assert code == 0
    assert "❌ membre n° 2 rejeté : email : ce champ est obligatoire" in said
    assert "table user_permissions, qui n'est pas à nous : 0 ligne," in said


def test_a_backup_may_be_named_by_its_path(run: Run, folder: Path) -> None:
    code, said = run("backup", "show", str(folder / "t3.json"), "--json")

    assert (code, shape(said)) == (0, "T3")


def shape(said: str) -> Any:
    return json.loads(said)["shape"]


def test_a_damaged_backup_cannot_be_selected(run: Run, folder: Path) -> None:
    (folder / NEWEST / "data.json").write_text('{"Vehicle": [')

    code, _ = run("backup", "select", NEWEST, "--reason", "x")

    assert code != 0
    assert catalog.choose(folder) == OLD


def test_select_deselect_and_archive_do_what_they_say(run: Run, folder: Path) -> None:
    codes = [
        run("backup", "select", NEWEST, "--reason", "le plus récent")[0],
        run("backup", "deselect")[0],
        run("backup", "archive", NEWEST)[0],
    ]

    assert codes == [0, 0, 0]
    assert catalog.selection(folder) is None
    assert (folder / "archive" / NEWEST).is_dir()
