"""Fixtures: one Postgres for the whole run, one database and service for most tests, fresh ones where it matters."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
import typer
from hypothesis import HealthCheck
from hypothesis import settings as examples

import forked
import limits
from harness import CLEAN, Api, Console, Person, apart, at, copy_database, run_sql, served, settings_for
from retrobus import logbook
from retrobus.backups import program
from retrobus.cli import main
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres
from stores import new_database

T = TypeVar("T")

# The same examples at each run, and no limit of time: a busy machine draws and tries them slowly.
examples.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("same")

limits.be_patient()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, the long tests run first: no worker is left alone with a long one at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("faults") is None)


FOR_TESTS = {"fsync": "off", "autovacuum": "off"}
"""Settings of a server that no one needs after the tests: it is quick, and does nothing that no test asked for."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Postgres that tests may fill: TEST_DATABASE_URL if set, else an embedded one."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    with embedded_postgres(tmp_path_factory.mktemp("postgres"), settings=FOR_TESTS) as postgres:
        yield postgres.url()


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """Name of a migrated, empty database that others are copied from."""
    name = f"retrobus_template_{os.getpid()}"
    run_sql(server, f"CREATE DATABASE {name}")
    apart(lambda: migrate.upgrade(at(server, name)))  # a browser may be open
    yield name
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """URL of a migrated, empty database that is this test's own."""
    name = f"retrobus_test_{os.urandom(5).hex()}"
    yield copy_database(server, name, template)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def store_database(server: str, template: str) -> Iterator[str]:
    """URL of a migrated database that the tests of the stores share; each empties it first."""
    url = new_database(server, template)
    yield url
    run_sql(server, f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_api(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The service that most tests share; use `api`, which empties its tables first."""
    name = f"retrobus_shared_{os.getpid()}"
    url = copy_database(server, name, template)
    folder = tmp_path_factory.mktemp("shared") / "backups"
    with served(settings_for(url, backups_dir=folder), url) as api, closing(Console(url)) as api.console:
        yield api
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def api(shared_api: Api) -> Api:
    """The service in strict mode on empty tables; it logs errors alone, whatever a test before wanted to see."""
    logbook.configure("console", "error")
    shared_api.cookies.clear()
    shared_api.sql(*CLEAN)
    return shared_api


@pytest.fixture
def fresh_api(database: str) -> Iterator[Api]:
    """A service and database of this test's own, for tests that leave traces in the process (throttle, pool)."""
    with served(settings_for(database), database) as api:
        yield api


@pytest.fixture
def admin(api: Api) -> Person:
    """An ADMIN of `api`."""
    return api.person("ADMIN")


@pytest.fixture
def manager(api: Api) -> Person:
    """A BUREAU member of `api`."""
    return api.person("BUREAU")


@pytest.fixture
def member(api: Api) -> Person:
    """An ordinary member of `api`."""
    return api.person("MEMBER")


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end."""
    return asyncio.run


Ended = tuple[int, str, str]
COMMANDS = cache(typer.main.get_command)
"""Builds the tree of all commands, as a process does once; here hundreds of commands run in one process."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command of `retrobus` in this process, its keywords being the environment: (exit code, output, errors)."""

    def run(*arguments: str, url: str | None = None, given: str = "", **environment: object) -> Ended:
        with monkeypatch.context() as patch:
            patch.setattr(typer.main, "get_command", COMMANDS)
            for name, value in (environment | ({"DATABASE_URL": url} if url else {})).items():
                patch.setenv(name, str(value))
            patch.setattr(sys, "argv", ["retrobus", *arguments])
            patch.setattr(sys, "stdin", StringIO(given))
            capfd.readouterr()  # what the service logged before is no word of the command
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def forked_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service in this process starts is forked; what a service in a process of its own starts is not."""
    monkeypatch.setenv(forked.ADDRESS, forked.address())
    monkeypatch.setattr(program, "PROGRAM", forked.as_program())


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the settings of the person who runs it."""
    for name in ("DATABASE_URL", "JWT_SECRET", "APP_ENV", "PORT", "HOST", "BACKUPS_DIR", "LOG_FORMAT", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
