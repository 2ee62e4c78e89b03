"""Reads a backup, ours or any that the predecessor wrote, into rows of our tables."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Column, Float, Numeric, Table
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.backups import BadBackup
from retrobus.backups.intake import EPOCH, Intake, Reject, Taken
from retrobus.backups.jsonscan import Damaged, JsonScan
from retrobus.backups.manifest import Manifest, open_backup
from retrobus.model.rows import Row, completed
from retrobus.model.schemas import moment_of
from retrobus.model.tables import RESOURCES, stored_columns
from retrobus.model.wire import camel

NAMES = {
    "Vehicle": "Vehicle",
    "vehicles": "Vehicle",
    "Event": "Event",
    "events": "Event",
    "members": "Member",
    "Member": "Member",
}
"""The tables that are ours, by every name that files give them."""

TOMBSTONES = "tombstones"
KEPT_META = frozenset({"timestamp", "savedAt", "format"})
_IN_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion that the backup knows of."""

    resource: str
    key: str
    deleted_at: datetime
    cause: str
    batch: int
    actor: str | None


class Reading:
    """One pass through a backup: iterate for rows and tombstones, then ask what else was in it.

    Promise: memory does not grow with the number of rows; a damaged file ends in BadBackup.
    """

    def __init__(
        self, file: BinaryIO, name: str, manifest: Manifest | None, *, public_when_missing: bool = False
    ) -> None:
        self.name = name
        self.manifest = manifest
        self.shape = "F" if manifest is None or not manifest.ours else manifest.format
        self.read: Counter[str] = Counter()
        self.foreign: dict[str, int] = {}
        self.warnings: list[str] = []
        self.intake = Intake(public_when_missing)
        self._meta: dict[str, Any] = {}
        self._declared: dict[str, Any] = {}
        self._scan = JsonScan(file)

    @property
    def ours(self) -> bool:
        """Whether our own program wrote it."""
        return self.manifest is not None and self.manifest.ours

    @property
    def timestamp(self) -> datetime | None:
        """When it was made, as it says itself; else by its name."""
        said = self.manifest.timestamp if self.manifest else None
        for value in (said, self._meta.get("timestamp"), self._meta.get("savedAt"), _time_in(self.name)):
            try:
                return moment_of(value)
            except ValueError:
                continue
        return None

    def __iter__(self) -> Iterator[Taken | Tombstone]:
        """Every row and tombstone in the order of the file; rows that do not fit are in `intake.rejects`."""
        self.intake.moment = self.timestamp or EPOCH
        try:
            for name in self._scan.members():
                yield from self._member(name)
            self._scan.end()
            self._compare_counts()
        except Damaged as error:
            raise BadBackup(f"{self.name} est endommagé : {error}. Rien n'en a été lu.") from None

    def _member(self, name: str) -> Iterator[Taken | Tombstone]:
        if name in {"tables", "state"} and self._scan.peek() == "{":
            if not self.ours:
                self.shape = "T2" if name == "tables" else "R"
            for table in self._scan.members():
                yield from self._table(table)
        elif name == TOMBSTONES or self._scan.peek() == "[":
            yield from self._table(name)
        else:
            value = self._scan.value()
            if name in KEPT_META:
                self._meta[name] = value
                self.intake.moment = self.timestamp or EPOCH
        if "format" in self._meta and not self.ours:
            raise Damaged("son manifest.json manque")

    def _table(self, name: str) -> Iterator[Taken | Tombstone]:
        resource = NAMES.get(name)
        if (resource or name) in self.read:
            raise Damaged(f"la table {resource} y est deux fois" if resource else "une table y est deux fois")
        if self._scan.peek() == "[":
            if self.shape == "T2":
                self.shape = "T3"
            yield from self._rows(name)
        elif self._scan.peek() == "{":
            yield from self._described(name)
        else:
            self._scan.value()
        if resource and resource not in self.read:
            raise Damaged(f"la table {name} n'a pas de lignes")

    def _described(self, name: str) -> Iterator[Taken | Tombstone]:
        for part in self._scan.members():
            if part == "data" and self._scan.peek() == "[":
                yield from self._rows(name)
                continue
            value = self._scan.value()
            if part == "count":
                self._declared[name] = value
            elif part == "columns" and not self.ours:
                self.shape = "T1"
            elif part == "data" and name not in NAMES and name != TOMBSTONES:
                self.foreign[name] = len(value) if isinstance(value, dict) else 0

    def _rows(self, name: str) -> Iterator[Taken | Tombstone]:
        resource = NAMES.get(name)
        self.read[resource or name] += 0
        for raw in self._scan.elements():
            self.read[resource or name] += 1
            if resource is not None:
                taken = self.intake.take(resource, raw, _exact if self.ours else None)
                if taken is not None:
                    yield taken
            elif name == TOMBSTONES and self.ours:
                yield _tombstone(raw)
        if resource is None and name != TOMBSTONES:
            self.foreign[name] = self.read[name]

    def _compare_counts(self) -> None:
        """What the file and its manifest announce: a difference is damage in our format, a remark in an old one."""
        if not any(resource in self.read for resource in RESOURCES):
            raise Damaged("aucune table Vehicle, Event ou members")
        found = [
            f"{name} : {count} lignes annoncées, {self.read[NAMES.get(name, name)]} lues"
            for name, count in self._announced()
            if count != self.read[NAMES.get(name, name)]
        ]
        total = self.manifest.total if self.manifest else None
        if total is not None and total != sum(self.read.values()):
            found.append(f"manifest.json : {total} lignes annoncées, {sum(self.read.values())} lues")
        if found and self.ours:
            raise Damaged("; ".join(found))
        self.warnings += found
        self.warnings += [f"{remark} ({count})" for remark, count in self.intake.remarks.items() if count]

    def _announced(self) -> list[tuple[str, Any]]:
        said = [(name, count) for name, count in self._declared.items() if name in NAMES or name in self.read]
        return [*said, *(self.manifest.counts.items() if self.manifest else ())]


