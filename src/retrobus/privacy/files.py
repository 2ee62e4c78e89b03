"""What the folder of backups holds about one member: journal and snapshot can forget, backups can only be named."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup
from retrobus.backups.catalog import ARCHIVE, NAME
from retrobus.backups.files import read_capped, write_atomically
from retrobus.backups.formats import Tombstone, open_reading
from retrobus.privacy.person import Person
from retrobus.store import journal as journals
from retrobus.store import snapshot as snapshots
from retrobus.store.journal import Entry, Journal


def entries_about(person: Person, folder: Path) -> list[Entry]:
    """The journal's entries that change this member or were made by them."""
    return [entry for entry in _journal(folder).entries if _is_about(person, entry) or entry.member == person.id]


def _journal(folder: Path) -> Journal:
    return journals.read_journal(folder, max_age=float("inf"))


def _is_about(person: Person, entry: Entry) -> bool:
    return entry.resource == "Member" and (entry.key == person.id or person.is_in(entry.row))


def rows_about(person: Person, folder: Path) -> list[dict[str, Any]]:
    """The snapshot's rows of this member, without secrets."""
    rows = _snapshot(folder).get("state", {}).get("members", [])
    secret = ("password_hash", "token_epoch")
    return [{name: row[name] for name in row if name not in secret} for row in rows if person.is_in(row)]


def _snapshot(folder: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(read_capped(folder, snapshots.NAME, snapshots.LARGEST))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise BadBackup(f"{snapshots.NAME} est illisible : retrobus purge d'abord.") from None
    return value


def forget(person: Person, folder: Path) -> None:
    """Rewrites journal and snapshot without the member; call it while no service uses the folder."""
    journal = _journal(folder)
    if journal.refusal is not None:
        raise BadBackup(f"{journals.NAME} est {journal.refusal} : retrobus purge d'abord.")
    if entries_about(person, folder):
        kept = [entry for entry in journal.entries if not _is_about(person, entry)]
        journal.rewrite([replace(e, member=None, once=None) if e.member == person.id else e for e in kept])
    if rows_about(person, folder):
        value = _snapshot(folder)
        value["state"]["members"] = [row for row in value["state"]["members"] if not person.is_in(row)]
        write_atomically(folder, snapshots.NAME, [json.dumps(value, ensure_ascii=False).encode()])


def backups_about(person: Person, folder: Path) -> tuple[list[str], list[str]]:
    """The backups that hold this member, and the files that must be looked at by a person."""
    holding, unknown = [], []
    for path in _kept(folder):
        name = str(path.relative_to(folder))
        if not NAME.fullmatch(path.name):
            unknown.append(name)
            continue
        try:
            found = _holds(path, person)
        except BadBackup:
            unknown.append(name)
        else:
            holding += [name] if found else []
    return holding, unknown


def _kept(folder: Path) -> Iterator[Path]:
    """Every backup, archived ones too, and every journal or damaged file that was set aside."""
    for place in (folder, folder / ARCHIVE):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if NAME.fullmatch(path.name) or _is_aside(path))


def _is_aside(path: Path) -> bool:
    return ".corrupt-" in path.name or (path.name.startswith("journal-") and path.suffix == ".jsonl")


def _holds(path: Path, person: Person) -> bool:
    found = False
    with open_reading(path) as reading:
        for taken in reading:
            found = found or (
                not isinstance(taken, Tombstone) and taken.resource == "Member" and person.is_in(taken.row)
            )
        return found or any(resource == "Member" and key == person.id for resource, key in reading.intake.refused)
