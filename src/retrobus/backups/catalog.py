"""Which backups there are, and which one a boot without Postgres loads: `index.json` and `restore-info.json`."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup
from retrobus.backups.manifest import Manifest, read_manifest
from retrobus.files import folder as files
from retrobus.files.folder import Refused, locked, read_capped, write_atomically
from retrobus.files.trouble import told
from retrobus.model.jsontext import BadJson, parse
from retrobus.model.schemas import moment_of
from retrobus.model.wire import moment

INDEX, SELECTION, ARCHIVE = "index.json", "restore-info.json", "archive"
LOCK = ".index.lock"
LARGEST = 16 << 20
NAME = re.compile(r"backup[_-][A-Za-z0-9][A-Za-z0-9._-]{0,90}")
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

Index = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One backup of the folder: `listed` in the index, `present` on the disk."""

    name: str
    timestamp: str
    kind: str
    note: str | None
    rows: int | None
    listed: bool
    present: bool


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
    """The name, if it is one of a backup in our folder; BadBackup for anything else, paths included."""
    if not NAME.fullmatch(name):
        raise BadBackup("nom de backup attendu, comme backup_2026-01-31T14-00-00-000Z")
    return name


def choose(folder: Path) -> str | None:
    """What a boot may load: the selection, else the newest of the index that is no safety backup.

    BadBackup if the selection or the index cannot be read: then nothing may be loaded.
    """
    selected = selection(folder)
    if selected is not None:
        return selected.name
    usable = [entry for entry in _entries_of(folder, _index(folder)) if entry.present and entry.kind != "safety"]
    return max(usable, key=_age).name if usable else None


def selection(folder: Path) -> Selection | None:
    """What restore-info.json says, written by us, by the predecessor or by hand; None without one."""
    said = _read(folder, SELECTION)
    if said is None:
        return None
    name = said.get("backupToRestore") if isinstance(said, dict) else None
    if not isinstance(name, str):
        raise BadBackup(f'{SELECTION} : {{"backupToRestore": "backup_…"}} attendu.')
    reason, at = said.get("reason"), said.get("timestamp")
    return Selection(
        checked_name(name), reason if isinstance(reason, str) else None, at if isinstance(at, str) else None
    )


def select(folder: Path, name: str, reason: str) -> None:
    """Makes this backup the one that a boot may load."""
    if not (folder / checked_name(name)).exists():
        raise BadBackup(f"{name} n'existe pas dans {folder}.")
    said = {"backupToRestore": name, "reason": reason, "timestamp": moment(datetime.now(UTC))}
    write_atomically(folder, SELECTION, [json.dumps(said, ensure_ascii=False, indent=2).encode() + b"\n"])


def deselect(folder: Path) -> bool:
    """Leaves the choice to the index again; whether there was a selection."""
    if not (folder / SELECTION).is_file():
        return False
    files.discard(folder, SELECTION)
    return True


def entries(folder: Path) -> list[Entry]:
    """Every backup of the index and of the folder, the newest first."""
    index = _index(folder)
    found = _entries_of(folder, index)
    listed = {entry.name for entry in found}
    found += [_unlisted(folder, name) for name in _names_in(folder) if name not in listed]
    return sorted(found, key=_age, reverse=True)


def add(folder: Path, manifest: Manifest) -> None:
    """Lists a backup that is on the disk now."""
    _update(folder, lambda index: [*(item for item in index if item.get("name") != manifest.name), _item(manifest)])


def keep(folder: Path, count: int) -> list[str]:
    """Deletes all but the newest of our ordinary backups; safety, selected and the predecessor's ones stay."""
    selected = selection(folder)
    ordinary = [
        entry for entry in entries(folder) if entry.present and entry.kind == "normal" and _is_ours(folder, entry.name)
    ]
    gone = [entry.name for entry in ordinary[count:] if selected is None or entry.name != selected.name]
    _update(folder, lambda index: [item for item in index if item.get("name") not in gone])
    for name in gone:
        files.discard(folder, name)
    return gone


def archive(folder: Path, name: str) -> Path:
    """Moves a backup to `archive/`, where no boot and no list sees it."""
    selected = selection(folder)
    if selected is not None and selected.name == name:
        raise BadBackup(f"{name} est sélectionné pour le démarrage : retrobus backup deselect d'abord.")
    if not os.path.lexists(folder / checked_name(name)):
        raise BadBackup(f"{name} n'existe pas dans {folder}.")
    target = folder / ARCHIVE / name
    if target.exists():
        raise BadBackup(f"{target} existe déjà.")
    files.private_folder(folder / ARCHIVE)
    _update(folder, lambda index: [item for item in index if item.get("name") != name])
    (folder / name).rename(target)
    files.sync(folder / ARCHIVE)
    files.sync(folder)
    return target


def _update(folder: Path, change: Callable[[Index], Index]) -> None:
    """Changes the index under its lock; backups of ours that a kill kept out of it come in."""
    with locked(folder, LOCK, wait=True):
        files.sweep(folder, INDEX)
        written = json.dumps(change(_sound_index(folder)), ensure_ascii=False, indent=2)
        write_atomically(folder, INDEX, [written.encode() + b"\n"])


def _sound_index(folder: Path) -> Index:
    """The index; a damaged one is set aside and made anew from the manifests."""
    try:
        index = _index(folder)
    except BadBackup:
        files.set_aside(folder, INDEX)
        index = []
    listed = {item.get("name") for item in index}
    missed = [(name, _manifest(folder, name)) for name in _names_in(folder) if name not in listed]
    return index + [_item(found) | {"name": name} for name, found in missed if found is not None and found.ours]


def _index(folder: Path) -> Index:
    said = _read(folder, INDEX)
    if said is None:
        return []
    if not isinstance(said, list) or not all(isinstance(item, dict) for item in said):
        raise BadBackup(f"{INDEX} est endommagé : liste de backups attendue.")
    return said


def _read(folder: Path, name: str) -> Any:
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


def _item(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "timestamp": manifest.timestamp,
        "type": manifest.format,
        "kind": manifest.kind,
        "description": manifest.note,
        "totalRows": sum(manifest.counts.values()),
    }


def _entries_of(folder: Path, index: Index) -> list[Entry]:
    return [
        _entry(item, listed=True, present=(folder / item["name"]).exists())
        for item in index
        if isinstance(item.get("name"), str) and NAME.fullmatch(item["name"])
    ]


def _entry(item: dict[str, Any], *, listed: bool, present: bool) -> Entry:
    statistics = item.get("statistics")
    rows = statistics.get("totalRows") if isinstance(statistics, dict) else item.get("totalRows")
    return Entry(
        item["name"],
        str(item.get("timestamp") or ""),
        str(item.get("kind") or "normal"),
        item.get("description"),
        rows if type(rows) is int else None,
        listed,
        present,
    )


def _unlisted(folder: Path, name: str) -> Entry:
    manifest = _manifest(folder, name)
    item = {"name": name} if manifest is None else _item(manifest) | {"name": name}
    return _entry(item, listed=False, present=True)


def _manifest(folder: Path, name: str) -> Manifest | None:
    try:
        return read_manifest(folder, name) if (folder / name).is_dir() else None
    except BadBackup:
        return None


def _is_ours(folder: Path, name: str) -> bool:
    manifest = _manifest(folder, name)
    return manifest is not None and manifest.ours


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name)) if folder.is_dir() else []


def _age(entry: Entry) -> tuple[datetime, str]:
    try:
        return moment_of(entry.timestamp), entry.name
    except ValueError:
        return EARLIEST, entry.name
