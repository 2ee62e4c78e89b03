"""Deletions that came after a dump was made, as the newest backup of the same database tells them."""

from pathlib import Path

from retrobus.backups import BadBackup, catalog
from retrobus.backups.formats import open_reading
from retrobus.backups.intake import Tombstone
from retrobus.backups.manifest import read_manifest


def remembered(folder: Path, identity: str | None) -> list[Tombstone]:
    """The tombstones in the newest sound backup of this identity: all of them, since none is ever removed."""
    if not folder.is_dir():
        return []
    for entry in catalog.entries(folder):
        try:
            if _is_of(folder, entry, identity):
                with open_reading(folder / entry.name) as reading:
                    return [found for found in reading if isinstance(found, Tombstone)]
        except BadBackup:
            continue  # `doctor` and `backup verify` tell of a damaged backup; an older one may be sound
    return []


def _is_of(folder: Path, entry: catalog.CatalogEntry, identity: str | None) -> bool:
    if not entry.present or not (folder / entry.name).is_dir():
        return False
    manifest = read_manifest(folder, entry.name)
    return manifest is not None and manifest.ours and manifest.identity == identity
