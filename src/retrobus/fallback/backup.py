"""A backup while Postgres is away: from the snapshot and the journal over it, and marked as such."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from retrobus.backups import BadBackup
from retrobus.backups.create import About, alone, put, written_as
from retrobus.backups.manifest import Manifest
from retrobus.fallback.boot import fill_from_files
from retrobus.fallback.journal import read_journal
from retrobus.fallback.memory import Memory
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.snapshot import NAME, read_snapshot
from retrobus.model.columns import is_derived
from retrobus.model.names import camel
from retrobus.model.resources import ALL, Resource
from retrobus.model.tables import REVISION, deletion
from retrobus.model.wire import moment

NOTE = "sans PostgreSQL, de l'instantané et du journal"


async def create_from_snapshot(folder: Path, note: str | None = None) -> Manifest:
    """What the service last knew, acknowledged writes included; its manifest says where it comes from."""
    with alone(folder):
        mirror = Mirror()
        if not read_snapshot(folder, mirror):
            raise BadBackup(f"{folder / NAME} manque, ou est endommagé : rien à sauvegarder sans PostgreSQL.")
        journal = read_journal(folder, max_age=float("inf"))  # read after the snapshot: it may only be newer
        fill_from_files(mirror, folder, journal, save=False, load=False)
        position = {
            "source": NAME,
            "origin": mirror.origin,
            "asOf": None if mirror.as_of is None else moment(mirror.as_of),
            "journalEntries": len(journal),
            "journalRefusal": journal.refusal,
        }
        said = NOTE if note is None else f"{note} ({NOTE})"
        about = About("normal", said, REVISION, mirror.identity, position)
        return await put(_MirroredRows(mirror.store.memory), folder, about)


class _MirroredRows:
    """The rows of a filled mirror, as the source of a backup; a mirror knows of no tombstones."""

    def __init__(self, memory: Memory) -> None:
        self._rows = {resource.table.name: _sorted(memory, resource) for resource in ALL} | {deletion.name: []}

    async def count(self, table: Table) -> int:
        return len(self._rows[table.name])

    async def rows(self, name: str, table: Table) -> AsyncIterator[str]:  # noqa: ARG002 - as the database does it
        facts = [column for column in table.columns if not is_derived(column)]
        for row in self._rows[table.name]:
            yield "{" + ",".join(_member(column, row[column.name]) for column in facts) + "}"


def _sorted(memory: Memory, resource: Resource) -> list[dict[str, Any]]:
    return sorted((held.row for held in memory.of(resource)), key=lambda row: str(row[resource.key]))


def _member(column: Any, value: Any) -> str:
    return f'"{camel(column.name)}":' + ("null" if value is None else written_as(column).python(value))