def _exact(resource: str, raw: Any) -> Taken:
    """A row of our own file: value for value what Postgres held."""
    table = RESOURCES[resource]
    columns = _columns(table)
    try:
        values = {name: convert(raw[said]) for name, said, convert in columns if said in raw}
        missing = frozenset(name for name, _, _ in columns if name not in values)
        taken = Taken(resource, completed(table, values) if missing else values, missing)
        taken.key.encode()
    except (ValueError, TypeError, ArithmeticError, KeyError, AttributeError):
        raise Damaged(f"une ligne de {resource} est illisible") from None
    return taken


@lru_cache
def _columns(table: Table) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    """Each column's name here, its name in the file, and how its value is read."""
    return tuple((column.name, camel(column.name), _reader(column)) for column in stored_columns(table))


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    kinds: tuple[tuple[type, Callable[[Any], Any]], ...] = (
        (TIMESTAMP, _instant),
        (Float, lambda raw: None if raw is None else float(raw)),
        (Numeric, lambda raw: None if raw is None else Decimal(str(raw))),
    )
    return next((read for kind, read in kinds if isinstance(column.type, kind)), lambda raw: raw)


def _instant(raw: Any) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw).astimezone(UTC)


def _tombstone(raw: Any) -> Tombstone:
    try:
        at = datetime.fromisoformat(raw["deletedAt"]).astimezone(UTC)
        return Tombstone(raw["resource"], raw["key"], at, raw["cause"], raw["batch"], raw["actor"])
    except (ValueError, TypeError, KeyError):
        raise Damaged("une suppression y est illisible") from None


def _time_in(name: str) -> str | None:
    found = _IN_NAME.search(name)
    return f"{found[1]}T{found[2]}:{found[3]}:{found[4]}Z" if found else None


@contextmanager
def open_reading(path: Path, *, public_when_missing: bool = False) -> Iterator[Reading]:
    """A pass through a backup folder or lone file; our own are first checked against their sum."""
    with open_backup(path) as (file, name, manifest):
        yield Reading(file, name, manifest, public_when_missing=public_when_missing)


@dataclass
class Backup:
    """A whole backup in memory. `rows` hold every column; `passwords` are those that the file holds in clear."""

    name: str
    shape: str
    timestamp: datetime | None
    identity: str | None
    rows: dict[str, list[Row]]
    rejects: list[Reject]
    ignored_tables: dict[str, int]
    warnings: list[str]
    tombstones: list[Tombstone] | None
    passwords: dict[str, str] = field(repr=False)


def read_backup(path: Path, *, public_when_missing: bool = False) -> Backup:
    """Everything in a backup folder or lone file; BadBackup, and no row, if any of it is damaged."""
    rows: dict[str, list[Row]] = {resource: [] for resource in RESOURCES}
    passwords: dict[str, str] = {}
    tombstones: list[Tombstone] = []
    with open_reading(path, public_when_missing=public_when_missing) as reading:
        for found in reading:
            if isinstance(found, Tombstone):
                tombstones.append(found)
                continue
            rows[found.resource].append(found.row)
            if found.password is not None:
                passwords[found.key] = found.password
    dangling = _release(rows)
    _number(rows["Vehicle"])
    return Backup(
        reading.name,
        reading.shape,
        reading.timestamp,
        reading.manifest.identity if reading.manifest else None,
        rows,
        reading.intake.rejects,
        reading.foreign,
        reading.warnings + dangling,
        tombstones if reading.ours else None,
        passwords,
    )


def _release(rows: dict[str, list[Row]]) -> list[str]:
    """An event keeps only a vehicle that the backup holds, as Postgres would have it."""
    parcs = {row["parc"] for row in rows["Vehicle"]}
    released = [row for row in rows["Event"] if row["vehicle_id"] is not None and row["vehicle_id"] not in parcs]
    for row in released:
        row["vehicle_id"] = None
    return [f"Event : vehicleId inconnu, mis à null ({len(released)})"] if released else []


def _number(vehicles: list[Row]) -> None:
    """A number for each vehicle: its own if it is the first to have it, else a free one."""
    used: set[int] = set()
    for row in vehicles:
        if row["id"] in used:
            row["id"] = None
        used.add(row["id"] or 0)
    free = count(max(used, default=0) + 1)
    for row in vehicles:
        row["id"] = row["id"] or next(free)
