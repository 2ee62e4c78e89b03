"""Every fault of the matrix, in the order of the table."""

from proving import disks, of_clock, of_disk, of_line, of_postgres, of_service
from proving.fault import Fault
from proving.of_clock import HOURS

PATIENT = {"DATABASE_TIMEOUT": "6"}
HASTY = {"DATABASE_TIMEOUT": "0.5"}
SMALL_POOL = {"DATABASE_POOL_SIZE": "4"}

FAULTS = {
    "kill": Fault("kill -9 of Postgres, 3 s", of_postgres.killed),
    "backend": Fault("kill -9 of one backend, three times", of_postgres.one_backend_killed, bite="nothing"),
    "freeze": Fault("SIGSTOP of Postgres, 6 s", of_postgres.frozen),
    "stop": Fault("Postgres stopped, 3 s", of_postgres.stopped),
    "refused": Fault("connections refused, 4 s", of_line.refused),
    "black-hole": Fault("black hole, 5 s", of_line.black_hole),
    "resets": Fault("reset storm, 4 s", of_line.reset_storm, bite="nothing"),
    "flapping": Fault("flapping: five times 0.5 s away", of_line.flapping),
    "slow": Fault(
        "+300 ms on each answer of Postgres, 5 s (DATABASE_TIMEOUT=6)", of_line.slow, bite="nothing", settings=PATIENT
    ),
    "cut-before": Fault("line cut before COMMIT, 16 times", of_line.commits_cut_before, bite="nothing"),
    "cut-after": Fault("line cut after COMMIT, 16 times", of_line.commits_cut_after, bite="nothing"),
    "cut-away": Fault(
        "line cut after COMMIT, then refused 0.9 s, five times (DATABASE_TIMEOUT=0.5)",
        of_line.commits_cut_and_away,
        settings=HASTY,
    ),
    "read-only": Fault("Postgres read-only, 4 s", of_postgres.read_only, bite="refusals"),
    "connections": Fault("max_connections exhausted, 4 s", of_postgres.no_connection_left, bite="refusals"),
    "pool": Fault(
        "pool exhausted by a lock, 4.5 s",
        of_postgres.pool_exhausted,
        bite="refusals",
        settings={"DATABASE_POOL_SIZE": "4"},
    ),
    "disk": Fault(
        "disk of Postgres full, 4 s", of_disk.of_postgres, bite="refusals", needs=disks.lacking, disk="postgres"
    ),
    "backups-disk": Fault(
        "disk of the journal full in an outage",
        of_disk.of_backups,
        needs=disks.lacking,
        settings={"BACKUPS_DIR": str(disks.disk("backups"))},
    ),
    "migrations": Fault("migrations missing, 3 s", of_clock.migrations_missing, bite="refusals", boots=False),
    "clock-ahead": Fault(
        "clock of the service +3 h, then an outage", of_clock.jump(3 * HOURS), needs=of_clock.lacking, boots=False
    ),
    "clock-back": Fault(
        "clock of the service -3 h, then an outage", of_clock.jump(-3 * HOURS), needs=of_clock.lacking, boots=False
    ),
    "ddl": Fault("DDL meanwhile", of_postgres.ddl, bite="nothing"),
    "service-kill": Fault("kill -9 of the service in writes, three times", of_service.killed_in_writes, bite="kill"),
    "outage-kill": Fault("kill -9 of the service in an outage", of_service.killed_in_outage, kinds=("fallback",)),
    "snapshot-kill": Fault(
        "kill -9 of the service in a snapshot",
        of_service.killed_in_snapshot,
        bite="kill",
        kinds=("fallback",),
        settings={"RUNTIME_STATE_DEBOUNCE": "0.02"},
    ),
    "replay-kill": Fault("kill -9 of the service in a replay", of_service.killed_in_replay, kinds=("fallback",)),
    "restore": Fault("restore of a backup while clients write", of_service.restore, bite="nothing"),
    "restore-kill": Fault("kill -9 of a restore, three times", of_service.restore_killed, bite="nothing"),
    "sigterm": Fault("SIGTERM of the service under load, twice", of_service.stopped_under_load, bite="nothing"),
    "two-services": Fault("two services on one folder", of_service.second_process, bite="nothing"),
    "boot": Fault("boot with Postgres down, 3 s", of_service.boot_without_postgres),
    "psql": Fault("connections refused while psql writes", of_service.psql_meanwhile),
}
