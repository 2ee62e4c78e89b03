"""Facts about errors of files: told as what they are, with the cure, and never undoing work that is done."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import run_sql
from retrobus.backups import catalog
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.files import folder as files
from retrobus.files.error_texts import is_of_a_file, told

Terminal = Callable[..., tuple[int, str, str]]
PROGRAM = [sys.executable, "-c", "from retrobus.cli import main; main()"]
ROOT = os.geteuid() == 0
ANOTHER_ACCOUNT = 65_534
ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, None, "m")
OF_A_CONNECTION = [ConnectionRefusedError(111, "x"), TimeoutError(), ConnectionResetError(), KeyError("x")]


def test_a_folder_that_cannot_be_made_is_told_with_its_path_its_owner_and_the_cure(
    terminal: Terminal, database: str
) -> None:
    code, _, said = terminal("backup", "create", url=database, BACKUPS_DIR="/proc/1/retrobus")

    assert code == 1
    assert said.startswith("❌ /proc/1/retrobus : ")
    assert "PostgreSQL" not in said


def test_a_journal_that_is_a_link_is_told_and_nothing_is_purged(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    Journal(tmp_path / "elsewhere.jsonl").append(ENTRY)
    (folder / "journal.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")

    code, _, said = terminal("purge", "--dry-run")

    assert code == 1
    assert "journal.jsonl : c'est un lien" in said
    assert (folder / "journal.jsonl").is_symlink()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.ELOOP, errno.EISDIR, errno.EBADF])
def test_each_error_names_the_file_a_reason_and_a_cure(number: int, tmp_path: Path) -> None:
    error = OSError(number, os.strerror(number), str(tmp_path / "journal.jsonl"))

    said = told(error)

    assert said.startswith(f"{tmp_path / 'journal.jsonl'} : ")
    assert " ; " in said


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "x"), TimeoutError(), ConnectionResetError(), KeyError("x")]
)
def test_an_error_of_a_connection_is_none_of_a_file(error: Exception) -> None:
    assert not is_of_a_file(error)


def test_a_backup_that_is_whole_is_done_although_the_index_fails(
    terminal: Terminal, database: str, tmp_path: Path
) -> None:
    first = json.loads(terminal("backup", "create", "--json", url=database)[1])["name"]
    (tmp_path / "backups" / catalog.LOCK).unlink()
    (tmp_path / "backups" / catalog.LOCK).mkdir()

    code, said, warned = terminal("backup", "create", "--keep", "1", "--yes", url=database)

    [made] = {path for path in (tmp_path / "backups").glob("backup_*") if path.name != first}
    assert code == 0
    assert made.name in said
    assert "absent de l'index" in warned
    assert "--keep ne l'est pas" in warned
    assert terminal("backup", "verify", made.name, url=database)[0] == 0


@pytest.mark.parametrize("output", ["closed", "full"])
def test_a_backup_is_done_although_its_message_cannot_be_written(output: str, database: str, tmp_path: Path) -> None:
    redirected = ">&-" if output == "closed" else ">/dev/full"
    environment = os.environ | {"DATABASE_URL": database}

    ended = subprocess.run(["sh", "-c", f'exec "$@" {redirected}', "sh", *PROGRAM, "backup", "create"],
                           env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip

    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert len(list((tmp_path / "backups").glob("backup_*"))) == 1


def test_a_command_whose_product_is_its_output_fails_when_that_cannot_be_written(database: str, tmp_path: Path) -> None:
    run_sql(database, "INSERT INTO member (id, email) VALUES ('m', 'm@example.org')")

    ended = subprocess.run(["sh", "-c", 'exec "$@" >/dev/full', "sh", *PROGRAM, "member", "list"],
                           env=os.environ | {"DATABASE_URL": database}, cwd=tmp_path, capture_output=True, text=True,
                           check=False)  # fmt: skip

    assert ended.returncode == 1
    assert "plus de place" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_error_inside_a_lock_is_not_told_as_a_lock_that_another_holds(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), files.locked(tmp_path, "x.lock"):
        raise BlockingIOError

    with files.locked(tmp_path, "x.lock"), pytest.raises(files.Locked), files.locked(tmp_path, "x.lock"):
        pass


@pytest.mark.skipif(not ROOT, reason="only root can make files for another account")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(terminal: Terminal, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    os.chown(folder, ANOTHER_ACCOUNT, ANOTHER_ACCOUNT)

    code, _, _ = terminal("backup", "create", url=database)
    Journal(folder / "journal.jsonl").append(ENTRY)

    assert code == 0
    owners = {path.stat().st_uid for path in folder.rglob("*")}
    assert owners == {ANOTHER_ACCOUNT}
    assert len(list(folder.rglob("*"))) >= 5


def test_a_lock_that_is_held_is_still_a_lock(tmp_path: Path) -> None:
    with (tmp_path / "x.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(files.Locked), files.locked(tmp_path, "x.lock"):
            pass
