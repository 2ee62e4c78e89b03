"""The journal's file: what was acknowledged is in it, whole and in order, and nothing that was refused."""

import errno
import os
import stat
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retrobus import logbook
from retrobus.fallback import journal as journals
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import DAMAGED, NAME, Journal, _line, _told, read_journal
from retrobus.files.folder import Refused

WEEK = 7 * 86_400.0


def entry(sequence: int, **values: Any) -> Entry:
    now = datetime.now(UTC).isoformat()
    row = {"id": f"e{sequence}", "title": "Fête « é »"}
    return replace(Entry(sequence, now, "Event", f"e{sequence}", "insert", row, None, "m1"), **values)


def lines(folder: Path) -> list[bytes]:
    return (folder / NAME).read_bytes().splitlines(keepends=True)


def reading(folder: Path, **given: Any) -> Journal:
    return read_journal(folder, **({"max_age": WEEK} | given))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal with two entries on disk."""
    found = Journal(tmp_path / NAME, identity="base", origin="snapshot")
    found.append(entry(1))
    found.append(entry(2))
    return found


def test_a_new_journal_is_empty_and_without_a_file(tmp_path: Path) -> None:
    journal = reading(tmp_path)

    assert (len(journal), journal.last, journal.size, journal.oldest, journal.refusal) == (0, 0, 0, None, None)
    assert (journal.identity, journal.origin, journal.path) == (None, "postgres", tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


def test_what_was_added_is_read_again(journal: Journal, tmp_path: Path) -> None:
    journal.append(entry(3), entry(4))

    found = reading(tmp_path)

    assert found.entries == journal.entries
    assert [one.sequence for one in found.entries] == [1, 2, 3, 4]
    assert (len(found), found.last, found.refusal) == (4, 4, None)
    assert (found.identity, found.origin) == ("base", "snapshot")
    assert found.size == journal.size == (tmp_path / NAME).stat().st_size
    assert found.oldest == journal.entries[0].at
    assert found.id != journal.id


@pytest.mark.usefixtures("journal")
def test_each_line_has_its_sum_and_the_first_names_the_database(tmp_path: Path) -> None:
    head, first, second = lines(tmp_path)

    assert head.split(b" ", 1)[1] == b'{"identity":"base","origin":"snapshot"}\n'
    for line in (head, first, second):
        crc, text = line.rstrip(b"\n").split(b" ", 1)
        assert crc == f"{zlib.crc32(text):08x}".encode()
    assert "« é »".encode() in first
    assert b'"sequence":1' in first


def test_only_its_owner_reads_the_file(journal: Journal) -> None:
    assert journal.path is not None
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_a_journal_in_memory_has_no_file() -> None:
    journal = Journal(None)

    journal.append(entry(5))
    journal.settle(4)
    kept = list(journal.entries)
    journal.settle(5)

    assert [one.sequence for one in kept] == [5]
    assert (journal.entries, journal.last) == ([], 0)
    with pytest.raises(ValueError, match="no file"):
        journal.rewrite([])


def test_settled_entries_go_and_the_file_goes_with_the_last(journal: Journal, tmp_path: Path) -> None:
    named = journal.id
    journal.settle(1)
    before = ([one.sequence for one in journal.entries], journal.last, journal.id, (tmp_path / NAME).exists())
    refused = replace(journal, refusal="trop ancien")
    refused.settle(2)

    assert before == ([2], 2, named, True)
    assert (refused.entries, refused.last, refused.size, refused.refusal) == ([], 0, 0, None)
    assert refused.id != named
    assert not (tmp_path / NAME).exists()
    assert not list(tmp_path.iterdir())


def test_after_it_is_settled_a_journal_begins_anew(journal: Journal, tmp_path: Path) -> None:
    journal.settle(2)

    journal.append(entry(1, key="neuf"))

    assert [one.key for one in reading(tmp_path).entries] == ["neuf"]
    assert len(lines(tmp_path)) == 2


@pytest.mark.usefixtures("journal")
def test_a_file_with_a_damaged_line_is_set_aside_when_it_is_settled(tmp_path: Path) -> None:
    content = lines(tmp_path)
    (tmp_path / NAME).write_bytes(content[0] + b"x" + content[1] + content[2])
    found = reading(tmp_path)
    damaged = (found.refusal, [one.sequence for one in found.entries], found.last)

    found.settle(2)

    assert damaged == (DAMAGED, [2], 2) == ("endommagé", [2], 2)
    (kept,) = tmp_path.iterdir()
    assert kept.name != NAME
    assert kept.name.startswith(NAME)
    assert (found.size, found.refusal) == (0, None)


def test_a_file_that_cannot_be_removed_stays_and_is_gone_on_with(journal: Journal, tmp_path: Path) -> None:
    size = journal.size
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()

    journal.settle(2)

    assert (journal.entries, journal.last, journal.size) == ([], 2, size)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    "spoilt",
    [
        lambda content: b"00000000" + content[8:],
        lambda content: content[:9] + b"[" + content[9:],
        lambda _: b"no sum\n",
        lambda _: _line({"sequence": 1}),
        lambda _: _line({**_told(entry(1)), "unknown": 1}),
        lambda _: b"\n",
    ],
    ids=["another sum", "another text", "no sum", "no entry", "an unknown word", "an empty line"],
)
def test_a_line_that_is_not_as_it_was_written_is_damage(tmp_path: Path, spoilt: Any) -> None:
    head, first, second = lines(tmp_path)
    (tmp_path / NAME).write_bytes(head + spoilt(first) + second)

    found = reading(tmp_path)

    assert (found.refusal, [one.sequence for one in found.entries]) == (DAMAGED, [2])
    assert (found.identity, found.last) == ("base", 2)


@pytest.mark.usefixtures("journal")
def test_a_journal_without_its_head_is_damaged_and_keeps_its_entries(tmp_path: Path) -> None:
    _, first, second = lines(tmp_path)
    (tmp_path / NAME).write_bytes(_line({"identity": "base"}) + first + second)

    found = reading(tmp_path)

    assert (found.refusal, found.identity, [one.sequence for one in found.entries]) == (DAMAGED, None, [1, 2])


@pytest.mark.usefixtures("journal")
def test_a_line_without_its_end_was_never_acknowledged_and_is_cut(tmp_path: Path) -> None:
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole + lines(tmp_path)[1][:-1])

    found = reading(tmp_path)
    found.append(entry(3))

    assert (found.refusal, found.size > len(whole)) == (None, True)
    assert [one.sequence for one in reading(tmp_path).entries] == [1, 2, 3]


def test_a_file_of_half_a_line_is_an_empty_journal(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"0123")

    found = reading(tmp_path)

    assert (found.size, found.last, found.refusal, found.entries) == (0, 0, None, [])


@pytest.mark.parametrize(("days", "refusal"), [(6.9, None), (7.1, "trop ancien")])
def test_a_journal_that_is_too_old_says_so(tmp_path: Path, days: float, refusal: str | None) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    journal = Journal(tmp_path / NAME, "base")
    journal.append(entry(1, at=at), entry(2))

    assert reading(tmp_path).refusal == refusal


@pytest.mark.usefixtures("journal")
def test_damage_weighs_more_than_age(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("ab") as file:
        file.write(b"00000000 {}\n")

    assert reading(tmp_path, max_age=-1.0).refusal == DAMAGED


def test_a_journal_of_this_moment_is_not_older_than_nothing_allows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / NAME, "base")
    journal.append(entry(1, at=(datetime.now(UTC) + timedelta(days=1)).isoformat()))

    assert reading(tmp_path, max_age=0.0).refusal is None
    assert read_journal(tmp_path / "rien", max_age=0.0).refusal is None
    journal.settle(1)
    (tmp_path / NAME).write_bytes(_line({"identity": "base", "origin": "postgres"}))
    assert reading(tmp_path, max_age=0.0).refusal is None


@pytest.mark.usefixtures("journal")
def test_a_journal_under_another_name_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).rename(tmp_path / "autre.jsonl")

    assert len(reading(tmp_path, name="autre.jsonl")) == 2
    assert len(reading(tmp_path)) == 0


def test_the_disk_is_not_the_database(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = len(_line(_told(entry(3))))
    before = (tmp_path / NAME).read_bytes()
    monkeypatch.setattr(journals, "LARGEST", journal.size + added - 1)

    with pytest.raises(OSError, match="full") as refused:
        journal.append(entry(3))
    kept = (tmp_path / NAME).read_bytes()
    monkeypatch.setattr(journals, "LARGEST", journal.size + added)
    journal.append(entry(3))

    assert (refused.value.errno, refused.value.filename) == (errno.EFBIG, str(tmp_path / NAME))
    assert kept == before
    assert [one.sequence for one in journal.entries] == [1, 2, 3]
    assert (tmp_path / NAME).stat().st_size == journal.size


def test_a_journal_may_have_a_gibibyte() -> None:
    assert journals.LARGEST == 1_073_741_824


def test_a_file_that_lost_bytes_is_not_gone_on_with(journal: Journal, tmp_path: Path) -> None:
    os.truncate(tmp_path / NAME, journal.size - 1)

    with pytest.raises(OSError, match="not the one") as refused:
        journal.append(entry(3))

    assert (refused.value.errno, refused.value.filename) == (errno.ESTALE, str(tmp_path / NAME))
    assert (journal.last, len(journal)) == (2, 2)


def test_a_link_in_the_place_of_the_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ailleurs").write_bytes(b"")
    (tmp_path / NAME).symlink_to(tmp_path / "ailleurs")
    journal = Journal(tmp_path / NAME, "base")

    with pytest.raises(OSError, match="symbolic") as refused:
        journal.append(entry(1))
    with pytest.raises(Refused):
        reading(tmp_path)

    assert refused.value.errno == errno.ELOOP
    assert (tmp_path / "ailleurs").read_bytes() == b""
    assert journal.entries == []


def test_rewriting_leaves_these_entries_and_no_other(journal: Journal, tmp_path: Path) -> None:
    kept = [entry(7), entry(9)]

    journal.rewrite(list(kept))
    journal.append(entry(10))

    found = reading(tmp_path)
    assert (found.identity, found.origin) == ("base", "snapshot")
    assert found.entries[:2] == kept
    assert [one.sequence for one in found.entries] == [7, 9, 10]
    assert journal.size == (tmp_path / NAME).stat().st_size


class Disk:
    """Notes the order in which the program asks the disk to keep what was written; each call is really made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.calls: list[tuple[str, int]] = []
        self._path = path
        for name in ("fsync", "fdatasync", "write"):
            monkeypatch.setattr(os, name, self._noted(name, getattr(os, name)))

    def _noted(self, name: str, call: Any) -> Any:
        def noted(descriptor: int, *rest: Any) -> Any:
            of_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            ours = str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(str(self._path.parent))
            found = call(descriptor, *rest)
            if ours:  # other threads write elsewhere
                size = self._path.stat().st_size if self._path.exists() else -1
                self.calls.append((f"{name} of the folder" if of_folder else name, size))
            return found

        return noted


