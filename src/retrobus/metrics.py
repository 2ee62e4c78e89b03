"""What the service counts, for Prometheus; several processes of one service give one truth.

With `PROMETHEUS_MULTIPROC_DIR` in the environment (`retrobus serve --workers` sets it) the library keeps the figures in
files of that folder, and the process that answers /metrics adds those of all.
"""

import os
from math import nan
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One registry for one application: two applications in a process do not mix their figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "retrobus_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "retrobus_request_seconds",
            "Time to answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._unavailable = Counter(
            "retrobus_unavailable_total", "Answers 503, by error code.", ["code"], registry=self.registry
        )
        self.database_up = Gauge(
            "retrobus_database_up", "1 while PostgreSQL answers.", registry=self.registry, multiprocess_mode="livemin"
        )
        self.database_changes = Counter(
            "retrobus_database_changes_total",
            "Times PostgreSQL was lost or found.",
            ["to"],
            registry=self.registry,
        )
        self.database_writable = Gauge(
            "retrobus_database_writable",
            "1 while the present server takes writes.",
            registry=self.registry,
            multiprocess_mode="livemin",
        )
        self.lost_writes = Gauge(
            "retrobus_failover_lost_writes",
            "Acknowledged writes that failovers of PostgreSQL lost since start, of the last ones that were looked for.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.timeline = Gauge(
            "retrobus_database_timeline",
            "Timeline of the present server: higher after a failover.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.pool = Gauge(
            "retrobus_pool_connections",
            "Connections to PostgreSQL.",
            ["state"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.commits_waiting = Gauge(
            "retrobus_commits_waiting",
            "COMMITs that wait for a second and longer, as for a synchronous standby.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.commits_unconfirmed = Gauge(
            "retrobus_commits_unconfirmed",
            "COMMITs that a synchronous standby did not confirm, since start.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.journal_entries = Gauge(
            "retrobus_journal_entries",
            "Writes acknowledged from memory, not yet in PostgreSQL.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.replay_conflicts = Gauge(
            "retrobus_replay_conflicts",
            "Journal entries set aside as conflicts since start.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.from_memory = Gauge(
            "retrobus_from_memory",
            "1 while memory answers.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.snapshot_errors = Gauge(
            "retrobus_snapshot_errors",
            "Snapshots not written.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.snapshot_age = Gauge(
            "retrobus_snapshot_age_seconds",
            "Age of the snapshot.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.backup_age = Gauge(
            "retrobus_last_backup_age_seconds",
            "Age of the newest backup (BACKUP_SCHEDULE).",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.verified_backup_age = Gauge(
            "retrobus_last_verified_backup_age_seconds",
            "Age of the newest backup that was read back whole (BACKUP_SCHEDULE).",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.backup_failures = Gauge(
            "retrobus_backup_failures",
            "Automatic backups that did not go well.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        for age in (self.backup_age, self.verified_backup_age):
            age.set(nan)  # unknown without a schedule, not zero
        self.background_failures = Counter(
            "retrobus_background_failures_total",
            "Background tasks that ended and were started again.",
            ["task"],
            registry=self.registry,
        )
        self.worker_deaths = Counter(
            "retrobus_worker_deaths_total",
            "Processes of serve --workers that died and were replaced.",
            registry=self.registry,
        )
        self.logins = Counter("retrobus_logins_total", "Logins tried.", ["result"], registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request under its route's template, never under its path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def refused(self, code: str) -> None:
        """Counts one 503."""
        self._unavailable.labels(code).inc()

    @property
    def shared(self) -> bool:
        """Whether other processes of this service count too."""
        return FOLDER in os.environ

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        if not self.shared:
            return generate_latest(self.registry)
        _forget_the_dead(Path(os.environ[FOLDER]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
        return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    """Takes out the states of processes that have ended: their connections are closed. What they counted stays."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped
