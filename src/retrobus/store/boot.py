"""What the mirror holds before the first request: Postgres if it answers, else what the toggles allow to be read."""

from datetime import UTC, datetime
from pathlib import Path

from retrobus import logbook, sample
from retrobus.backups.catalog import choose
from retrobus.backups.formats import read_backup
from retrobus.rows import completed, decode
from retrobus.store.journal import Journal
from retrobus.store.memory import Effect, Held, Memory
from retrobus.store.mirror import Mirror
from retrobus.store.snapshot import read_snapshot
from retrobus.tables import RESOURCES, event, key_column, member, number_column, vehicle

SAMPLE_ADMIN = "admin@example.org"


def fill_from_files(mirror: Mirror, folder: Path, journal: Journal, *, save: bool, load: bool) -> None:
    """The snapshot with the pending journal over it, else the backup, else nothing."""
    if save and read_snapshot(folder, mirror.hold, mirror):
        pass
    elif load:
        _load_backup(mirror, folder)
    if journal.entries:
        _apply_pending(mirror, journal)


def _load_backup(mirror: Mirror, folder: Path) -> None:
    name = choose(folder)
    if name is None:
        return
    try:
        backup = read_backup(folder / name)
    except (OSError, ValueError) as error:
        logbook.backup_unreadable(name, type(error).__name__)
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


def _apply_pending(mirror: Mirror, journal: Journal) -> None:
    if not mirror.filled:
        mirror.describe(journal.origin, None, journal.identity)
    effects = []
    for entry in journal.entries:
        table = RESOURCES[entry.resource]
        tag = f"{mirror.version}-j{entry.sequence}"
        held = None if entry.row is None else Held(decode(table, entry.row), tag)
        effects.append(Effect(table, entry.key, held))
    mirror.ahead.memory.apply(effects)
    mirror.journaled(effects)


def fill_from_sample(mirror: Mirror) -> None:
    """The invented collection with its ADMIN, for development without Postgres."""
    memory = Memory()
    hold_rows(memory, vehicle.info["resource"], sample.vehicles())
    hold_rows(memory, event.info["resource"], sample.events())
    admin: dict[str, object] = {"id": "admin", "email": SAMPLE_ADMIN, "role": "ADMIN", "membership_status": "ACTIVE"}
    hold_rows(memory, member.info["resource"], [*sample.members(), admin])
    mirror.hold(memory)
    mirror.describe("sample", datetime.now(UTC), None)
