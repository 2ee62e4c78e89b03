"""The backups of the folder as a running service shows them: it reads files beside the requests, one look at a time."""

import asyncio
from pathlib import Path

from retrobus.backups.holders import Holders, holders
from retrobus.model.resources import Resource


class Shelf:
    """The folder of backups; every method raises BadBackup if the index cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()

    async def holding(self, resource: Resource, key: str) -> Holders:
        """The backups that hold this row. They are read in a thread, one search after the other."""
        async with self._turn:
            return await asyncio.to_thread(holders, self._folder, resource, key)
