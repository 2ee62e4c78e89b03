"""The ordered list of writes acknowledged from memory and not yet in Postgres; on disk when it must outlive us."""

import errno
import json
import os
import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrobus import logbook
from retrobus.fallback.entries import Entry
from retrobus.files.error_texts import why
from retrobus.files.folder import leave_to_owner, read_capped, set_aside, write_atomically

NAME = "journal.jsonl"
LARGEST = 1 << 30
"""Bytes beyond which a journal on disk takes no further write: the disk is not the database."""

DAMAGED = "endommagé"


@dataclass(slots=True)
class Journal:
    """Entries in order. With a path each is on disk before `append` returns; without one they live here only."""

    path: Path | None
    identity: str | None = None
    origin: str = "postgres"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Names what is added from now on: a file that is read again, perhaps an old copy, goes on under another id."""

    entries: list[Entry] = field(default_factory=list)
    refusal: str | None = None
    """Why these entries may not be replayed by themselves; they become conflicts to decide."""

    last: int = 0
    size: int = 0
    """Bytes of the file that were acknowledged; what follows them is cut before anything is added."""

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def oldest(self) -> str | None:
        """When the first entry was acknowledged."""
        return self.entries[0].at if self.entries else None

    def append(self, *entries: Entry) -> None:
        """Adds entries, all or none; OSError if the disk does not take them, and then nothing of them is there."""
        if self.path is not None:
            self._write(self.path, entries)
        self.entries.extend(entries)
        self.last = entries[-1].sequence

    def _write(self, path: Path, entries: tuple[Entry, ...]) -> None:
        first = _line(self._header()) if self.size == 0 else b""
        added = first + b"".join(_line(_told(entry)) for entry in entries)
        if self.size + len(added) > LARGEST:
            raise OSError(errno.EFBIG, "the journal is full", str(path))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            leave_to_owner(descriptor, path.parent)
            found = os.fstat(descriptor).st_size
            if found < self.size:
                raise OSError(errno.ESTALE, "the journal is not the one that was written", str(path))
            if found > self.size:
                os.ftruncate(descriptor, self.size)  # the rest of a write that was never acknowledged
            if first:
                _sync_folder(path.parent)  # before the write: once it is on the disk, nothing may call it refused
            _add(descriptor, added, self.size)
        finally:
            os.close(descriptor)
        self.size += len(added)

    def _header(self) -> dict[str, Any]:
        return {"identity": self.identity, "origin": self.origin}

    def settle(self, sequence: int) -> None:
        """Forgets entries up to this one: Postgres has them, as rows or as conflicts."""
        self.entries = [entry for entry in self.entries if entry.sequence > sequence]
        if self.entries:
            return  # the database remembers how far it got: the file goes when all of it is there
        if self.path is not None and self.path.exists():
            try:
                self._retire(self.path)
            except OSError as error:
                logbook.journal_left(why(error, self.path))
                return  # the database remembers how far it got; what is added from now on follows in the same file
        self.id, self.last, self.size, self.refusal = str(uuid.uuid4()), 0, 0, None

    def rewrite(self, entries: list[Entry]) -> None:
        """Makes the file hold these entries and no other; while no service uses it."""
        if self.path is None:
            raise ValueError("this journal has no file")
        lines = [_line(self._header()), *(_line(_told(entry)) for entry in entries)]
        write_atomically(self.path.parent, self.path.name, lines)
        self.entries, self.size = entries, sum(map(len, lines))

    def _retire(self, path: Path) -> None:
        """Removes the file; a file with unreadable lines is kept for the operator to look at."""
        if self.refusal == DAMAGED:
            logbook.file_set_aside(NAME, set_aside(path.parent, NAME))
            return
        path.unlink()
        _sync_folder(path.parent)


def _told(entry: Entry) -> dict[str, Any]:
    """The entry as a line says it (`asdict` would copy the row, value by value)."""
    return {name: getattr(entry, name) for name in Entry.__slots__}


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _add(descriptor: int, content: bytes, size: int) -> None:
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fdatasync(descriptor)  # the bytes and the size of the file, without its times
    except OSError:
        with suppress(OSError):  # else the next append cuts it
            os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_journal(folder: Path, *, max_age: float, name: str = NAME) -> Journal:
    """The journal of a folder, or one that was set aside under another name; the file is not touched.

    OSError or Refused if it cannot be read. A last line without its end was never acknowledged and does not count; any
    other damage makes it unreplayable.
    """
    journal = Journal(folder / name)
    try:
        content = read_capped(folder, name, LARGEST)
    except FileNotFoundError:
        return journal
    whole = content[: content.rfind(b"\n") + 1]
    journal.size = len(whole)
    _fill(journal, whole.splitlines())
    if journal.refusal is None and _age(journal) > max_age:
        journal.refusal = "trop ancien"
    return journal


def _value(line: bytes) -> dict[str, Any]:
    """What a line says; ValueError if it is not what was written."""
    crc, _, text = line.partition(b" ")
    if int(crc, 16) != zlib.crc32(text):
        raise ValueError("the line was changed")
    value: dict[str, Any] = json.loads(text)
    return value


def _fill(journal: Journal, lines: list[bytes]) -> None:
    for position, line in enumerate(lines):
        try:
            value = _value(line)
            if position:
                journal.entries.append(Entry(**value))
            else:
                journal.identity, journal.origin = value["identity"], value["origin"]
        except (ValueError, KeyError, TypeError):
            journal.refusal = DAMAGED
    journal.last = journal.entries[-1].sequence if journal.entries else 0


def _age(journal: Journal) -> float:
    if journal.oldest is None:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(journal.oldest)).total_seconds()
