"""Connections that cannot be opened: whatever the reason, PostgreSQL is away, and people learn why, but no secret."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faults.outage import a_person, source
from harness import LONGEST, Api, Person, closed_to_all, free_port, run_sql, served, settings_for, until
from retrobus.database.errors import CannotConnect, reason_of
from retrobus.database.hosts import Hosts
from retrobus.database.url import Place, normalized, places
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

SECRET = "a-secret-of-ours"
AS_ANOTHER_ACCOUNT = """
import asyncio, os, sys
from retrobus.database.errors import CannotConnect
from retrobus.database.session import connect_for_command
os.setuid(65534)
try:
    asyncio.run(connect_for_command(sys.argv[1], 90, "test")).terminate()
    print("connected")
except CannotConnect as error:
    print("away:", error)
"""


@contextmanager
def revoked(postgres: EmbeddedPostgres, name: str, role: str) -> Iterator[None]:
    """While open, the role may not connect, and is not connected."""
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    run_sql(postgres.url(), f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    until(lambda: not run_sql(postgres.url(), ended), "the end of the role's connections")
    yield
    run_sql(postgres.url(), f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")


def test_a_database_that_allows_no_connections_is_an_outage(postgres: EmbeddedPostgres, own_database: str) -> None:
    url = postgres.url(own_database)
    who = a_person(url)
    with served(settings_for(url), url) as api:
        with closed_to_all(url):
            answers = [api.get("/api/events", headers=who.headers) for _ in range(3)]
            ready, up = api.get("/ready"), api.metric("retrobus_database_up")
        until(lambda: api.get("/api/events", headers=who.headers).status_code == 200, "the return of Postgres")
        assert api.metric("retrobus_database_up") == 1

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "database_unavailable")] * 3
    assert (ready.status_code, ready.json()["database"]) == (503, "down")
    assert ready.json()["reason"] == "la base n'accepte pas de connexions (55000)"
    assert up == 0


def test_memory_takes_over_from_a_database_that_allows_no_connections(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    url = postgres.url(own_database)
    who = a_person(url)
    wanted = settings_for(url, enable_memory_fallback=True, backups_dir=tmp_path / "backups", app_env="production")
    with served(wanted, url) as api:
        with closed_to_all(url):
            reading = api.get("/public/events")
            writing = add(api, who, "920")
            ready = api.get("/ready").json()
        until(lambda: source(api.get("/public/events")) == "postgres", "the return to Postgres")
        assert api.get("/api/vehicles/920", headers=who.headers).status_code == 200

    assert (reading.status_code, source(reading), writing) == (200, "memory", 202)
    assert (ready["ready"], ready["reason"]) == (True, "la base n'accepte pas de connexions (55000)")


def add(api: Api, who: Person, parc: str) -> int:
    bus = {"parc": parc, "modele": "Standard", "type": "autobus"}
    return api.post("/api/vehicles", headers=who.headers, json=bus).status_code


def test_a_revoked_right_to_connect_is_an_outage(postgres: EmbeddedPostgres, own_database: str) -> None:
    role = f"role_{os.urandom(4).hex()}"
    run_sql(postgres.url(), f"CREATE ROLE {role} LOGIN")
    owner = postgres.url(own_database)
    run_sql(owner, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    who = a_person(owner)
    with served(settings_for(owner.replace("postgres@", f"{role}@")), owner) as api:
        until(lambda: api.get("/api/events", headers=who.headers).status_code == 200, "the role's reads")
        with revoked(postgres, own_database, role):
            answer = api.get("/api/events", headers=who.headers)
            told = api.get("/ready").json()["reason"]

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert told == "cet utilisateur n'a pas le droit de se connecter à cette base (42501)"


def hosts_of(url: str) -> Hosts[Any]:
    """The servers of this address, each opened by the driver alone."""

    async def opening(place: Mapping[str, Any]) -> Any:
        return await asyncpg.connect(url, **place)

    return Hosts[Any](url, opening, LONGEST)


def failure(url: str) -> CannotConnect:
    """Why no connection to this address can be opened."""
    with pytest.raises(CannotConnect) as caught:
        asyncio.run(hosts_of(url).open())
    return caught.value


@pytest.mark.parametrize(("url", "found"), [
    ("postgresql://u:p@a,b:6432/x", [Place("a"), Place("b", 6432)]),
    ("postgresql://u:p@[::1]:1,b/x", [Place("::1", 1), Place("b", 5432)]),
    ("postgresql:///x?host=/run/a,/run/b&port=1,2", [Place("/run/a", 1), Place("/run/b", 2)]),
    ("postgresql:///x?host=a,b&port=7", [Place("a", 7), Place("b", 7)]),
    ("postgresql://u:p@%2Frun%2Fpg:5433/x", [Place("/run/pg", 5433)]),
    ("postgresql://u@/x", [Place()]),
])  # fmt: skip
def test_each_server_of_an_address_has_its_own_port(url: str, found: list[Place]) -> None:
    assert places(normalized(url)) == found


def test_every_server_of_an_address_has_a_reason(postgres: EmbeddedPostgres) -> None:
    place = f"127.0.0.1:{postgres.port}"
    hosts = hosts_of(f"postgresql://postgres@{place},127.0.0.1:{free_port()}/postgres")

    async def connect() -> None:
        connection, _ = await hosts.open(hear_all=True)
        await connection.close()

    asyncio.run(connect())

    assert re.fullmatch(r"serveur 1 : \w.+ ; serveur 2 : aucun serveur n'écoute.+", hosts.reason)


def test_a_database_that_is_gone_is_away(postgres: EmbeddedPostgres) -> None:
    assert failure(postgres.url("nothing")).reason == "la base n'existe pas (3D000)"


def test_a_server_without_tls_is_away_where_tls_is_required(postgres: EmbeddedPostgres) -> None:
    error = failure(f"postgresql://postgres:{SECRET}@127.0.0.1:{postgres.port}/postgres?sslmode=require")

    assert error.reason == "le serveur n'accepte pas la demande de TLS (sslmode)"


@pytest.mark.skipif(os.getuid() != 0, reason="another account is needed, which has no way into this folder")
def test_a_home_that_is_closed_to_us_is_told_and_no_crash(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:{postgres.port}/postgres?sslmode=prefer"
    program = [sys.executable, "-c", AS_ANOTHER_ACCOUNT, url]

    ended = subprocess.run(program, env=os.environ | {"HOME": str(closed)}, capture_output=True, text=True, check=False)

    assert ended.stdout in {
        "away: un fichier ou la socket de la connexion est interdit à ce compte (droits, HOME) (PermissionError)\n",
        "connected\n",  # a Python that takes a file that it may not see for one that is missing
    }, ended.stderr


@pytest.mark.parametrize("error", [ValueError(SECRET), asyncpg.ClientConfigurationError(SECRET), OSError(113, SECRET),
                                   asyncpg.InvalidPasswordError(SECRET), RuntimeError(SECRET)])  # fmt: skip
def test_no_reason_quotes_what_the_driver_says(error: Exception) -> None:
    assert SECRET not in reason_of(error)
    assert reason_of(error)
