"""The Studio in a real browser: chromium, the service as a process of its own, a real PostgreSQL."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from accounts import an_account
from faults.proxy import Proxy, proxy
from harness import CLEAN, Api, Person, apart, copy_database, free_port, process, run_sql
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres
from studio.browser import CHROMIUM, PATIENCE, Watch, chromium
from studio.visitor import Visitor

NewVisitor = Callable[..., Visitor]
TEMPLATE = "studio_template"
FRENCH = {"locale": "fr-FR", "timezone_id": "Europe/Paris"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One chromium for the tests of a file: Playwright's loop must not outlive them in this thread."""
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM HERE: the Studio is not tested in a browser (Debian: apt-get install chromium)")
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def backups_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the backups of that service."""
    return tmp_path_factory.mktemp("studio") / "backups"


@pytest.fixture(scope="session")
def studio_service(server: str, template: str, backups_dir: Path) -> Iterator[Api]:
    """The service that most tests of the page share; use `service`, which empties its tables first."""
    name = f"retrobus_studio_{os.getpid()}"
    url = copy_database(server, name, template)
    with process(url, backups_dir.parent, BACKUPS_DIR=str(backups_dir)) as (api, _):
        yield api
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def service(studio_service: Api) -> Api:
    """A service in strict mode on empty tables."""
    studio_service.sql(*CLEAN)
    return studio_service


@pytest.fixture
def new_visitor(browser: Browser) -> Iterator[NewVisitor]:
    """Opens windows, each of a browser of its own; at the end no page of them has anything to complain about."""
    with ExitStack() as windows:
        watches: list[Watch] = []

        def open_window(api: Api, **options: Any) -> Visitor:
            french = {
                "locale": "fr-FR",
                "timezone_id": "Europe/Paris",
                "permissions": ["clipboard-read", "clipboard-write"],
            }
            context = windows.enter_context(browser.new_context(**(french | options)))
            context.set_default_timeout(PATIENCE)
            watches.append(Watch())
            page = context.new_page()
            watches[-1].over(page)
            return Visitor(page, watches[-1], api)

        yield open_window
    assert not [complaint for watch in watches for complaint in watch.complaints]


@pytest.fixture
def visitor(new_visitor: NewVisitor, service: Api) -> Visitor:
    """A window that nobody has logged into."""
    return new_visitor(service)


@pytest.fixture
def admin(service: Api) -> Person:
    """An ADMIN with a password."""
    return an_account(service, "ADMIN", first_name="Ada", last_name="Ministre")


@pytest.fixture
def manager(service: Api) -> Person:
    """A BUREAU member with a password."""
    return an_account(service, "BUREAU", first_name="Bérénice", last_name="Bureau")


@pytest.fixture
def member(service: Api) -> Person:
    """An ordinary member with a password."""
    return an_account(service, "MEMBER", first_name="Marius", last_name="Membre")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that tests may kill, with a migrated database to copy."""
    with embedded_postgres(tmp_path_factory.mktemp("killed"), port=free_port()) as server:
        run_sql(server.url(), f"CREATE DATABASE {TEMPLATE}")
        apart(lambda: migrate.upgrade(server.url(TEMPLATE)))
        yield server


@pytest.fixture
def postgres(cluster: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The same; it runs again after the test."""
    yield cluster
    with suppress(EmbeddedPostgresError):  # it runs
        assert cluster.pid
        return
    cluster.start()


@pytest.fixture
def line(postgres: EmbeddedPostgres) -> Iterator[Proxy]:
    """A line to `postgres` that can be cut while psql still reaches it."""
    with proxy(postgres.port or 0) as found:
        yield found


@pytest.fixture
def start_service(postgres: EmbeddedPostgres, line: Proxy, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Starts a service with these settings at the end of `line`, on a database of its own."""
    with ExitStack() as services:

        def start(**environment: str) -> Api:
            name = f"studio_{os.urandom(5).hex()}"
            url = copy_database(postgres.url(), name, TEMPLATE)
            wanted = {"BACKUPS_DIR": str(tmp_path / "backups")} | environment
            api, _ = services.enter_context(process(line.url(name), tmp_path, **wanted))
            api.database_url = url
            return api

        yield start
