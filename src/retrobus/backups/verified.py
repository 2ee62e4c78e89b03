"""Keeps in the index when a backup was last read back whole."""

from datetime import UTC, datetime
from pathlib import Path

from retrobus.backups.catalog import VERIFIED, update
from retrobus.model.wire import moment


def note_verified(folder: Path, name: str, *, sound: bool) -> None:
    """Notes that a backup of the folder was found sound now, or that it no longer is."""
    at = moment(datetime.now(UTC)) if sound else None
    update(folder, lambda index: [item | ({VERIFIED: at} if item.get("name") == name else {}) for item in index])
