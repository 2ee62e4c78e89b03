"""The manifest of a backup: what the backup says about itself, and the proof that its data has not changed since."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from retrobus.backups import BadBackup
from retrobus.files.error_texts import told
from retrobus.files.folder import Refused, open_file, read_capped
from retrobus.model.jsontext import BadJson, parse

FORMAT = "retrobus-backup-1"
DATA, MANIFEST = "data.json", "manifest.json"
LARGEST = 1 << 20
"""Bytes of a manifest: ours have some hundreds."""

Kind = Literal["normal", "safety"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts about one backup; the predecessor's manifests hold fewer of them.

    `counts` are rows by table, `total` is the sum that a manifest of the predecessor announces. `trouble` tells what
    failed after the backup was whole on the disk; it never stands in the file.
    """

    name: str
    timestamp: str
    format: str = ""
    kind: Kind = "normal"
    note: str | None = None
    size: int = -1
    sha256: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    revision: str | None = None
    identity: str | None = None
    position: dict[str, Any] = field(default_factory=dict)
    total: int | None = None
    trouble: str | None = None

    @property
    def ours(self) -> bool:
        """Whether this program wrote the backup."""
        return self.format == FORMAT

    def written(self) -> bytes:
        """The content of manifest.json, with a seal over all that it says."""
        said = {name: value for name, value in asdict(self).items() if name not in {"total", "trouble"}}
        return json.dumps(said | {"seal": _seal(said)}, ensure_ascii=False, indent=2).encode() + b"\n"


def _seal(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path, name: str) -> Manifest | None:
    """The manifest of a backup folder, None if the folder has none; BadBackup if the manifest was changed."""
    try:
        said = parse(read_capped(folder, f"{name}/{MANIFEST}", LARGEST))
    except FileNotFoundError:
        return None
    except (BadJson, Refused) as error:
        raise BadBackup(f"{name}/{MANIFEST} est endommagé : {error}.") from None
    if not isinstance(said, dict):
        raise BadBackup(f"{name}/{MANIFEST} est endommagé : objet attendu.")
    if "seal" not in said and not str(said.get("format", "")).startswith("retrobus-"):
        return _of_the_predecessor(name, said)
    seal = said.pop("seal", None)
    if seal != _seal(said):
        raise BadBackup(f"{name}/{MANIFEST} est endommagé : il a changé depuis sa création.")
    try:
        found = Manifest(**said)
    except TypeError:
        found = None
    if found is None or not found.ours:
        raise BadBackup(f"{name} est d'un format que ce programme ne connaît pas : mettez-le à jour.")
    return found


def _of_the_predecessor(name: str, said: dict[str, Any]) -> Manifest:
    statistics = said.get("statistics")
    total = statistics.get("totalRows") if isinstance(statistics, dict) else said.get("totalRows")
    note, timestamp = said.get("description"), said.get("timestamp")
    return Manifest(
        name,
        timestamp if isinstance(timestamp, str) else "",
        note=note if isinstance(note, str) else None,
        total=total if type(total) is int else None,
    )


@contextmanager
def open_backup(path: Path) -> Iterator[tuple[BinaryIO, str, Manifest | None]]:
    """The data of a backup folder or lone file, its name and its manifest.

    BadBackup if the data of a backup of ours no longer has the size and the sum that the manifest says.
    """
    path = path.absolute()
    if path.name == DATA and (path.parent / MANIFEST).exists():
        path = path.parent
    try:
        is_folder = path.is_dir()
        manifest = read_manifest(path.parent, path.name) if is_folder else None
        file = open_file(path.parent, path.name, *([DATA] if is_folder else []))
    except FileNotFoundError:
        raise BadBackup(f"{path} : ce backup n'existe pas, ou n'a pas de {DATA}.") from None
    except PermissionError as error:
        raise BadBackup(f"{path.name} ne peut pas être lu : {told(error, path)}.") from None
    except Refused as error:
        raise BadBackup(f"{path.name} ne peut pas être lu : {error}.") from None
    with file:
        if manifest is not None and manifest.ours:
            _check_sum(file, path.name, manifest)
        yield file, path.name, manifest


def _check_sum(file: BinaryIO, name: str, manifest: Manifest) -> None:
    if os.fstat(file.fileno()).st_size != manifest.size:
        raise BadBackup(f"{name}/{DATA} est endommagé : sa taille n'est plus celle de sa création.")
    found = hashlib.sha256()
    while block := file.read(1 << 20):
        found.update(block)
    if found.hexdigest() != manifest.sha256:
        raise BadBackup(f"{name}/{DATA} est endommagé : sa somme de contrôle n'est plus celle de sa création.")
    file.seek(0)
