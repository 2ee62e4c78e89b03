"""The snapshot: the mirror's rows in a file, written a moment after they change, never half, beside the requests."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrobus import logbook
from retrobus.fallback.memory import Held, Memory, refiled
from retrobus.fallback.mirror import Mirror
from retrobus.files.error_texts import told, why
from retrobus.files.folder import Refused, read_capped, set_aside, write_atomically
from retrobus.model.resources import ALL, Resource
from retrobus.model.wire import moment

NAME = "runtime-state.json"
FORMAT = "retrobus-runtime-state-1"
LARGEST = 2 << 30
"""Bytes beyond which a file is not our snapshot."""

BATCH = 20
"""Rows that are encoded before the event loop may run."""

RETRY = 1.0
"""Seconds to wait after the disk refused a snapshot, besides the usual delay."""


class SnapshotWriter:
    """Writes the snapshot `delay` seconds after the first change; later changes are in it and do not put it off."""

    def __init__(self, folder: Path, mirror: Mirror, delay: float) -> None:
        self._folder = folder
        self._mirror = mirror
        self._delay = delay
        self._disk = threading.Lock()
        self._failing = False
        self.failures = 0
        self.written_at: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the snapshot was last written by this process."""
        return None if self.written_at is None else round(time.time() - self.written_at, 1)

    async def run(self) -> None:
        """Runs for as long as the service does."""
        while True:
            await self._mirror.changed.wait()
            await asyncio.sleep(self._delay)
            self._mirror.changed.clear()
            if not await self.write():
                self._mirror.changed.set()
                await asyncio.sleep(RETRY)

    async def write(self) -> bool:
        """Writes now, in a worker thread and from a frozen copy; False if the disk did not take it.

        A mirror that never held anything writes nothing, so that it does not replace a good snapshot.
        """
        if not self._mirror.filled:
            return True
        frozen = [(resource, list(self._mirror.store.memory.of(resource))) for resource in ALL]
        about = {
            "format": FORMAT,
            "savedAt": moment(datetime.now(UTC)),
            "origin": self._mirror.origin,
            "asOf": None if self._mirror.as_of is None else moment(self._mirror.as_of),
            "identity": self._mirror.identity,
        }
        try:
            await asyncio.to_thread(self._to_disk, _chunks(about, frozen))
        except OSError as error:
            self._failed(error)
            return False
        self._failing, self.written_at = False, time.time()
        return True

    def _to_disk(self, chunks: Iterator[bytes]) -> None:
        with self._disk:  # a write that was given up goes on in its thread: it must not end after a later one
            write_atomically(self._folder, NAME, chunks)

    def _failed(self, error: OSError) -> None:
        """Counts every failure, and logs the first of a series."""
        self.failures += 1
        if not self._failing:
            logbook.snapshot_failed(why(error, self._folder / NAME), self.failures)
        self._failing = True


def _chunks(about: dict[str, Any], frozen: list[tuple[Resource, list[Held]]]) -> Iterator[bytes]:
    yield (json.dumps(about, ensure_ascii=False)[:-1] + ', "state": {').encode()
    for position, (resource, rows) in enumerate(frozen):
        yield f'{", " if position else ""}"{resource.plural}": ['.encode()
        for start in range(0, len(rows), BATCH):
            texts = [held.filed(resource) for held in rows[start : start + BATCH]]
            yield (("," if start else "") + "\n" + ",\n".join(texts)).encode()
            time.sleep(0)  # lets the event loop run: a thread gives the interpreter away by itself only after 5 ms
        yield b"]"
    yield b"}}\n"


def read_snapshot(folder: Path, mirror: Mirror) -> bool:
    """Fills the mirror from the snapshot, keeping its origin; a damaged one is set aside. False if there is none."""
    try:
        value = json.loads(read_capped(folder, NAME, LARGEST))
        memory = _memory(value)
        as_of = None if value["asOf"] is None else datetime.fromisoformat(value["asOf"])
        origin, identity = value["origin"], value["identity"]
    except FileNotFoundError:
        return False
    except (OSError, Refused) as error:
        reason = told(error, folder / NAME) if isinstance(error, OSError) else str(error)
        logbook.unreadable_set_aside(NAME, set_aside(folder, NAME), reason)
        return False
    except (ValueError, LookupError, TypeError, AttributeError):
        logbook.file_set_aside(NAME, set_aside(folder, NAME))
        return False
    mirror.hold(memory)
    mirror.describe("snapshot" if origin == "postgres" else origin, as_of, identity)
    return True


def _memory(value: dict[str, Any]) -> Memory:
    if value["format"] != FORMAT:
        raise ValueError("another format")
    memory = Memory()
    for resource in ALL:
        for encoded in value["state"][resource.plural]:
            held = refiled(resource, encoded)
            memory.of(resource).put(held.row[resource.key], held)
    return memory
