"""A Postgres that may be killed: always one of our own, also when TEST_DATABASE_URL names another."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from faults.outage import Outage, outage
from faults.proxy import Proxy, proxy
from faults.psql import ORDINARY
from faults.service import Service
from harness import copy_database, free_port, process, run_sql, until
from operations import prepared
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres

TEMPLATE = "faults_template"
KINDS = ("TABLES", "SEQUENCES", "FUNCTIONS")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for all fault tests, with a migrated database to copy."""
    settings = {"fsync": "off", "wal_writer_delay": "10s"}  # what no COMMIT asked for stays unwritten: a crash loses it
    with embedded_postgres(tmp_path_factory.mktemp("faults"), settings=settings, port=free_port()) as server:
        run_sql(server.url(), f"CREATE ROLE {ORDINARY} LOGIN", f"CREATE DATABASE {TEMPLATE}")
        migrate.upgrade(server.url(TEMPLATE))
        run_sql(server.url(TEMPLATE), *(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {ORDINARY}" for kind in KINDS))
        yield server


@pytest.fixture
def postgres(cluster: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The server, which runs again after the test whatever the test did to it."""
    yield cluster
    with suppress(EmbeddedPostgresError):
        cluster.thaw()
        return
    cluster.start()


@pytest.fixture(autouse=True)
def _nothing_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task of the service ends with an error that nobody looked at, and none is left over."""
    yield
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert not [record.getMessage() for record in records if record.name == "asyncio" and record.levelname == "ERROR"]


@pytest.fixture
def own_database(postgres: EmbeddedPostgres) -> str:
    """Name of a migrated, empty database that is this test's own."""
    name = f"faults_{os.urandom(5).hex()}"
    copy_database(postgres.url(), name, TEMPLATE)
    return name


@pytest.fixture
def line(postgres: EmbeddedPostgres) -> Iterator[Proxy]:
    """A proxy before the server."""
    assert postgres.port is not None
    with proxy(postgres.port) as found:
        yield found


@pytest.fixture
def fallback(line: Proxy, postgres: EmbeddedPostgres, own_database: str, tmp_path: Path) -> Iterator[Outage]:
    """The service with the memory fallback alone, whose Postgres can be cut off."""
    with outage(line, postgres.url(own_database), tmp_path / "backups") as found:
        yield found


@pytest.fixture
def saving(line: Proxy, postgres: EmbeddedPostgres, own_database: str, tmp_path: Path) -> Iterator[Outage]:
    """The same, with its journal and snapshot on disk."""
    with outage(line, postgres.url(own_database), tmp_path / "backups", enable_runtime_state_save=True) as found:
        yield found


@pytest.fixture(scope="module")
def running(
    cluster: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Service]:
    """The service that the tests of one file share, with the variables that the file gives it as ENVIRONMENT."""
    name = f"faults_{os.urandom(5).hex()}"
    copy_database(cluster.url(), name, TEMPLATE)
    url = cluster.url(name)
    environment: dict[str, str] = getattr(request.module, "ENVIRONMENT", {})
    with process(url, tmp_path_factory.mktemp("service"), **environment) as (api, serving):
        yield Service(api, serving, prepared(api)["ADMIN"])


@pytest.fixture
def service(running: Service, postgres: EmbeddedPostgres) -> Iterator[Service]:  # noqa: ARG001 - heals the server
    """The service, well; nothing that a test does to it may leave a trace in its log or its pool."""
    until(running.is_reading, "the service to be well")
    before = len(running.process.log)
    yield running
    until(lambda: running.metric('retrobus_pool_connections{state="in_use"}') == 0, "a whole pool")
    noise = running.process.log[before:]
    assert not any(word in noise for word in ("Traceback", "never retrieved", "Exception", '"status": 500'))
