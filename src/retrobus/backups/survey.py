"""What a backup holds, found by reading all of it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrobus.backups.formats import open_reading
from retrobus.backups.intake import Reject, Tombstone
from retrobus.model.wire import moment


@dataclass(frozen=True, slots=True)
class Survey:
    """The counts of one backup; `checked` if its content was compared with a sum made when it was written."""

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
    """Reads and checks everything in constant memory; BadBackup if any of it is damaged."""
    rows: Counter[str] = Counter(Vehicle=0, Event=0, Member=0)
    tombstones = passwords = 0
    with open_reading(path) as reading:
        for found in reading:
            if isinstance(found, Tombstone):
                tombstones += 1
                continue
            rows[found.resource] += 1
            passwords += found.password is not None
        manifest = reading.manifest
        return Survey(
            reading.name,
            reading.shape,
            reading.ours,
            moment(reading.timestamp) if reading.timestamp else None,
            manifest.kind if manifest else "normal",
            manifest.note if manifest else None,
            manifest.revision if manifest else None,
            manifest.identity if manifest else None,
            manifest.position if manifest else {},
            dict(rows),
            tombstones,
            passwords,
            dict(reading.intake.rejected),
            reading.intake.rejects,
            reading.foreign,
            reading.warnings,
        )
