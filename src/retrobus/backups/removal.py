"""Takes backups out of the folder: deleted by name or by rule, or moved to `archive/` and back.

The index loses a backup before its folder goes. A kill in between leaves a backup that is whole, and that the next
change of the index lists again.
"""

import os
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrobus.backups import BadBackup
from retrobus.backups.catalog import (
    ARCHIVE,
    CatalogEntry,
    Item,
    checked_name,
    deselect,
    entries,
    found,
    manifest_of,
    selection,
    update,
)
from retrobus.files import folder as files


def surplus(folder: Path, count: int, safety_days: int) -> list[CatalogEntry]:
    """The backups that the two rules of retention give up, the newest first.

    These are the ordinary backups but the newest `count`, and the safety backups of more than `safety_days` days but
    the newest one. The selected backup stays, and so do those of the predecessor.
    """
    selected = selection(folder)
    ours = [entry for entry in entries(folder) if entry.present and _is_ours(folder, entry.name)]
    ordinary = [entry for entry in ours if entry.kind == "normal"][count:]
    oldest = datetime.now(UTC) - timedelta(days=safety_days)
    safety = [entry for entry in ours if entry.kind == "safety"][1:]
    gone = [*ordinary, *(entry for entry in safety if entry.age[0] < oldest)]
    return [entry for entry in gone if selected is None or entry.name != selected.name]


def _is_ours(folder: Path, name: str) -> bool:
    manifest = manifest_of(folder, name)
    return manifest is not None and manifest.ours


def named(folder: Path, names: Iterable[str]) -> list[CatalogEntry]:
    """The backups of these names, each once; BadBackup if one of them is neither in the folder nor in its index."""
    known = {entry.name: entry for entry in entries(folder)}
    wanted = dict.fromkeys(names)
    missing = [name for name in wanted if checked_name(name) not in known]
    if missing:
        raise BadBackup(f"{', '.join(missing)} : aucun backup de ce nom dans {folder}.")
    return [known[name] for name in wanted]


def check_selection(folder: Path, names: Collection[str], *, selected_too: bool) -> None:
    """BadBackup if the selected backup is among these, unless it may go too."""
    chosen = selection(folder)
    if chosen is not None and chosen.name in names and not selected_too:
        raise BadBackup(f"{chosen.name} est sélectionné pour le démarrage : --deselect retire aussi la sélection.")


def delete(folder: Path, names: Collection[str], *, selected_too: bool = False) -> None:
    """Deletes backups; BadBackup, and nothing is deleted, if the selected one is among them, unless `selected_too`.

    The selection goes with the selected backup. The caller is `create.alone`.
    """
    check_selection(folder, names, selected_too=selected_too)
    update(folder, lambda index: _without(index, names))
    chosen = selection(folder)
    if chosen is not None and chosen.name in names:
        deselect(folder)
    for name in names:
        if os.path.lexists(folder / name):
            files.discard(folder, name)


def _without(index: list[Item], names: Collection[str]) -> list[Item]:
    return [item for item in index if item.get("name") not in names]


def archive(folder: Path, name: str) -> Path:
    """Moves a backup to `archive/`, out of the list and of the boot's choice; gives its new path."""
    selected = selection(folder)
    if selected is not None and selected.name == name:
        raise BadBackup(f"{name} est sélectionné pour le démarrage : retrobus backup deselect d'abord.")
    if not os.path.lexists(folder / checked_name(name)):
        raise BadBackup(f"{name} n'existe pas dans {folder}.")
    target = folder / ARCHIVE / name
    if os.path.lexists(target):
        raise BadBackup(f"{target} existe déjà.")
    files.private_folder(folder / ARCHIVE)
    update(folder, lambda index: _without(index, [name]))
    _move(folder / name, target)
    return target


def unarchive(folder: Path, name: str) -> Path:
    """Moves a backup of `archive/` back into the folder and into the index; gives its new path."""
    source, target = folder / ARCHIVE / checked_name(name), folder / name
    if not os.path.lexists(source):
        raise BadBackup(f"{name} n'existe pas dans {folder / ARCHIVE}.")
    if os.path.lexists(target):
        raise BadBackup(f"{target} existe déjà.")
    _move(source, target)
    update(folder, lambda index: [*_without(index, [name]), found(folder, name)])
    return target


def _move(source: Path, target: Path) -> None:
    source.rename(target)
    files.sync(target.parent)
    files.sync(source.parent)
