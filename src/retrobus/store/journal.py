"""The ordered list of writes acknowledged from memory and not yet in Postgres; on disk when it must outlive us."""

import json
import os
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"
LARGEST = 1 << 30
"""Bytes beyond which a journal on disk takes no further write: the disk is not the database."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged write: what it did, on what it was based, and whose it was."""

    sequence: int
    at: str
    resource: str
    key: str
    operation: str
    row: dict[str, Any] | None
    base: dict[str, Any] | None
    """The `version` and content `hash` of the row that it changed, or the `sequence` of the entry before it."""

    member: str | None
    once: dict[str, str] | None = None


@dataclass(slots=True)
class Journal:
    """Entries in order. With a path each is on disk before `append` returns; without one they live here only."""

    path: Path | None
    identity: str | None = None
    origin: str = "postgres"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    entries: list[Entry] = field(default_factory=list)
    refusal: str | None = None
    """Why these entries may not be replayed by themselves; they become conflicts to decide."""

    last: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def oldest(self) -> str | None:
        """When the first entry was acknowledged."""
        return self.entries[0].at if self.entries else None

    def append(self, entries: list[Entry]) -> None:
        """Adds entries, all or none; OSError if the disk does not take them, and then nothing of them is there."""
        if self.path is not None:
            self._write(entries)
        self.entries.extend(entries)
        self.last = entries[-1].sequence

    def _write(self, entries: list[Entry]) -> None:
        if self.path is None:
            return
        made = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            lines = ([_line(self._header())] if size == 0 else []) + [_line(_told(entry)) for entry in entries]
            if size + sum(map(len, lines)) > LARGEST:
                raise OSError("the journal is full")
            try:
                _write_all(descriptor, b"".join(lines))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if made:
            _sync_folder(self.path.parent)

    def _header(self) -> dict[str, Any]:
        return {"journal": self.id, "identity": self.identity, "origin": self.origin}

    def settle(self, sequence: int) -> None:
        """Forgets entries up to this one: Postgres has them, as rows or as conflicts."""
        self.entries = [entry for entry in self.entries if entry.sequence > sequence]
        if self.entries:
            return  # the database remembers how far it got: the file goes when all of it is there
        if self.path is not None and self.path.exists():
            self.path.unlink()
            _sync_folder(self.path.parent)
        self.id, self.last, self.refusal = str(uuid.uuid4()), 0, None


def _told(entry: Entry) -> dict[str, Any]:
    """The entry as a line says it (`asdict` would copy the row, value by value)."""
    return {name: getattr(entry, name) for name in Entry.__slots__}


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_journal(folder: Path, *, max_age: float) -> Journal:
    """The journal of a folder. A torn last line, never acknowledged, is cut; other damage makes it unreplayable."""
    path = folder / NAME
    journal = Journal(path)
    if not path.exists():
        return journal
    content = _read(path)
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()
    values = [_value(line) for line in lines]
    if values and values[-1] is None:  # torn, though its newline got there
        whole, values = whole[: -len(lines[-1]) - 1], values[:-1]
    if len(whole) != len(content):
        os.truncate(path, len(whole))
    _fill(journal, values)
    if journal.refusal is None and _age(journal) > max_age:
        journal.refusal = "trop ancien"
    return journal


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LARGEST)


def _value(line: bytes) -> dict[str, Any] | None:
    crc, _, text = line.partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(text):
            return None
        value: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return value


def _fill(journal: Journal, values: Iterable[dict[str, Any] | None]) -> None:
    for position, value in enumerate(values):
        if value is None or (position == 0) != ("journal" in value):
            journal.refusal = "endommagé"
        elif position == 0:
            journal.id, journal.identity, journal.origin = value["journal"], value["identity"], value["origin"]
        else:
            journal.entries.append(Entry(**value))
    journal.last = journal.entries[-1].sequence if journal.entries else 0


def _age(journal: Journal) -> float:
    if journal.oldest is None:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(journal.oldest)).total_seconds()
