"""The folder of backups as a running service shows it and adds to it, beside the requests."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from retrobus.backups import BadBackup, catalog
from retrobus.backups.catalog import CatalogEntry
from retrobus.backups.create import RUNNING
from retrobus.backups.holders import Holders, holders
from retrobus.backups.manifest import DATA
from retrobus.backups.program import Failed, run
from retrobus.backups.turn import take_turn
from retrobus.database.errors import CannotConnect
from retrobus.database.session import connect_for_command
from retrobus.files.error_texts import told
from retrobus.model.resources import Resource
from retrobus.store.access import prove
from retrobus.store.attempts import Attempts
from retrobus.store.contract import Caller

TIMEOUT = 10.0
"""Seconds that the connection of a backup may take to open."""

NOTE = "demandé par l’API"
T = TypeVar("T")
Listed = dict[str, Any]


class BackupInProgress(Exception):
    """Another backup, or a restore, is under way, of this process or of another one; the text is a sentence."""


class Shelf:
    """The backups of one folder. What reads the index raises BadBackup if it cannot be read."""

    def __init__(self, folder: Path, url: str, attempts: Attempts) -> None:
        self._folder = folder
        self._url = url
        self._attempts = attempts
        self._turn = asyncio.Lock()
        self._making = False

    async def holding(self, resource: Resource, key: str) -> Holders:
        """The backups that hold this row. They are read in a thread, one search after the other."""
        async with self._turn:
            return await self._look(lambda: holders(self._folder, resource, key))

    async def listed(self) -> list[Listed]:
        """Every backup, the newest first, from the index and the manifests."""
        return await self._look(lambda: _listed(self._folder))

    async def _look(self, reading: Callable[[], T]) -> T:
        """What a thread reads from the folder; BadBackup for any error of a file."""
        try:
            return await asyncio.to_thread(reading)
        except OSError as error:
            raise BadBackup(f"{told(error, self._folder)}.") from error

    async def make(self, caller: Caller) -> Listed:
        """Makes a backup and verifies it, each in a process of its own; `trouble` is what failed after it was made.

        BackupInProgress if one is under way; Failed, with the cause, if none was made; Unavailable without PostgreSQL.
        """
        if self._making:
            raise BackupInProgress("Un backup est déjà en cours : attendez sa fin.")
        self._making = True
        try:
            return await self._made(caller)
        finally:
            self._making = False

    async def _made(self, caller: Caller) -> Listed:
        await self._attempts.run(lambda connection: prove(connection, caller))
        try:
            connection = await connect_for_command(self._url, TIMEOUT, "retrobus backup")
        except CannotConnect:
            raise self._attempts.away() from None
        try:
            if not await take_turn(connection):
                raise BackupInProgress("Un autre service fait un backup de cette base : attendez sa fin.")
            return await self._run(caller)
        finally:
            connection.terminate()

    async def _run(self, caller: Caller) -> Listed:
        try:
            said = json.loads(await run(self._folder, self._url, "backup", "create", "--note", NOTE, "--json"))
        except Failed as error:
            if RUNNING in str(error):
                raise BackupInProgress(str(error)) from None
            await self._attempts.run(lambda connection: prove(connection, caller))  # away is told as such
            raise
        trouble = said["trouble"]
        try:
            await run(self._folder, self._url, "backup", "verify", said["name"])
        except Failed as error:
            trouble = f"sa vérification échoue : {error}"
        [found] = [one for one in await self.listed() if one["name"] == said["name"]]
        return found | {"trouble": trouble}


def _listed(folder: Path) -> list[Listed]:
    selected = catalog.selection(folder)
    chosen = None if selected is None else selected.name
    return [_described(folder, entry) | {"selected": entry.name == chosen} for entry in catalog.entries(folder)]


def _described(folder: Path, entry: CatalogEntry) -> Listed:
    return {
        "name": entry.name,
        "timestamp": entry.timestamp,
        "kind": entry.kind,
        "note": entry.note,
        "rows": entry.rows,
        "deletions": entry.deletions,
        "size": _size(folder / entry.name),
        "present": entry.present,
        "verifiedAt": entry.verified,
        "restore": f"retrobus restore {entry.name}",
    }


def _size(path: Path) -> int | None:
    """Bytes of the data of a backup, a folder or a lone file; None if that cannot be seen."""
    try:
        return (path / DATA if path.is_dir() else path).stat().st_size
    except OSError:
        return None
