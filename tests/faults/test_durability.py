"""What was acknowledged stays so, whichever process is killed; and this file's checker would notice if not.

What a disk does in a power cut is Postgres's `fsync`, which /ready reports; here processes die, not machines.
"""

import os
import signal
from pathlib import Path

import pytest

from faults.ledger import Ledger, traffic
from faults.psql import server_setting
from harness import SECRET, Api, Process, free_port, run_sql, served, settings_for, until
from operations import prepared
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

ENOUGH = 25
"""Writes that are acknowledged between two kills."""

WAL_WRITER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
KILLS = ("Postgres", "Postgres", "the service") * 3 + ("Postgres",)


class Restarted:
    """`retrobus serve` on one port, as a supervisor keeps it running."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {"DATABASE_URL": url, "JWT_SECRET": SECRET, "APP_ENV": "test", "PORT": str(free_port())}
        self.api = Api(f"http://127.0.0.1:{self._environment['PORT']}", url)
        self._process = self._start()

    def _start(self) -> Process:
        return Process(["serve"], self._folder, self._environment)

    def kill(self) -> None:
        """Ends the process with SIGKILL and starts another."""
        self._process.popen.kill()
        self._process.wait()
        self._process = self._start()

    def end(self) -> None:
        self.api.close()
        self._process.popen.kill()
        self._process.wait()


def wait_for_writes(ledger: Ledger) -> None:
    seen = ledger.acknowledged
    until(lambda: ledger.acknowledged > seen + ENOUGH, "more acknowledged writes")


def test_kills_lose_no_acknowledged_write_and_bring_no_deleted_row_back(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    url = postgres.url(own_database)
    service = Restarted(url, tmp_path)
    try:
        with traffic(service.api, prepared(service.api)["ADMIN"]) as ledger:
            for victim in KILLS:
                wait_for_writes(ledger)
                if victim == "Postgres":
                    postgres.kill()
                    postgres.start()
                else:
                    service.kill()
            wait_for_writes(ledger)
    finally:
        service.end()

    assert len(ledger.deleted) > len(KILLS)
    assert ledger.broken_promises(url) == {}


def test_the_checker_notices_a_server_that_acknowledges_before_it_keeps(
    postgres: EmbeddedPostgres, own_database: str
) -> None:
    url = postgres.url(own_database)
    settings = settings_for(url, database_timeout=5)  # so long it looks for what became of the last writes
    with server_setting(postgres.url(), "synchronous_commit", "off"), served(settings, url) as api:
        with traffic(api, prepared(api)["ADMIN"]) as ledger:
            wait_for_writes(ledger)
            run_sql(postgres.url(), "CHECKPOINT")  # what is there now stays; what is deleted from now on comes back
            [[writer]] = run_sql(postgres.url(), WAL_WRITER)
            os.kill(writer, signal.SIGSTOP)  # else it may write down all of it just before the kill
            wait_for_writes(ledger)
            postgres.kill()
        postgres.start()

        assert ledger.broken_promises(url).keys() >= {"lost", "resurrected"}
