"""A leader and its standby: two servers of our own, joined by streaming replication."""

import atexit
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from harness import free_port, run_sql, until
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres
from retrobus.development.postgres_programs import find_programs, make_private

DATABASE = "retrobus"
SETTINGS = {"fsync": "off", "wal_receiver_status_interval": "1s", "wal_retrieve_retry_interval": "100ms"}
ATTACHED = "SELECT FROM pg_stat_replication WHERE state = 'streaming'"


@dataclass(frozen=True)
class Pair:
    """Two servers with the same migrated, empty database: what the leader commits, the standby copies."""

    leader: EmbeddedPostgres
    standby: EmbeddedPostgres

    def url(self) -> str:
        """The database on the leader."""
        return self.leader.url(DATABASE)

    def wait_until_attached(self) -> None:
        """Until the standby receives what the leader writes."""
        until(lambda: run_sql(self.leader.url(), ATTACHED), "the standby")

    def wait_until_copied(self) -> None:
        """Until the standby shows all that the leader has committed."""
        [[there]] = run_sql(self.leader.url(), "SELECT pg_current_wal_lsn()::text")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{there}'::pg_lsn"
        until(lambda: run_sql(self.standby.url(), replayed)[0][0], "the copy")

    def count(self, table: str, *, at: EmbeddedPostgres) -> int:
        """How many rows a table has on that server."""
        [[rows]] = run_sql(at.url(DATABASE), f"SELECT count(*) FROM {table}")
        return int(rows)

    def set(self, name: str, value: str) -> None:
        """Gives the leader a setting, until further notice."""
        run_sql(self.leader.url(), f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")
        until(lambda: run_sql(self.leader.url(), f"SHOW {name}")[0][0] == value, f"{name} = {value}")

    def stop_copying(self) -> None:
        """What the leader commits from now on reaches no other server."""
        run_sql(self.standby.url(), "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        until(lambda: not run_sql(self.leader.url(), "SELECT FROM pg_stat_replication"), "the end of the copying")

    def promote(self) -> str:
        """Makes the standby a leader, which waits for no other server; the URL of the database there."""
        run_sql(self.standby.url(), "SELECT pg_promote(true, 90)")
        return self.standby.url(DATABASE)


@contextmanager
def replicated(folder: Path, *, synchronous: bool = True) -> Iterator[Pair]:
    """Both servers, on 127.0.0.1 and on their sockets; if `synchronous`, a COMMIT waits for the standby."""
    with ExitStack() as stack:
        port = _copy_template(folder)
        leader = stack.enter_context(embedded_postgres(folder / "leader", settings=SETTINGS, port=port))
        standby = stack.enter_context(embedded_postgres(folder / "standby", settings=SETTINGS, port=free_port()))
        pair = Pair(leader, standby)
        pair.wait_until_attached()
        if synchronous:
            pair.set("synchronous_standby_names", "*")
        yield pair
        with suppress(EmbeddedPostgresError):  # a test may have stopped it
            pair.standby.thaw()


def _copy_template(folder: Path) -> int:
    """Makes the folders of both servers; the port on which the standby will look for its leader."""
    template, port = _template()
    for name in ("leader", "standby"):
        (folder / name).mkdir(mode=0o711, parents=True)
        subprocess.run(["cp", "-a", template / name / "cluster", folder / name], check=True)
    found = free_port()
    followed = folder / "standby" / "cluster" / "postgresql.auto.conf"
    followed.write_text(followed.read_text().replace(f"port={port} ", f"port={found} "))
    return found


@cache
def _template() -> tuple[Path, int]:
    """The folders of both servers, made once for a test run and at rest, and the port that the standby knows."""
    folder = Path(mkdtemp(prefix="retrobus-pair-"))
    atexit.register(rmtree, folder)
    folder.chmod(0o711)
    with embedded_postgres(folder / "leader", settings=SETTINGS, port=free_port()) as leader:
        run_sql(leader.url(), f"CREATE DATABASE {DATABASE}")
        migrate.upgrade(leader.url(DATABASE))
        _back_up(leader, folder / "standby")
        assert leader.port is not None
        return folder, leader.port


def _back_up(leader: EmbeddedPostgres, folder: Path) -> None:
    """Makes the folder of a standby that follows the leader, as an operator does."""
    cluster = folder / "cluster"
    folder.mkdir(mode=0o711)
    make_private(cluster)
    place = f"host=127.0.0.1 port={leader.port} user=postgres application_name=standby"
    programs = find_programs(cluster)
    options = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--pgdata={cluster}", f"--dbname={place}")
    status, output = programs.run("pg_basebackup", *options)
    assert status == 0, output
