"""What /ready and /metrics tell of the service: mode, origin, age, journal, conflicts and snapshot, as they are."""

import asyncio
from dataclasses import dataclass
from math import nan
from typing import Any

from retrobus.backups.schedule import Schedule
from retrobus.metrics import Metrics
from retrobus.toggles import OpenStore

MEASURED_EVERY = 5.0
"""Seconds between two looks of a process at its own states, when there are several."""


@dataclass(slots=True)
class Readiness:
    """The states of one running service; `expected` is the revision that its code needs."""

    opened: OpenStore
    schedule: Schedule | None
    metrics: Metrics
    toggles: dict[str, bool]
    expected: str
    stopping: bool = False
    """Whether SIGTERM came: from then on the service is not ready, so that load balancers leave it."""

    async def status(self) -> dict[str, Any]:
        """The same keys in every mode; `ready` says whether requests are answered."""
        opened, found = self.opened, await self.opened.diagnose()
        mirrored, snapshot = opened.mirrored, opened.snapshot
        ready = found.up and found.suits(self.expected) and found.durability.get("reason") is None
        if mirrored is not None and mirrored.from_memory:
            ready = mirrored.can_answer and not opened.availability.misplaced
        return {
            "ready": ready and not self.stopping,
            "database": "up" if found.up else "down",
            "reason": found.reason,
            "mode": opened.mode,
            "toggles": self.toggles,
            "revision": {"found": found.schema.current, "expected": self.expected},
            "missingRights": list(found.missing_rights),
            "durability": found.durability,
            "failover": _failover(opened),
            "journal": _journal(opened),
            "conflicts": found.conflicts,
            "snapshot": {
                "age": None if snapshot is None else snapshot.age,
                "errors": 0 if snapshot is None else snapshot.failures,
            },
            "mirror": _mirror(opened),
        }

    def measure(self) -> None:
        """Sets the figures that are states, not events."""
        opened, metrics, server = self.opened, self.metrics, self.opened.servers.current
        metrics.database_writable.set(opened.availability.up and server is not None and server.writable)
        metrics.timeline.set(0 if server is None else server.timeline)
        metrics.lost_writes.set(opened.servers.lost)
        metrics.pool.labels("in_use").set(opened.availability.pool.in_use)
        metrics.pool.labels("idle").set(opened.availability.pool.idle)
        metrics.commits_waiting.set(opened.commits.waiting)
        metrics.commits_unconfirmed.set(opened.commits.unconfirmed)
        if opened.mirrored is not None:
            metrics.journal_entries.set(len(opened.mirrored.journal))
            metrics.replay_conflicts.set(opened.mirrored.settling.conflicts)
            metrics.from_memory.set(opened.mirrored.from_memory)
        if opened.snapshot is not None:
            metrics.snapshot_errors.set(opened.snapshot.failures)
            metrics.snapshot_age.set(opened.snapshot.age or 0)
        # Without a schedule the age of a backup is unknown, not zero.
        metrics.backup_age.set(nan if self.schedule is None else self.schedule.age)
        metrics.verified_backup_age.set(nan if self.schedule is None else self.schedule.verified_age)
        metrics.backup_failures.set(0 if self.schedule is None else self.schedule.failures)

    async def measure_often(self) -> None:
        """Runs for as long as the service does, for the process of several that answers /metrics."""
        while True:
            self.measure()
            await asyncio.sleep(MEASURED_EVERY)


def _journal(opened: OpenStore) -> dict[str, Any]:
    if opened.mirrored is None:
        return {"entries": 0, "oldest": None, "waiting": None}
    journal, waiting = opened.mirrored.journal, opened.mirrored.settling.waiting
    if opened.mirrored.settling.pending and not opened.availability.up:
        waiting = opened.availability.reason
    return {"entries": len(journal), "oldest": journal.oldest, "waiting": waiting}


def _failover(opened: OpenStore) -> dict[str, Any] | None:
    """The last change of primary since the start, and how many acknowledged writes it is known to have lost."""
    found = opened.servers.failover
    if found is None:
        return None
    return {"timeline": found.timeline, "lost": len(found.lost), "checked": found.checked}


def _mirror(opened: OpenStore) -> dict[str, Any] | None:
    if opened.mirrored is None:
        return None
    told = opened.mirrored.mirror.store.origin
    return {"answers": opened.mirrored.from_memory, "origin": told.origin, "asOf": told.as_of}
