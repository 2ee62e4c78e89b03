"""The list of backups (`index.json`) and the backup that a boot without PostgreSQL loads (`restore-info.json`)."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup
from retrobus.backups.manifest import FORMAT, Manifest, read_manifest
from retrobus.files import folder as files
from retrobus.files.error_texts import told
from retrobus.files.folder import Refused, locked, read_capped, write_atomically
from retrobus.model.jsontext import BadJson, parse
from retrobus.model.quantities import moment_of
from retrobus.model.wire import moment

INDEX, SELECTION, ARCHIVE, LOCK = "index.json", "restore-info.json", "archive", ".index.lock"
TOMBSTONES = "tombstones"
"""What a manifest calls the deletions in its counts."""

VERIFIED = "verifiedAt"
"""What the index calls the time of the last sound verification."""

LARGEST = 16 << 20
"""Bytes of index.json: an entry has some hundreds."""

NAME = re.compile(r"backup[_-][A-Za-z0-9][A-Za-z0-9._-]{0,90}")
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
"""Stands for the time of a backup that has none: it is never the newest."""

Item = dict[str, Any]
"""One entry of index.json, as this program or the predecessor wrote it."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One backup of the folder: `listed` in the index, `present` on the disk.

    `rows` are those of our tables, `deletions` the tombstones beside them; None if nothing tells.
    """

    name: str
    timestamp: str
    kind: str
    note: str | None
    rows: int | None
    deletions: int | None
    listed: bool
    present: bool
    verified: str | None = None

    @property
    def age(self) -> tuple[datetime, str]:
        """Sorts backups by their time, then by name."""
        try:
            return moment_of(self.timestamp), self.name
        except ValueError:
            return EARLIEST, self.name


@dataclass(frozen=True, slots=True)
class Selection:
    """The backup that an operator chose for the boot."""

    name: str
    reason: str | None
    timestamp: str | None


def new_name(at: datetime) -> str:
    """The name of a backup made at this instant."""
    return f"backup_{at:%Y-%m-%dT%H-%M-%S}-{at.microsecond // 1000:03d}Z"


def checked_name(name: str) -> str:
    """The name, if it can be that of a backup in the folder; BadBackup for anything else, such as a path."""
    if not NAME.fullmatch(name):
        raise BadBackup("nom de backup attendu, comme backup_2026-01-31T14-00-00-000Z")
    return name


def choose(folder: Path) -> str | None:
    """The backup that a boot may load: the selection, else the newest of the index that is no safety backup.

    BadBackup if the selection or the index cannot be read: then a boot loads no backup.
    """
    selected = selection(folder)
    if selected is not None:
        return selected.name
    usable = [entry for entry in _entries_of(folder, _index(folder)) if entry.present and entry.kind != "safety"]
    return max(usable, key=lambda entry: entry.age).name if usable else None


def selection(folder: Path) -> Selection | None:
    """The selection, written by this program, by the predecessor or by hand; None without restore-info.json."""
    said = _read(folder, SELECTION)
    if said is None:
        return None
    name = said.get("backupToRestore") if isinstance(said, dict) else None
    if not isinstance(name, str):
        raise BadBackup(f'{SELECTION} : {{"backupToRestore": "backup_…"}} attendu.')
    reason, at = (said[key] if isinstance(said.get(key), str) else None for key in ("reason", "timestamp"))
    return Selection(checked_name(name), reason, at)


def select(folder: Path, name: str, reason: str) -> None:
    """Makes this backup the one that a boot may load."""
    if not (folder / checked_name(name)).exists():
        raise BadBackup(f"{name} n'existe pas dans {folder}.")
    said = {"backupToRestore": name, "reason": reason, "timestamp": moment(datetime.now(UTC))}
    _write(folder, SELECTION, said)


def deselect(folder: Path) -> bool:
    """Removes the selection, so that the index decides again; whether there was one."""
    if not (folder / SELECTION).is_file():
        return False
    files.discard(folder, SELECTION)
    return True


def entries(folder: Path) -> list[CatalogEntry]:
    """Every backup of the index and of the folder, the newest first."""
    index = _index(folder)
    found = [*_entries_of(folder, index), *(_entry(folder, item, listed=False) for item in _unlisted(folder, index))]
    return sorted(found, key=lambda entry: entry.age, reverse=True)


def add(folder: Path, manifest: Manifest) -> None:
    """Lists a backup that is on the disk now."""
    update(folder, lambda index: [*(item for item in index if item.get("name") != manifest.name), _item(manifest)])


def heal(folder: Path) -> list[str]:
    """Takes the backups that an operator removed from the folder by hand off the index; gives their names.

    The selection stays, even if its backup is gone: without it, a boot would load another backup than the chosen one.
    """
    gone = [item["name"] for item in _index(folder) if _is_gone(folder, item)]
    if gone:
        update(folder, lambda index: [item for item in index if not _is_gone(folder, item)])
    return gone


def _is_gone(folder: Path, item: Item) -> bool:
    name = item.get("name")
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not os.path.lexists(folder / name)


def update(folder: Path, change: Callable[[list[Item]], list[Item]]) -> None:
    """Rewrites the index under its lock. It gains the backups of ours whose process was killed before listing them.

    A damaged index is set aside and written again from the manifests.
    """
    with locked(folder, LOCK, wait=True):
        files.sweep(folder, INDEX)
        try:
            index = _index(folder)
        except BadBackup:
            files.set_aside(folder, INDEX)
            index = []
        index += [item for item in _unlisted(folder, index) if item.get("type") == FORMAT]
        _write(folder, INDEX, change(index))


def _index(folder: Path) -> list[Item]:
    said = _read(folder, INDEX)
    if said is None:
        return []
    if not isinstance(said, list) or not all(isinstance(item, dict) for item in said):
        raise BadBackup(f"{INDEX} est endommagé : liste de backups attendue.")
    return said


def _unlisted(folder: Path, index: list[Item]) -> list[Item]:
    """The backups of the folder that the index does not list, each as its manifest describes it."""
    listed = {item.get("name") for item in index}
    names = sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name)) if folder.is_dir() else []
    return [found(folder, name) for name in names if name not in listed]


def found(folder: Path, name: str) -> Item:
    """The entry of index.json for a backup of the folder, as its manifest describes it."""
    manifest = manifest_of(folder, name)
    return {"name": name} if manifest is None else _item(manifest) | {"name": name}


def manifest_of(folder: Path, name: str) -> Manifest | None:
    """The manifest of a backup; None if there is none, or if it cannot be read."""
    try:
        return read_manifest(folder, name) if (folder / name).is_dir() else None
    except BadBackup:
        return None


def _item(manifest: Manifest) -> Item:
    return {
        "name": manifest.name,
        "timestamp": manifest.timestamp,
        "type": manifest.format,
        "kind": manifest.kind,
        "description": manifest.note,
        "totalRows": sum(count for name, count in manifest.counts.items() if name != TOMBSTONES),
        "deletions": manifest.counts.get(TOMBSTONES, 0),
    }


def _entries_of(folder: Path, index: list[Item]) -> list[CatalogEntry]:
    named = [item for item in index if isinstance(item.get("name"), str) and NAME.fullmatch(item["name"])]
    return [_entry(folder, item, listed=True) for item in named]


def _entry(folder: Path, item: Item, *, listed: bool) -> CatalogEntry:
    if item.get("type") == FORMAT and "deletions" not in item:  # written when rows and deletions were one sum
        item = {VERIFIED: item.get(VERIFIED)} | found(folder, item["name"])
    statistics = item.get("statistics")
    rows = statistics.get("totalRows") if isinstance(statistics, dict) else item.get("totalRows")
    return CatalogEntry(
        item["name"],
        str(item.get("timestamp") or ""),
        str(item.get("kind") or "normal"),
        item.get("description"),
        rows if type(rows) is int else None,
        item.get("deletions") if type(item.get("deletions")) is int else None,
        listed,
        present=(folder / item["name"]).exists(),
        verified=item.get(VERIFIED) if isinstance(item.get(VERIFIED), str) else None,
    )


def _read(folder: Path, name: str) -> Any:
    """The JSON of a file, None if it is missing; BadBackup if it cannot be read."""
    try:
        return parse(read_capped(folder, name, LARGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadBackup(f"{told(error, folder / name)}.") from None
    except Refused as error:
        raise BadBackup(f"{error}.") from None
    except BadJson as error:
        raise BadBackup(f"{folder / name} est illisible : {error}.") from None


def _write(folder: Path, name: str, said: Any) -> None:
    write_atomically(folder, name, [json.dumps(said, ensure_ascii=False, indent=2).encode() + b"\n"])
