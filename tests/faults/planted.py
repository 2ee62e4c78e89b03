"""The predecessor's bugs, planted into our own classes: what the checkers of the ghosts must be able to catch."""

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from retrobus.backups.catalog import choose
from retrobus.backups.formats import read_backup
from retrobus.development import sample
from retrobus.fallback import opening, snapshot
from retrobus.fallback.boot import fill_from_files, hold_rows
from retrobus.fallback.entries import Entry
from retrobus.fallback.follower import Follower
from retrobus.fallback.journal import Journal
from retrobus.fallback.memory import Memory
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore
from retrobus.fallback.snapshot import SnapshotWriter, read_snapshot
from retrobus.model.resources import BY_NAME, VEHICLE, Resource
from retrobus.store.contract import (
    Page,
    Query,
)
from retrobus.store.errors import StoreError

Plant = Callable[[pytest.MonkeyPatch, Path], None]


def forgotten(operation: str) -> Plant:
    """Writes of this kind are acknowledged from memory and never journaled."""

    class Forgetful(MirroredStore):
        async def _append(self, entry: Entry) -> None:
            if entry.operation != operation:
                await super()._append(entry)

    return lambda patch, _: patch.setattr(opening, "MirroredStore", Forgetful)


def error_taken_for_empty(patch: pytest.MonkeyPatch, _: Path) -> None:
    """Whatever goes wrong in reading a list, the list is empty."""

    class Careless(MirroredStore):
        async def find(self, resource: Resource, query: Query, **who: Any) -> Page:
            try:
                return await super().find(resource, query, **who)
            except StoreError:
                return Page([], None)

    patch.setattr(opening, "MirroredStore", Careless)


def snapshot_preferred(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """What was saved when the service ended is served when it starts, whatever Postgres says."""

    class Nostalgic(MirroredStore):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            read_snapshot(folder, self.mirror)

        @property
        def from_memory(self) -> bool:
            return self.mirror.origin == "snapshot"

    class Content(Follower):
        async def run(self) -> None:
            self._tried.set()
            if not read_snapshot(folder, Mirror()):
                await super().run()

    patch.setattr(opening, "MirroredStore", Nostalgic)
    patch.setattr(opening, "Follower", Content)


def backup_merged(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Rows of the newest backup that Postgres does not have are added to the mirror."""

    class Merging(Mirror):
        def hold(self, memory: Memory) -> None:
            name = choose(folder)
            assert name is not None
            for resource, rows in read_backup(folder / name).rows.items():
                add_missing(memory, BY_NAME[resource], rows)
            super().hold(memory)

    patch.setattr(opening, "Mirror", Merging)


def add_missing(memory: Memory, resource: Resource, rows: Iterable[dict[str, Any]]) -> None:
    """Merges rows whose keys are not there."""
    missing = [row for row in rows if memory.of(resource).get(row[resource.key]) is None]
    hold_rows(memory, resource, missing)


def half_written(patch: pytest.MonkeyPatch, _: Path) -> None:
    """The file is overwritten in place."""

    def overwrite(folder: Path, name: str, chunks: Iterable[bytes]) -> None:
        with (folder / name).open("wb") as file:
            file.writelines(chunks)

    patch.setattr(snapshot, "write_atomically", overwrite)


def starving(patch: pytest.MonkeyPatch, _: Path) -> None:
    """Each change starts the debounce again."""

    class Starving(SnapshotWriter):
        async def run(self) -> None:
            changed = self._mirror.changed
            while True:
                await changed.wait()
                while changed.is_set():
                    changed.clear()
                    await asyncio.wait([asyncio.ensure_future(changed.wait())], timeout=self._delay)
                await self.write()

    patch.setattr(opening, "SnapshotWriter", Starving)


def defaults_merged(patch: pytest.MonkeyPatch, _: Path) -> None:
    """The sample collection is added at each start to whatever is there."""

    def fill(mirror: Mirror, folder: Path, journal: Journal, **allowed: bool) -> None:
        fill_from_files(mirror, folder, journal, **allowed)
        if mirror.filled:
            add_missing(mirror.store.memory, VEHICLE, sample.vehicles())

    patch.setattr(opening, "fill_from_files", fill)


def whole(path: Path) -> bool:
    """Whether a file holds a whole JSON document."""
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
