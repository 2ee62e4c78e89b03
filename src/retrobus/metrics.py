"""What the service counts, for Prometheus."""

from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.database_up = Gauge("retrobus_database_up", "1 while PostgreSQL answers.", registry=self.registry)
        self.database_changes = Counter(
            "retrobus_database_changes_total",
            "Times PostgreSQL was lost or found.",
            ["to"],
            registry=self.registry,
        )
        self.pool = Gauge("retrobus_pool_connections", "Connections to PostgreSQL.", ["state"], registry=self.registry)
        self.journal_entries = Gauge(
            "retrobus_journal_entries",
            "Writes acknowledged from memory, not yet in PostgreSQL.",
            registry=self.registry,
        )
        self.replay_conflicts = Gauge(
            "retrobus_replay_conflicts", "Journal entries set aside as conflicts since start.", registry=self.registry
        )
        self.from_memory = Gauge("retrobus_from_memory", "1 while memory answers.", registry=self.registry)
        self.snapshot_errors = Gauge("retrobus_snapshot_errors", "Snapshots not written.", registry=self.registry)
        self.snapshot_age = Gauge("retrobus_snapshot_age_seconds", "Age of the snapshot.", registry=self.registry)
        self.backup_age = Gauge(
            "retrobus_last_backup_age_seconds", "Age of the newest backup (BACKUP_SCHEDULE).", registry=self.registry
        )
        self.verified_backup_age = Gauge(
            "retrobus_last_verified_backup_age_seconds",
            "Age of the newest backup that was read back whole (BACKUP_SCHEDULE).",
            registry=self.registry,
        )
        self.backup_failures = Gauge(
            "retrobus_backup_failures", "Automatic backups that did not go well.", registry=self.registry
        )
        for age in (self.backup_age, self.verified_backup_age):
            age.set(nan)  # unknown without a schedule, not zero
        self.logins = Counter("retrobus_logins_total", "Logins tried.", ["result"], registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request under its route's template, never under its path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def refused(self, code: str) -> None:
        """Counts one 503."""
        self._unavailable.labels(code).inc()

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self.registry)
