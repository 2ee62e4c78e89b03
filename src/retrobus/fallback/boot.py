"""What the mirror holds before the first request: Postgres if it answers, else what the toggles allow to be read."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Table

from retrobus import logbook
from retrobus.backups.catalog import choose
from retrobus.backups.formats import read_backup
from retrobus.development import sample
from retrobus.fallback.journal import Entry, Journal
from retrobus.fallback.lane import journaled_tag
from retrobus.fallback.memory import Effect, Held, Memory
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.snapshot import read_snapshot
from retrobus.files.folder import Refused
from retrobus.model.rows import completed, decode, unique_columns
from retrobus.model.tables import RESOURCES, event, key_column, member, number_column, vehicle
from retrobus.store.contract import Caller, Document, Once

SAMPLE_ADMIN = "admin@example.org"


def fill_from_files(mirror: Mirror, folder: Path, journal: Journal, *, save: bool, load: bool) -> None:
    """The snapshot, else the backup, else nothing; with the pending journal over it."""
    if not (save and read_snapshot(folder, mirror)) and load:
        _load_backup(mirror, folder)
    for entry in journal.entries:
        with suppress(LookupError, ValueError, TypeError):  # a row of another schema: the replay makes it a conflict
            _apply_pending(mirror, entry)
    _date(mirror, journal)


def _date(mirror: Mirror, journal: Journal) -> None:
    """No later than the journal, which may be an old copy over a newer picture: what it shows may have gone since."""
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
    for resource, rows in backup.rows.items():
        hold_rows(memory, resource, rows)
    mirror.hold(memory)
    mirror.describe(f"backup:{name}", backup.timestamp, None)


def hold_rows(memory: Memory, resource: str, rows: list[dict[str, object]]) -> None:
    """Puts complete or partial rows into memory, numbered where the database would number them."""
    table = RESOURCES[resource]
    number = number_column(table)
    for position, values in enumerate(rows, start=1):
        row = completed(table, {"version": 0, **values})
        if number is not None and row[number.name] is None:
            row[number.name] = position
        row["version"] = row["version"] or 0
        memory.of(table).put(row[key_column(table).name], Held(row))


def _apply_pending(mirror: Mirror, entry: Entry) -> None:
    """Shows an acknowledged write again, and answers its Idempotency-Key as before."""
    table = RESOURCES[entry.resource]
    held, answer = None, Document('{"ok": true}', "", entry.key)
    if entry.row is not None:
        row = decode(table, entry.row)
        held = Held(row, journaled_tag(row["version"], entry.sequence))
        answer = mirror.ahead.document(table, held)
    changed = _orphans(mirror, table, entry) if held is None else _displaced(mirror, table, entry.key, held)
    effects = [*changed, Effect(table, entry.key, held)]
    mirror.ahead.memory.apply(effects)
    mirror.journaled(effects)
    if entry.once is not None:
        said = entry.once
        once = Once(said["key"], said["method"], said["path"], bytes.fromhex(said["fingerprint"]))
        caller = Caller(entry.member or "", 0, "")
        mirror.store.answers.keep(caller, once, replace(answer, durability="journal"))


def _displaced(mirror: Mirror, table: Table, key: str, held: Held) -> list[Effect]:
    """Rows of a picture of another day that hold what this write gave to its row: no table has both."""
    rows, values = mirror.ahead.memory.of(table), held.row
    owners = {rows.owner(name, values[name]) for name, _ in unique_columns(table) if values[name] is not None}
    return [Effect(table, owner, None) for owner in owners if owner not in {None, key}]


def _orphans(mirror: Mirror, table: Table, entry: Entry) -> list[Effect]:
    def tag(before: Held | None) -> tuple[int, str]:
        version = 0 if before is None else before.row["version"]
        return version, journaled_tag(version, entry.sequence)

    return list(mirror.ahead.orphans(table, entry.key, tag))


def fill_from_sample(mirror: Mirror) -> None:
    """The invented collection with its ADMIN, for development without Postgres."""
    memory = Memory()
    hold_rows(memory, vehicle.info["resource"], sample.vehicles())
    hold_rows(memory, event.info["resource"], sample.events())
    admin: dict[str, object] = {"id": "admin", "email": SAMPLE_ADMIN, "role": "ADMIN", "membership_status": "ACTIVE"}
    hold_rows(memory, member.info["resource"], [*sample.members(), admin])
    mirror.hold(memory)
    mirror.describe("sample", datetime.now(UTC), None)
