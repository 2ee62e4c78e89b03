"""Reads a backup of ours, or any that the predecessor wrote, as rows of our tables."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from retrobus.backups import BadBackup, lines, predecessor, predecessor_copy
from retrobus.backups.conversion import EPOCH, Conversion
from retrobus.backups.intake import NAMES, Damaged, Intake, TableRead, Taken, Tombstone
from retrobus.backups.manifest import Manifest, open_backup
from retrobus.backups.predecessor_copy import Copy
from retrobus.model.quantities import moment_of
from retrobus.model.resources import ALL, BY_NAME, Resource
from retrobus.model.rows import Row
from retrobus.words import plural

TOMBSTONES = "tombstones"
_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Hints:
    """What the operator says about a backup of the predecessor beyond what stands in it.

    `public_when_missing`: vehicles without `isPublic` are public. `table`: whose rows a bare JSON array holds.
    """

    public_when_missing: bool = False
    table: Resource | None = None


class Reading:
    """One pass through a backup: iterate over its rows and tombstones, then ask what else was in it.

    Rows that do not fit are in `intake.rejects`; `foreign` counts the rows of tables that are not ours. A file that is
    damaged anywhere ends the pass with BadBackup: do nothing with the rows before it ends.
    """

    def __init__(self, file: BinaryIO | Copy, name: str, manifest: Manifest | None, hints: Hints | None = None) -> None:
        self.name = name
        self.manifest = manifest
        self.shape = ""
        self.read: Counter[str] = Counter()
        self.foreign: dict[str, int] = {}
        self.warnings: list[str] = []
        self.intake = Intake()
        self._times: list[Any] = [manifest.timestamp if manifest else None]
        self._announced: list[tuple[str, Any]] = []
        self._hints = hints or Hints()
        self._conversion = Conversion(self._hints.public_when_missing)
        self._file = file

    @property
    def ours(self) -> bool:
        """Whether this program wrote the backup."""
        return self.manifest is not None and self.manifest.ours

    def position(self, _key: str) -> int:
        """Where the row of this key stands, for files that a person reads line by line; 0 elsewhere."""
        return 0

    @property
    def timestamp(self) -> datetime | None:
        """When the backup was made: as it says, else as its name says."""
        found = _IN_NAME.search(self.name)
        named = f"{found[1]}T{found[2]}:{found[3]}:{found[4]}Z" if found else None
        for value in (*self._times, named):
            try:
                return moment_of(value)
            except ValueError:
                continue
        return None

    def __iter__(self) -> Iterator[Taken | Tombstone]:
        """Every row and tombstone in the order of the file."""
        try:
            for table in self._tables():
                yield from self._rows(table)
            self._compare_counts()
        except Damaged as error:
            raise BadBackup(f"{self.name} est endommagé : {error}. Rien n'en a été lu.") from None

    def _tables(self) -> Iterator[TableRead]:
        if isinstance(self._file, Copy):
            return self._copied(self._file)
        if self.manifest is not None and self.manifest.ours:
            self.shape = self.manifest.format
            return lines.tables(self._file)
        said = predecessor.document(self._file)
        if isinstance(said, list):
            return iter((self._bare(said),))
        self.shape = predecessor.shape_of(said)
        self._times += [said.get("timestamp"), said.get("savedAt")]
        self._conversion.moment = self.timestamp or EPOCH
        return predecessor.tables(said)

    def _copied(self, copy: Copy) -> Iterator[TableRead]:
        self.shape = predecessor_copy.SHAPE
        self.foreign |= copy.foreign
        self.warnings += copy.warnings
        self._conversion.moment = moment_of(copy.timestamp)
        self._times = [copy.timestamp]
        return predecessor_copy.tables(copy)

    def _bare(self, rows: list[Any]) -> TableRead:
        """The table of a bare array; BadBackup unless the operator says which it is."""
        self.shape = predecessor.BARE
        self._conversion.moment = self.timestamp or EPOCH
        if self._hints.table is None:
            raise BadBackup(
                f"{self.name} est un tableau JSON, qui ne dit pas de quelle table : ajoutez --table vehicle, "
                "--table event ou --table member à retrobus restore."
            )
        return TableRead(self._hints.table.name, iter(rows))

    def _rows(self, table: TableRead) -> Iterator[Taken | Tombstone]:
        resource = NAMES.get(table.name)
        name = table.name if resource is None else resource.name
        if name in self.read:
            raise Damaged(f"la table {name} y est deux fois" if resource else "une table y est deux fois")
        if table.rows is None:
            if resource:
                raise Damaged(f"la table {table.name} n'a pas de lignes")
            return
        if table.announced is not None:
            self._announced.append((table.name, table.announced))
        yield from self._counted(name, table.rows)
        if resource is None and name != TOMBSTONES:
            self.foreign[name] = self.read[name]

    def _counted(self, name: str, rows: Iterator[Any]) -> Iterator[Taken | Tombstone]:
        self.read[name] = 0
        convert = lines.taken if self.ours else self._conversion.taken
        for raw in rows:
            self.read[name] += 1
            if name in BY_NAME:
                taken = self.intake.take(BY_NAME[name], raw, convert)
                if taken is not None:
                    yield taken
            elif name == TOMBSTONES and self.ours:
                yield lines.tombstone(raw)

    def _compare_counts(self) -> None:
        """Compares with what file and manifest announce: a difference is damage in our format, a remark elsewhere."""
        if not any(resource.name in self.read for resource in ALL):
            raise Damaged("aucune table Vehicle, Event ou members")
        found = [
            f"{name} : {_announced(announced, read)}"
            for name, announced in [*self._announced, *(self.manifest.counts.items() if self.manifest else ())]
            if announced != (read := self.read[NAMES[name].name if name in NAMES else name])
        ]
        total = self.manifest.total if self.manifest else None
        if total is not None and total != self.read.total():
            found.append(f"manifest.json : {_announced(total, self.read.total())}")
        if found and self.ours:
            raise Damaged("; ".join(found))
        self.warnings += found
        self.warnings += [f"{remark} ({count})" for remark, count in self._conversion.remarks.items() if count]


def _announced(announced: int, read: int) -> str:
    return f"{plural(announced, 'ligne annoncée', 'lignes annoncées')}, {plural(read, 'lue')}"


@contextmanager
def open_reading(source: Path | Copy, hints: Hints | None = None) -> Iterator[Reading]:
    """A pass through a backup folder, a lone file or a copied database; data of ours is first checked by its sum."""
    if isinstance(source, Copy):
        yield Reading(source, source.name, None, hints)
        return
    with open_backup(source) as (file, name, manifest):
        yield Reading(file, name, manifest, hints)


@dataclass(slots=True)
class Backup:
    """A whole backup in memory. `rows` hold every column, by resource; `reading` tells what else was in the file.

    `passwords` are those that the file holds in clear, by the member's id.
    """

    reading: Reading
    rows: dict[str, list[Row]]
    tombstones: list[Tombstone] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict, repr=False)


def read_backup(path: Path, *, public_when_missing: bool = False) -> Backup:
    """Everything in a backup folder or lone file; BadBackup, and no row, if any of it is damaged."""
    with open_reading(path, Hints(public_when_missing)) as reading:
        backup = Backup(reading, {resource.name: [] for resource in ALL})
        for found in reading:
            if isinstance(found, Tombstone):
                backup.tombstones.append(found)
                continue
            backup.rows[found.resource].append(found.row)
            if found.password is not None:
                backup.passwords[found.key] = found.password
    reading.warnings += _release(backup.rows)
    _number(backup.rows["Vehicle"])
    return backup


def _release(rows: dict[str, list[Row]]) -> list[str]:
    """Takes from events the vehicles that the backup does not hold, as PostgreSQL would; gives the warning about it."""
    parcs = {row["parc"] for row in rows["Vehicle"]}
    released = [row for row in rows["Event"] if row["vehicle_id"] is not None and row["vehicle_id"] not in parcs]
    for row in released:
        row["vehicle_id"] = None
    return [f"Event : vehicleId inconnu, mis à null ({len(released)})"] if released else []


def _number(vehicles: list[Row]) -> None:
    """Gives each vehicle a number: its own if no vehicle before it has the same, else a free one."""
    used: set[int] = set()
    for row in vehicles:
        if row["id"] in used:
            row["id"] = None
        used.add(row["id"] or 0)
    free = count(max(used, default=0) + 1)
    for row in vehicles:
        row["id"] = row["id"] or next(free)
