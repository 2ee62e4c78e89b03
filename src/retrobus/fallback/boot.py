"""Fills the mirror while Postgres is away: from the snapshot or a backup, with the journal over it."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from retrobus import logbook
from retrobus.backups.catalog import choose
from retrobus.backups.formats import read_backup
from retrobus.fallback.entries import Entry, journaled, tag_of
from retrobus.fallback.journal import Journal
from retrobus.fallback.memory import Effect, Held, Memory
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.snapshot import read_snapshot
from retrobus.files.folder import Refused
from retrobus.model.resources import ALL, BY_NAME, Resource
from retrobus.model.rows import completed, decode
from retrobus.store.contract import Caller, Document, Once, Terms

Rows = list[dict[str, object]]
"""Complete or partial rows, by column name."""


def fill_from_files(mirror: Mirror, folder: Path, journal: Journal, *, save: bool, load: bool) -> None:
    """The snapshot, else the backup, else nothing; with the pending journal over it."""
    if not (save and read_snapshot(folder, mirror)) and load:
        _load_backup(mirror, folder)
    for entry in journal.entries:
        with suppress(LookupError, ValueError, TypeError):  # a row of another schema: the replay makes it a conflict
            _apply_pending(mirror, entry)
    _date(mirror, journal)


def _date(mirror: Mirror, journal: Journal) -> None:
    """Dates the mirror no later than the journal.

    The journal may be an old copy over a newer snapshot: the rows that it shows may have been deleted after it.
    """
    if mirror.as_of is not None and journal.oldest is not None:
        as_of = min(mirror.as_of, datetime.fromisoformat(journal.oldest))
        mirror.describe(mirror.origin, as_of, mirror.identity)


def _load_backup(mirror: Mirror, folder: Path) -> None:
    name = None
    try:
        name = choose(folder)
        if name is None:
            return
        backup = read_backup(folder / name)
    except (OSError, ValueError, Refused) as error:
        logbook.backup_unreadable(name, str(error))
        return
    logbook.backup_loaded(name)
    memory = Memory()
    for name_of_rows, rows in backup.rows.items():
        hold_rows(memory, BY_NAME[name_of_rows], rows)
    mirror.hold(memory)
    mirror.describe(f"backup:{name}", backup.reading.timestamp, None)


def hold_rows(memory: Memory, resource: Resource, rows: Rows) -> None:
    """Puts complete or partial rows into memory, numbered where the database would number them."""
    for position, values in enumerate(rows, start=1):
        row = completed(resource, {"version": 0, **values})
        if resource.number is not None and row[resource.number] is None:
            row[resource.number] = position
        row["version"] = row["version"] or 0
        memory.of(resource).put(row[resource.key], Held(row))


def _apply_pending(mirror: Mirror, entry: Entry) -> None:
    """Shows an acknowledged write again, and answers its Idempotency-Key as before."""
    resource, memory = BY_NAME[entry.resource], mirror.store.memory
    answer = Document(b'{"ok": true}', "", entry.key)
    if entry.row is None:
        effects = [Effect(resource, entry.key, None)]
        effects += mirror.store.orphans(resource, entry.key, partial(journaled, 0, entry.sequence), entry.member)
    else:
        row = decode(resource, entry.row)
        held = Held(row, tag_of(row["version"], entry.sequence))
        # The snapshot may be of another day: no table holds one e-mail twice, so its other row goes.
        rivals = set(memory.of(resource).owners(row).values()) - {entry.key}
        effects = [*(Effect(resource, rival, None) for rival in rivals), Effect(resource, entry.key, held)]
        answer = mirror.store.document(resource, held)
    mirror.journaled(effects)
    if entry.once is not None:
        mirror.store.answers.keep(_terms(entry, entry.once), replace(answer, durability="journal"))


def _terms(entry: Entry, said: dict[str, str]) -> Terms:
    """The terms of the write, as far as its Idempotency-Key needs them."""
    once = Once(said["key"], said["method"], said["path"], bytes.fromhex(said["fingerprint"]))
    return Terms(Caller(entry.member or "", 0, ""), once=once)


def fill_from_sample(mirror: Mirror, sample: dict[str, Rows]) -> None:
    """An invented collection, for development without Postgres; its rows by name of their resource."""
    memory = Memory()
    for resource in ALL:
        hold_rows(memory, resource, sample[resource.name])
    mirror.hold(memory)
    mirror.describe("sample", datetime.now(UTC), None)
