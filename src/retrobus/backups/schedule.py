"""Automatic backups at fixed times of day: made, verified and thinned out by one service at a time.

Each step runs in a process of its own, so that requests do not wait for it.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from retrobus import logbook
from retrobus.backups import BadBackup, catalog, create, removal
from retrobus.backups.program import Failed, run
from retrobus.backups.turn import take_turn
from retrobus.database.pooler import OwnNames
from retrobus.database.session import connect_for_command
from retrobus.files.error_texts import why
from retrobus.model.quantities import moment_of

ENDLESS = "un autre service garde son tour : SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory'"

PATIENCE = timedelta(hours=1)
"""How long a service waits for another one before it counts its own backup as failed: no backup takes so long."""

RETRY = 1.0
"""Seconds between two attempts to take the lock."""

NOTE = "automatique"
NAP = 30.0
"""Seconds after which the clock is read again: an operator may set it, and the machine may have slept."""


def local_now() -> datetime:
    """The present instant on the clock of this machine."""
    return datetime.now().astimezone()


def next_time(times: tuple[str, ...], after: datetime) -> datetime:
    """The first of these local times of day that comes after an instant."""
    days = [after.astimezone().date() + timedelta(days=days) for days in range(3)]
    found = [datetime.combine(day, time.fromisoformat(text)).astimezone() for day in days for text in times]
    return min(moment for moment in found if moment > after)


@dataclass(slots=True)
class Schedule:
    """The times of day, which backups are kept and for how long, and what the last backups came to."""

    times: tuple[str, ...]
    keep: int
    safety_days: int
    folder: Path
    url: str
    clock: Callable[[], datetime] = local_now
    patience: timedelta = PATIENCE
    failures: int = 0
    made: datetime | None = None
    verified: datetime | None = None

    @property
    def age(self) -> float:
        """Seconds since the newest ordinary backup; infinite without one."""
        return _age(self.made)

    @property
    def verified_age(self) -> float:
        """Seconds since the newest backup that was read back whole."""
        return _age(self.verified)

    async def run(self) -> None:
        """Makes backups for as long as the service runs."""
        await self._guarded(self.look_back())
        while True:
            due = next_time(self.times, self.clock())
            while (left := (due - self.clock()).total_seconds()) > 0:  # noqa: ASYNC110 - a wall clock has no event
                await asyncio.sleep(min(left, NAP))
            await self._guarded(self.turn(due))

    async def _guarded(self, work: Any) -> None:
        """Runs one step; logs and counts its failure, so that the schedule goes on."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - no failure ends the schedule
            self.failures += 1
            logbook.backup_failed(self._reason(error))

    def _reason(self, error: Exception) -> str:
        return str(error) if isinstance(error, Failed | BadBackup) else why(error, self.folder)

    async def look_back(self) -> None:
        """Verifies the newest ordinary backup, so that its age is known from the start of the service.

        Before that, backups that were removed by hand leave the index.
        """
        await self._heal()
        newest = self._newest()
        if newest is None:
            return
        name, self.made = newest
        await run(self.folder, self.url, "backup", "verify", name)
        self.verified = self.made

    async def _heal(self) -> None:
        """Takes backups that were removed by hand off the index, and names them in the log."""
        healed = await asyncio.to_thread(catalog.heal, self.folder)
        if healed:
            logbook.backup_index_healed(", ".join(healed))

    async def turn(self, due: datetime) -> None:
        """Makes the backup of this time unless another service did; verifies it before older ones are deleted."""
        async with self._alone():
            await self._heal()  # before the program of the backup does it, whose remarks the log does not have
            newest = self._newest()
            if newest is None or newest[1] < due:
                said = await run(self.folder, self.url, "backup", "create", "--note", NOTE, "--json")
                logbook.backup_made(json.loads(said)["name"])
            await self.look_back()
        try:
            gone = await asyncio.to_thread(self._thin)
            if gone:
                logbook.backups_removed(", ".join(gone))
        except Exception as error:  # noqa: BLE001 - the new backup is made and verified: this is a remark, no failure
            logbook.backups_not_thinned(self._reason(error))

    def _newest(self) -> tuple[str, datetime] | None:
        """The newest ordinary backup that has a date: one without was made by hand or by the predecessor."""
        for entry in catalog.entries(self.folder):
            if entry.present and entry.kind == "normal":
                with suppress(ValueError):
                    return entry.name, moment_of(entry.timestamp)
        return None

    def _thin(self) -> list[str]:
        with create.alone(self.folder):
            gone = [entry.name for entry in removal.surplus(self.folder, self.keep, self.safety_days)]
            if gone:
                removal.delete(self.folder, gone)
            return gone

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        connection = await connect_for_command(self.url, 10, "retrobus backup")
        try:
            await self._take_turn(connection)
            yield
        finally:
            connection.terminate()

    async def _take_turn(self, connection: OwnNames) -> None:
        """Takes the lock for as long as the connection lives; tells the operator when another service has it."""
        clock = asyncio.get_running_loop().time
        until = clock() + self.patience.total_seconds()
        told = False
        while True:
            if await take_turn(connection):
                return
            if not told:
                logbook.backup_waits()
                told = True
            if clock() > until:
                raise Failed(ENDLESS)
            await asyncio.sleep(RETRY)


def _age(at: datetime | None) -> float:
    return math.inf if at is None else round((datetime.now(UTC) - at).total_seconds(), 1)
