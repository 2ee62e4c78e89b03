"""Reads a whole backup to tell an operator what it holds and whether it is sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrobus.backups.formats import open_reading
from retrobus.backups.intake import Reject, Tombstone
from retrobus.backups.manifest import Manifest
from retrobus.model.resources import ALL
from retrobus.model.wire import moment


@dataclass(frozen=True, slots=True)
class Survey:
    """What one backup holds; `checked` if its content was compared with the sum in its manifest."""

    name: str
    shape: str
    checked: bool
    timestamp: str | None
    kind: str
    note: str | None
    revision: str | None
    identity: str | None
    position: dict[str, Any]
    rows: dict[str, int]
    tombstones: int
    clear_passwords: int
    rejected: dict[str, int]
    rejects: list[Reject]
    ignored_tables: dict[str, int]
    warnings: list[str]


def survey(path: Path) -> Survey:
    """Reads and checks everything; BadBackup if any part of it is damaged."""
    rows = {resource.name: 0 for resource in ALL}
    tombstones = passwords = 0
    with open_reading(path) as reading:
        for found in reading:
            if isinstance(found, Tombstone):
                tombstones += 1
            else:
                rows[found.resource] += 1
                passwords += found.password is not None
    manifest = reading.manifest or Manifest(reading.name, "")
    return Survey(
        reading.name,
        reading.shape,
        reading.ours,
        moment(reading.timestamp) if reading.timestamp else None,
        manifest.kind,
        manifest.note,
        manifest.revision,
        manifest.identity,
        manifest.position,
        rows,
        tombstones,
        passwords,
        dict(reading.intake.rejected),
        reading.intake.rejects,
        reading.foreign,
        reading.warnings,
    )
