"""What a running service tells managers of itself: the checklist, what the tables hold, and the newest backup."""

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup, catalog
from retrobus.changes.latest import latest
from retrobus.checklist.folder import FolderUse, file_items
from retrobus.checklist.judging import Item, judged
from retrobus.checklist.server import Way, facts_of_server, rules_for
from retrobus.model.resources import ALL
from retrobus.store.access import prove
from retrobus.store.attempts import Attempts
from retrobus.store.contract import Caller
from retrobus.store.errors import StoreError, Unauthenticated
from retrobus.store.pool import Connection

CHANGES = 20
"""Last changes that are told."""

TABLES = {resource.plural: resource.table.name for resource in ALL} | {"deletions": "deletion"}
COUNTS = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table}) AS {name}" for name, table in TABLES.items())  # noqa: S608 - names of the model
Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overview:
    """Promise: answers also while PostgreSQL is away or the folder is unreadable, and says which of the two it is."""

    attempts: Attempts
    way: Way
    folder: FolderUse
    schedule: tuple[str, ...]
    """BACKUP_SCHEDULE."""

    async def ask(self, caller: Caller) -> Told:
        """The points of the checklist, counts and last changes (null while PostgreSQL is away), and the backups."""
        database, items = await self._database(caller)
        backups, more = await asyncio.to_thread(self._files)
        return database | {"backups": backups, "checks": [asdict(item) for item in (*items, *more)]}

    async def _database(self, caller: Caller) -> tuple[Told, list[Item]]:
        try:
            return await self.attempts.run(lambda connection: self._look(connection, caller))
        except Unauthenticated:
            raise
        except StoreError:  # away, busy, or without our tables: /ready says which
            return {"counts": None, "changes": None, "cursor": None}, []

    async def _look(self, connection: Connection, caller: Caller) -> tuple[Told, list[Item]]:
        await prove(connection, caller)
        facts = await facts_of_server(connection, self.way)
        items = list(judged(rules_for(facts), facts))
        counts = dict(await connection.fetchrow(COUNTS) or {})
        last = await latest(connection, tuple(resource.name for resource in ALL), CHANGES)
        changes = [json.loads(item) for item in last.items]
        return {"counts": counts, "changes": changes, "cursor": last.cursor}, items

    def _files(self) -> tuple[Told, list[Item]]:
        return {"schedule": list(self.schedule), **_newest(self.folder.path)}, list(file_items(self.folder, read=False))


def _newest(folder: Path) -> Told:
    """How many backups there are, and the newest ordinary one; both null if the index cannot be read."""
    try:
        found = [entry for entry in catalog.entries(folder) if entry.present]
    except (BadBackup, OSError):
        return {"count": None, "newest": None}
    newest = next((entry for entry in found if entry.kind == "normal"), None)
    said = newest and {"name": newest.name, "timestamp": newest.timestamp, "verifiedAt": newest.verified}
    return {"count": len(found), "newest": said}
