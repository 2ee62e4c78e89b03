"""What the folder of backups holds about one member: journal and snapshot are rewritten, backups are only named."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup
from retrobus.backups.catalog import ARCHIVE, NAME
from retrobus.backups.formats import open_reading
from retrobus.backups.intake import Taken, Tombstone
from retrobus.fallback import journal as journals
from retrobus.fallback import snapshot as snapshots
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.files.folder import read_capped, write_atomically
from retrobus.model.resources import MEMBER
from retrobus.model.rows import content_hash, decode
from retrobus.privacy.person import Person
from retrobus.privacy.traces import Trace, own_row, trace

NAMING = ("created_by", "updated_by")
"""The columns by which a row names a member who is not its subject."""


def entries_about(person: Person, folder: Path) -> list[Entry]:
    """The journal entries that may be about this member, or that this member made."""
    entries = _journal(folder).entries
    return [entry for entry in entries if entry.member == person.id or _is_about(person, entry, person.is_in)]


def entries_told(person: Person, folder: Path) -> list[Trace]:
    """The journal entries about this member or made by this member, as an export shows them."""
    told = []
    for entry in _journal(folder).entries:
        what = entry.at, entry.resource, entry.operation
        if _is_about(person, entry, person.is_surely_in):
            told.append(trace("subject", *what, key=entry.key, row=own_row(entry.row)))
        elif entry.member == person.id:
            told.append(trace("actor", *what))
    return told


def _journal(folder: Path) -> Journal:
    return journals.read_journal(folder, max_age=float("inf"))


def _is_about(person: Person, entry: Entry, is_in: Callable[[Mapping[str, Any] | None], bool]) -> bool:
    """Whether the entry has the person's key, or a row that is theirs."""
    return entry.resource == "Member" and (entry.key == person.id or is_in(entry.row))


def rows_about(person: Person, folder: Path) -> list[Trace]:
    """The snapshot's rows that may be about this member."""
    return [row for row in _members(_snapshot(folder)) if person.is_in(row)]


def rows_told(person: Person, folder: Path) -> list[Trace | None]:
    """The snapshot's rows of this member, without secrets."""
    return [own_row(row) for row in rows_about(person, folder) if person.is_surely_in(row)]


def doubtful(person: Person, folder: Path) -> list[str]:
    """The files with a row that has this member's matricule or number, and that may be another member's."""
    entries = [entry.row for entry in entries_about(person, folder) if entry.resource == "Member"]
    found = ((journals.NAME, entries), (snapshots.NAME, rows_about(person, folder)))
    return [name for name, rows in found if any(map(person.is_perhaps_in, rows))]


def _members(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = snapshot.get("state", {}).get("members", [])
    return rows


def _snapshot(folder: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(read_capped(folder, snapshots.NAME, snapshots.LARGEST))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise BadBackup(f"{snapshots.NAME} est illisible : retrobus purge d'abord.") from None
    return value


def forget(person: Person, folder: Path) -> None:
    """Rewrites journal and snapshot without the member; no service may use the folder meanwhile."""
    journal = _journal(folder)
    if journal.refusal is not None:
        raise BadBackup(f"{journals.NAME} est {journal.refusal} : retrobus purge d'abord.")
    kept = _without(person, [entry for entry in journal.entries if not _is_about(person, entry, person.is_in)])
    if kept != journal.entries:
        journal.rewrite(kept)
    value = _snapshot(folder)
    state = {plural: [_unnamed(person, row) for row in rows] for plural, rows in value.get("state", {}).items()}
    if "members" in state:
        state["members"] = [row for row in state["members"] if not person.is_in(row)]
    if state != value.get("state", {}):
        value["state"] = state
        write_atomically(folder, snapshots.NAME, [json.dumps(value, ensure_ascii=False).encode()])


def _without(person: Person, entries: list[Entry]) -> list[Entry]:
    """The entries without this member as author or creator; an entry based on another still fits it."""
    left: dict[str, str] = {}
    return [_anonymous(person, entry, left) for entry in entries]


def _anonymous(person: Person, entry: Entry, left: dict[str, str]) -> Entry:
    """One entry without the person as author or creator.

    An entry that was based on another names the content hash of the row as that one left it. If that row loses its
    creator, its hash changes, and the later entry must name the new one: `left` holds it by key of the row.
    """
    if entry.member == person.id:
        entry = replace(entry, member=None, once=None)
    is_member = entry.resource == "Member"
    if is_member and entry.key in left and "sequence" in (entry.base or {}):
        entry = replace(entry, base={**(entry.base or {}), "hash": left[entry.key]})
    if entry.row is None:
        return entry
    row = _unnamed(person, entry.row)
    if is_member and row["created_by"] != entry.row["created_by"]:
        left[entry.key] = content_hash(MEMBER, decode(MEMBER, row))
    return replace(entry, row=row)


def _unnamed(person: Person, row: dict[str, Any]) -> dict[str, Any]:
    """The same row without the person as who created it or changed it last."""
    return row | {name: None for name in NAMING if row.get(name) == person.id}


def backups_about(person: Person, folder: Path) -> tuple[list[str], list[str]]:
    """The backups that hold this member, and the files that the operator must look at."""
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
    """Every backup, also in the archive, and every journal or damaged file that was set aside."""
    for place in (folder, folder / ARCHIVE):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if NAME.fullmatch(path.name) or _is_aside(path))


def _is_aside(path: Path) -> bool:
    return ".corrupt-" in path.name or (path.name.startswith("journal-") and path.suffix == ".jsonl")


def _holds(path: Path, person: Person) -> bool:
    found = False
    with open_reading(path) as reading:
        for taken in reading:
            found = found or _names(person, taken)
        return found or any(resource == "Member" and key == person.id for resource, key in reading.intake.refused)


def _names(person: Person, taken: Taken | Tombstone) -> bool:
    """Whether it is the person's row or tombstone, or names the person as who created, changed or deleted it."""
    if isinstance(taken, Tombstone):
        return taken.actor == person.id or (taken.resource == "Member" and taken.key == person.id)
    if any(taken.row.get(name) == person.id for name in NAMING):
        return True
    return taken.resource == "Member" and person.is_in(taken.row)
