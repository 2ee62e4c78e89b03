"""What the service counts, for Prometheus; several processes of one service give one truth.

With `PROMETHEUS_MULTIPROC_DIR` in the environment (`retrobus serve --workers` sets it) the library keeps the figures in
files of that folder, and the process that answers /metrics adds those of all.
"""

import os
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class AnswerFigures:
    """The figures of answers. It keeps the pair of each kind of answer, because the library looks them up slowly."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "retrobus_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "retrobus_request_seconds", "Time to answer.", ["method", "route"], buckets=BUCKETS, registry=registry
        )
        self._kinds: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answer; the values of all three are few, whatever clients send."""
        known = self._kinds.get((method, route, status))
        if known is None:
            known = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            self._kinds[method, route, status] = known
        known[0].inc()
        known[1].observe(seconds)


class Metrics:
    """One registry for one application: two applications in a process do not mix their figures.

    A gauge of several processes is their total, the lowest, the highest, or the latest that one of them set; processes
    that ended do not count.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        total, lowest, highest, latest = (
            partial(gauge, multiprocess_mode=f"live{mode}") for mode in ("sum", "min", "max", "mostrecent")
        )

        self._answers = AnswerFigures(self.registry)
        self._unavailable = count("retrobus_unavailable_total", "Answers 503, by error code.", ["code"])
        self.logins = count("retrobus_logins_total", "Logins tried.", ["result"])

        self.database_up = lowest("retrobus_database_up", "1 while PostgreSQL answers.")
        self.database_changes = count("retrobus_database_changes_total", "Times PostgreSQL was lost or found.", ["to"])
        self.database_writable = lowest("retrobus_database_writable", "1 while the present server takes writes.")
        self.timeline = highest(
            "retrobus_database_timeline", "Timeline of the present server: higher after a failover."
        )
        self.lost_writes = total(
            "retrobus_failover_lost_writes",
            "Acknowledged writes that failovers of PostgreSQL lost since start, of the last ones that were looked for.",
        )
        self.pool = total("retrobus_pool_connections", "Connections to PostgreSQL.", ["state"])
        self.commits_waiting = total(
            "retrobus_commits_waiting", "COMMITs that wait for a second and longer, as for a synchronous standby."
        )
        self.commits_unconfirmed = total(
            "retrobus_commits_unconfirmed", "COMMITs that a synchronous standby did not confirm, since start."
        )

        self.followers, self.feed_lag = total("retrobus_followers", "Open streams of changes."), _lag(self.registry)

        self.journal_entries = latest(
            "retrobus_journal_entries", "Writes acknowledged from memory, not yet in PostgreSQL."
        )
        self.replay_conflicts = latest(
            "retrobus_replay_conflicts", "Journal entries set aside as conflicts since start."
        )
        self.from_memory = latest("retrobus_from_memory", "1 while memory answers.")
        self.snapshot_errors = latest("retrobus_snapshot_errors", "Snapshots not written.")
        self.snapshot_age = latest("retrobus_snapshot_age_seconds", "Age of the snapshot.")

        self.backup_age = latest("retrobus_last_backup_age_seconds", "Age of the newest backup (BACKUP_SCHEDULE).")
        self.verified_backup_age = latest(
            "retrobus_last_verified_backup_age_seconds",
            "Age of the newest backup that was read back whole (BACKUP_SCHEDULE).",
        )
        self.backup_failures = latest("retrobus_backup_failures", "Automatic backups that did not go well.")

        self.background_failures = count(
            "retrobus_background_failures_total", "Background tasks that ended and were started again.", ["task"]
        )
        self.worker_deaths = count(
            "retrobus_worker_deaths_total", "Processes of serve --workers that died and were replaced."
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request under its route's template, never under its path."""
        self._answers.count(method, route, status, seconds)

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


def _lag(registry: CollectorRegistry) -> Histogram:
    told = "Time from noticing a change until an open stream was given it."
    return Histogram("retrobus_feed_lag_seconds", told, buckets=BUCKETS, registry=registry)


def _forget_the_dead(folder: Path) -> None:
    """Takes out the states of processes that have ended: their connections are closed. What they counted stays."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped
