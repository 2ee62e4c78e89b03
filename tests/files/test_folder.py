"""Facts about files that are whole or absent."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from retrobus.files import folder as files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_written_file_is_private_and_its_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "backups"

    files.write_atomically(folder, "a.json", [b"one", b"two"])

    assert (folder / "a.json").read_bytes() == b"onetwo"
    assert (mode(folder), mode(folder / "a.json")) == (0o700, 0o600)


def test_a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is full")

    files.write_atomically(tmp_path, "a.json", [b"old"])
    with pytest.raises(OSError, match="disk is full"):
        files.write_atomically(tmp_path, "a.json", failing())

    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_a_write_beyond_the_space_there_is_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_atomically(tmp_path, "a.json", [b"old"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            files.write_atomically(tmp_path, "a.json", [b"x" * 10_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_a_folder_appears_with_all_its_content_or_not_at_all(tmp_path: Path) -> None:
    with files.new_folder(tmp_path, "whole") as inside:
        files.write_atomically(inside, "data.json", [b"{}"])
        before = names(tmp_path)
    with suppress(ValueError), files.new_folder(tmp_path, "half") as inside:
        files.write_atomically(inside, "data.json", [b"{}"])
        raise ValueError

    assert "whole" not in before
    assert names(tmp_path) == ["whole"]
    assert names(tmp_path / "whole") == ["data.json"]


def test_writing_over_a_link_replaces_the_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"untouched")
    (tmp_path / "a.json").symlink_to(target)

    files.write_atomically(tmp_path, "a.json", [b"new"])

    assert target.read_bytes() == b"untouched"
    assert not (tmp_path / "a.json").is_symlink()


@pytest.mark.parametrize("kind", ["link", "linked folder", "folder", "fifo", "too large"])
def test_only_a_plain_file_of_a_known_size_is_read(tmp_path: Path, kind: str) -> None:
    inside = tmp_path / "backup"
    inside.mkdir()
    (tmp_path / "real").write_bytes(b"x" * 11)
    name = "backup/a.json"
    if kind == "link":
        (inside / "a.json").symlink_to(tmp_path / "real")
    elif kind == "linked folder":
        (inside / "a.json").write_bytes(b"")
        (tmp_path / "linked").symlink_to(inside)
        name = "linked/a.json"
    elif kind == "folder":
        (inside / "a.json").mkdir()
    elif kind == "fifo":
        os.mkfifo(inside / "a.json")
    else:
        (inside / "a.json").write_bytes(b"x" * 11)

    with pytest.raises(files.Refused):
        files.read_capped(tmp_path, name, 10)


@pytest.mark.parametrize("name", ["../secret", "..", "", "a/../../secret"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "backups"
    (folder / "a").mkdir(parents=True)

    with pytest.raises(files.Refused):
        files.read_capped(folder, name, 10)


def test_leftovers_of_killed_writes_are_swept_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / ".index.json.0123456789ab.tmp").write_bytes(b"half")
    (tmp_path / ".backup_x.0123456789ab.tmp").mkdir()
    (tmp_path / ".backup_x.0123456789ab.tmp" / "data.json").write_bytes(b"half")
    (tmp_path / "notes.tmp").write_bytes(b"mine")

    only_index = files.sweep(tmp_path, "index.json")
    others = files.sweep(tmp_path)

    assert (only_index, others) == ([".index.json.0123456789ab.tmp"], [".backup_x.0123456789ab.tmp"])
    assert names(tmp_path) == ["notes.tmp"]


def test_a_lock_is_held_by_one_process_and_freed_by_its_death(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from retrobus.files import folder as files\n"
        "with files.locked(pathlib.Path(sys.argv[1]), '.lock'): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    with other:
        held = other.stdout.readline()
        with pytest.raises(files.Locked), files.locked(tmp_path, ".lock"):
            pass
        other.kill()

    with files.locked(tmp_path, ".lock"):
        assert held == b"held\n"


def test_a_damaged_file_is_set_aside_under_a_name_that_tells(tmp_path: Path) -> None:
    files.write_atomically(tmp_path, "index.json", [b"{"])

    aside = files.set_aside(tmp_path, "index.json")

    assert aside.startswith("index.json.corrupt-")
    assert (tmp_path / aside).read_bytes() == b"{"
    assert not (tmp_path / "index.json").exists()