def test_an_entry_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, disk = Journal(tmp_path / NAME, "base"), Disk(monkeypatch, tmp_path / NAME)

    journal.append(entry(1))
    first, size = list(disk.calls), journal.size
    journal.append(entry(2))
    second, disk.calls = disk.calls[len(first) :], []
    journal.settle(2)

    assert first == [("fsync of the folder", 0), ("write", size), ("fdatasync", size)]
    assert second[-1][0] == "fdatasync"
    assert [name for name, _ in second] == ["write", "fdatasync"]
    assert disk.calls == [("fsync of the folder", -1)]


def test_what_a_full_disk_refuses_is_not_in_the_journal(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (tmp_path / NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="full"):
            journal.append(entry(3))
    refused = ((tmp_path / NAME).read_bytes(), journal.last, len(journal), journal.size)
    journal.append(entry(3))

    assert refused == (before, 2, 2, len(before))
    assert [one.sequence for one in reading(tmp_path).entries] == [1, 2, 3]


def test_no_file_stays_open(journal: Journal) -> None:
    assert journal.path is not None
    for sequence in range(3, 9):
        journal.append(entry(sequence))
    after_appends = open_in(journal.path.parent)
    journal.settle(9)

    assert (after_appends, open_in(journal.path.parent)) == ([], [])


def open_in(folder: Path) -> list[str]:
    """The files of a folder, and the folder itself, that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # another thread has closed it
            found.append(str(descriptor.readlink()))
    return [place for place in found if place.startswith(str(folder))]


def test_a_file_that_cannot_be_removed_is_told(
    journal: Journal, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logbook.configure("console", "info")
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()

    journal.settle(2)

    said = capfd.readouterr()
    assert str(tmp_path / NAME) in said.out + said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another account")
def test_a_journal_that_root_begins_belongs_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)

    Journal(tmp_path / NAME, "base").append(entry(1))

    assert (tmp_path / NAME).stat().st_uid == 12_345
