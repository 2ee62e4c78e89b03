"""The folder of backups: which files are left over, how old and how sound the backups are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrobus.backups import BadBackup, catalog
from retrobus.backups.catalog import CatalogEntry
from retrobus.backups.survey import survey
from retrobus.checklist.judging import Item
from retrobus.fallback.journal import NAME as JOURNAL
from retrobus.fallback.journal import read_journal
from retrobus.fallback.snapshot import NAME as SNAPSHOT
from retrobus.files.error_texts import told
from retrobus.files.folder import Refused
from retrobus.model.quantities import moment_of
from retrobus.words import WRITES, plural

OLD = 7.0
"""Days after which the newest backup is too old to be of much use."""

FOLDER = "Dossier des backups"
PURGE, RESYNC = "retrobus purge", "retrobus resync --list, ou retrobus purge"
CREATE, DESELECT = "retrobus backup create", "retrobus backup deselect"


@dataclass(frozen=True, slots=True)
class FolderUse:
    """The folder of backups, and which files in it the settings make use of."""

    path: Path
    loads: bool
    """LOAD_BACKUP_AT_BOOT."""

    saves: bool
    """ENABLE_RUNTIME_STATE_SAVE."""


def file_items(use: FolderUse, *, read: bool) -> Iterator[Item]:
    """A line for each thing in the folder; a file that cannot be read has its line and does not end the checklist.

    With `read` the newest backup is read whole; else the index says when that was done.
    """
    try:
        yield from _file_items(use, read=read)
    except (OSError, Refused, BadBackup) as error:
        yield Item("error", FOLDER, *_trouble(error, use.path))


def _trouble(error: Exception, path: Path) -> tuple[str, str]:
    """What is wrong with a file, and the cure, which follows a semicolon in our messages."""
    said = told(error, path) if isinstance(error, OSError) else str(error)
    text, _, cure = said.partition(" ; ")
    return text, cure or "retrobus doctor après correction"


def _file_items(use: FolderUse, *, read: bool) -> Iterator[Item]:
    folder = use.path
    if not folder.is_dir():
        yield Item("warning", FOLDER, f"{folder} n'existe pas encore", CREATE)
        return
    yield _permissions(folder)
    yield _selection(folder, used=use.loads)
    yield _snapshot(folder, used=use.saves)
    yield _journal(folder, used=use.saves)
    damaged = sorted(path.name for path in folder.glob("*.corrupt-*"))
    if damaged:
        yield Item("warning", "Fichiers endommagés mis de côté", ", ".join(damaged), "les examiner, puis les supprimer")
    yield from _backups(folder, read=read)
    yield from _contents(folder)


def _permissions(folder: Path) -> Item:
    found = folder.stat()
    text, mode = f"{folder}, mode {found.st_mode & 0o777:o}", f"chmod 700 {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Item("error", FOLDER, f"{text}, non inscriptible", "le donner à l'utilisateur du service")
    if found.st_mode & 0o077:
        return Item("error", FOLDER, f"{text} : d'autres y lisent les données des membres", mode)
    return Item("ok", FOLDER, text)


def _selection(folder: Path, *, used: bool) -> Item:
    name = "Sélection (restore-info.json)"
    try:
        selected = catalog.selection(folder)
    except BadBackup as error:
        return Item("error", name, str(error), DESELECT)
    if selected is None:
        return Item("ok", name, "aucune")
    if not (folder / selected.name).exists():
        return Item("error", name, f"{selected.name} n'existe pas", DESELECT)
    return Item("ok", name, selected.name) if used else Item("warning", name, f"{selected.name}, sans effet", PURGE)


def _snapshot(folder: Path, *, used: bool) -> Item:
    name = f"Instantané ({SNAPSHOT})"
    if not (folder / SNAPSHOT).exists():
        return Item("ok", name, "aucun")
    return Item("ok", name, "présent") if used else Item("warning", name, "reste d'un autre réglage, jamais lu", PURGE)


def _journal(folder: Path, *, used: bool) -> Item:
    name = f"Journal ({JOURNAL})"
    try:
        journal = read_journal(folder, max_age=float("inf"))
    except (OSError, Refused) as error:
        return Item("error", name, *_trouble(error, folder / JOURNAL))
    if journal.refusal:
        return Item("error", name, journal.refusal, PURGE)
    if not journal.entries:
        return Item("ok", name, "aucune écriture en attente")
    waiting = f"{plural(len(journal), *WRITES)}, pas encore dans PostgreSQL"
    if used:
        return Item("warning", name, waiting, "rejeu dès que PostgreSQL répond")
    return Item("error", name, f"{waiting} : le service refuse de démarrer", RESYNC)


def _contents(folder: Path) -> Iterator[Item]:
    """What an operator loses who empties the folder by hand; a damaged index has its line already."""
    try:
        kinds = [entry.kind for entry in catalog.entries(folder) if entry.present]
    except BadBackup:
        return
    parts = [
        plural(kinds.count("normal"), "backup"),
        plural(kinds.count("safety"), "backup de sécurité", "backups de sécurité"),
        *(["la sélection"] if os.path.lexists(folder / catalog.SELECTION) else []),
        *(["l'instantané"] if os.path.lexists(folder / SNAPSHOT) else []),
        *(["archive/"] if any(folder.glob(f"{catalog.ARCHIVE}/*")) else []),
    ]
    writes = len(read_journal(folder, max_age=float("inf")))
    parts += [plural(writes, *WRITES)] if writes else []
    yield Item("ok", "Contenu", f"{', '.join(parts)} ; rm -rf {folder}/* supprimerait tout cela pour toujours")


def _backups(folder: Path, *, read: bool) -> Iterator[Item]:
    try:
        found = catalog.entries(folder)
    except BadBackup as error:
        yield Item("error", "Backups", str(error), "retrobus backup create refait l'index")
        return
    gone = [entry.name for entry in found if not entry.present]
    if gone:
        yield Item("warning", "Index", f"{', '.join(gone)} : dossier supprimé à la main", "retrobus backup list")
    usable = [entry for entry in found if entry.present and entry.kind == "normal"]
    if not usable:
        yield Item("warning", "Backups", "aucun", CREATE)
        return
    yield _age(usable[0])
    yield _soundness(folder, usable[0]) if read else _verification(usable[0])


def _age(newest: CatalogEntry) -> Item:
    try:
        days = (datetime.now(UTC) - moment_of(newest.timestamp)).total_seconds() / 86_400
    except ValueError:
        return Item("warning", "Dernier backup", f"{newest.name}, de date inconnue", CREATE)
    text = f"{newest.name}, il y a {_age_of(days)}"
    return Item("ok", "Dernier backup", text) if days < OLD else Item("warning", "Dernier backup", text, CREATE)


def _age_of(days: float) -> str:
    return plural(int(days), "jour") if days >= 1 else plural(int(days * 24), "heure")


def _soundness(folder: Path, newest: CatalogEntry) -> Item:
    try:
        found = survey(folder / newest.name)
    except BadBackup as error:
        return Item("error", "Vérification du dernier backup", str(error), CREATE)
    return Item("ok", "Vérification du dernier backup", "sommes vérifiées" if found.checked else "lisible")


def _verification(newest: CatalogEntry) -> Item:
    name = "Vérification du dernier backup"
    if newest.verified is None:
        return Item("warning", name, "jamais relu en entier", f"retrobus backup verify {newest.name}")
    return Item("ok", name, f"relu en entier le {newest.verified[:10]}")
