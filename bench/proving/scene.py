"""Everything that one fault happens to: a Postgres, and a strict and a fallback service on it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg
from checking.client import now
from checking.kinds import ADMIN_ROW
from proving.crowd import Crowd
from proving.site import ROLE, Kind, Site, at_once

from faults.proxy import proxy
from harness import copy_database, free_port, run_sql
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres

TEMPLATE = "proof_template"
OTHERS = "proof_others"
"""The role of programs that are not the service."""

KINDS = ("TABLES", "SEQUENCES", "FUNCTIONS")
DURABLE = {"wal_writer_delay": "10s"}
"""A COMMIT that does not wait for its WAL is lost in a crash: so it shows. fsync is on."""

CLIENTS = 8
"""Of each service."""

WARM_UP, AFTER = 1.5, 2.5
"""Seconds of work before the fault, and after the first answer of Postgres since the heal."""

SMALL = DURABLE | {"min_wal_size": "32MB", "max_wal_size": "64MB"}
"""The same, on a small disk."""

_numbers = count(1)


@dataclass
class Scene:
    """The surroundings of one run, and when its fault began and was healed."""

    postgres: EmbeddedPostgres
    sites: list[Site]
    folder: Path
    began: float = 0.0
    healed: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What the reader of the table should know of this run."""

    def begin(self) -> None:
        """The fault begins now."""
        self.began = now()

    def heal(self) -> None:
        """The fault ends now: from here on the services must come back by themselves."""
        self.healed = now()

    def all(self, act: Callable[[Site], object]) -> None:
        """Does the same to every site at the same time."""
        at_once(self.sites, act)

    def of(self, kind: Kind) -> Site | None:
        """The site of this kind, if the run has one."""
        return next((site for site in self.sites if site.kind == kind), None)

    def lose_postgres(self) -> None:
        """Notes that no service can reach Postgres from now on; psql must connect again."""
        for site in self.sites:
            site.lose()
            site.psql.leave()

    def find_postgres(self) -> None:
        """Starts Postgres; it accepts connections when this returns."""
        for site in self.sites:
            site.find()
        self.postgres.start()
        self.heal()

    @staticmethod
    def wait(seconds: float) -> None:
        """Lets the clients work for so long."""
        time.sleep(seconds)


@contextmanager
def server(folder: Path, settings: Mapping[str, str] = DURABLE) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with a migrated database to copy, and the role of the services."""
    with embedded_postgres(folder, settings=settings, port=free_port()) as postgres:
        prepare(postgres)
        yield postgres


def prepare(postgres: EmbeddedPostgres) -> None:
    """Makes the role, and the database that the sites copy."""
    run_sql(postgres.url(), f"CREATE ROLE {ROLE} LOGIN", f"CREATE ROLE {OTHERS} LOGIN", f"CREATE DATABASE {TEMPLATE}")
    migrate.upgrade(postgres.url(TEMPLATE))
    grants = [f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {ROLE}" for kind in KINDS]
    run_sql(postgres.url(TEMPLATE), *grants, ADMIN_ROW)


def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    """Removes a database: after a crash the server looks at every file of all that are there."""
    with suppress(EmbeddedPostgresError, asyncpg.PostgresError, OSError):
        run_sql(postgres.url(), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def mended(postgres: EmbeddedPostgres) -> None:
    """Has the server run again after a fault that broke off."""
    try:
        postgres.thaw()
    except EmbeddedPostgresError:
        postgres.start()


@contextmanager
def scene(
    postgres: EmbeddedPostgres, crowds: Mapping[Kind, Crowd], folder: Path, settings: Mapping[str, str]
) -> Iterator[Scene]:
    """Sites of these kinds on new databases, whose services are not started yet."""
    folder.mkdir(mode=0o755)
    with ExitStack() as ends:
        sites = []
        for kind, crowd in crowds.items():
            name = f"proof_{next(_numbers)}_{kind}"
            copy_database(postgres.url(), name, TEMPLATE)
            ends.callback(_drop, postgres, name)
            line = ends.enter_context(proxy(postgres.port or 0))
            site = Site(kind, postgres.url(name), line, crowd, folder / kind, settings)
            ends.callback(site.psql.close)
            ends.callback(site.kill_all)
            sites.append(site)
        yield Scene(postgres, sites, folder)
