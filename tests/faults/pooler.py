"""A real PgBouncer in front of a real Postgres, as operators put it there."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from harness import free_port, run_sql, until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "no program pgbouncer here: apt-get install pgbouncer"
UNPRIVILEGED = 65534
"""The account `nobody`: PgBouncer refuses to run as root."""

IGNORE = (
    "client_connection_check_interval, idle_in_transaction_session_timeout, idle_session_timeout, jit, lock_timeout, "
    "statement_timeout, tcp_keepalives_count, tcp_keepalives_idle, tcp_keepalives_interval, tcp_user_timeout"
)
"""What an operator writes into `ignore_startup_parameters` after reading PgBouncer's refusals one by one."""


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer: the URL of the database through it, and without it."""

    url: str
    direct: str
    process: subprocess.Popen[bytes]


@contextmanager
def pooled(
    direct: str, *, mode: str = "transaction", ignore: str = IGNORE, port: int | None = None
) -> Iterator[Pooler]:
    """PgBouncer on 127.0.0.1 for the database of the URL `direct`, which must be reachable over TCP."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    place, port = urlsplit(direct), port or free_port()
    with TemporaryDirectory(prefix="retrobus-pooler-") as folder:
        settings = _settings(f"host=127.0.0.1 port={place.port} user=postgres", port, mode, ignore)
        file = Path(folder, "pgbouncer.ini")
        file.write_text(settings)
        if os.getuid() == 0:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        process = _started(file)
        url = f"postgresql://postgres@127.0.0.1:{port}{place.path}"
        try:
            until(lambda: process.poll() is not None or _answers(url), "PgBouncer's first answer")
            assert process.poll() is None, Path(folder, "log").read_text()
            yield Pooler(url, direct, process)
        finally:
            process.kill()
            process.wait()


def _settings(place: str, port: int, mode: str, ignore: str) -> str:
    return f"""[databases]
* = {place}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
max_client_conn = 500
""" + (f"ignore_startup_parameters = {ignore}\n" if ignore else "")


def _started(file: Path) -> subprocess.Popen[bytes]:
    user = UNPRIVILEGED if os.getuid() == 0 else None
    with file.with_name("log").open("wb") as log:
        return subprocess.Popen(
            [str(PROGRAM), str(file)], stdout=log, stderr=log, user=user, group=user, extra_groups=[] if user else None
        )


def _answers(url: str) -> bool:
    try:
        return run_sql(url, "SELECT 1") == [(1,)]
    except OSError:
        return False
