"""Writes that Postgres turns down at the last moment: none of them is ever answered as done."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from builders import Body, a_member, a_vehicle, an_event
from faults.background import in_background
from harness import Api, Person, run_sql, served, settings_for, until
from retrobus.embedded import EmbeddedPostgres
from retrobus.security import hash_password

pytestmark = pytest.mark.faults

PASSWORD = "un mot de passe"
PASSWORDS = {"currentPassword": PASSWORD, "newPassword": "un autre mot de passe"}

WRITES: dict[str, tuple[str, Body | None]] = {
    "createEvent": ("POST /api/events", an_event()),
    "updateEvent": ("PUT /api/events/sortie", {"title": "Autre"}),
    "patchEvent": ("PATCH /api/events/sortie", {"title": "Autre"}),
    "deleteEvent": ("DELETE /api/events/sortie", None),
    "createVehicle": ("POST /api/vehicles", a_vehicle()),
    "updateVehicle": ("PUT /api/vehicles/920", {"marque": "Autre"}),
    "patchVehicle": ("PATCH /api/vehicles/920", {"marque": "Autre"}),
    "deleteVehicle": ("DELETE /api/vehicles/920", None),
    "createMember": ("POST /api/members", a_member()),
    "updateMember": ("PUT /api/members/membre", {"lastName": "Autre"}),
    "patchMember": ("PATCH /api/members/membre", {"lastName": "Autre"}),
    "updateMemberByBody": ("PUT /api/members", {"id": "membre", "lastName": "Autre"}),
    "patchMemberByBody": ("PATCH /api/members", {"id": "membre", "lastName": "Autre"}),
    "updateOwnMember": ("PUT /api/members/me", {"city": "Autreville"}),
    "terminateMember": ("POST /api/members/membre/terminate", None),
    "deleteMember": ("DELETE /api/members/membre", None),
    "deleteMemberByBody": ("DELETE /api/members", {"id": "membre"}),
    "changePassword": ("POST /api/auth/change-password", PASSWORDS),
    "changeMemberPassword": ("POST /api/members/change-password", PASSWORDS),
}
"""A request that succeeds for every operation that writes."""

REFUSE_COMMIT = """
CREATE FUNCTION refuse_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$"""
REFUSE_ON = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_commit()"""


@pytest.fixture
def api(postgres: EmbeddedPostgres, own_database: str) -> Iterator[Api]:
    """The service on a database of this test's own, with one row of each kind."""
    url = postgres.url(own_database)
    with served(settings_for(f"postgresql://postgres@127.0.0.1:{postgres.port}/{own_database}"), url) as found:
        found.sql(
            "INSERT INTO vehicle (parc) VALUES ('920')",
            "INSERT INTO event (id, title, date, vehicle_id) VALUES ('sortie', 'Sortie', now(), '920')",
        )
        found.person("MEMBER", id="membre")
        yield found


@pytest.fixture
def who(api: Api) -> Person:
    """An ADMIN with a password."""
    return api.person("ADMIN", password_hash=asyncio.run(hash_password(PASSWORD)))


def everything(api: Api) -> list[Any]:
    tables = ("event", "vehicle", "member", "deletion", "idempotency")
    return api.sql(" UNION ALL ".join(f"SELECT '{name}', {name}::text FROM {name}" for name in tables))


def test_the_writes_of_this_file_are_all_that_there_are(api: Api) -> None:
    paths = api.get("/openapi.json").json()["paths"]

    writing = {operation["operationId"] for path in paths.values() for way, operation in path.items() if way != "get"}
    assert writing - {"login", "memberLogin"} == set(WRITES)


def test_no_write_whose_commit_fails_is_answered_as_done(api: Api, who: Person) -> None:
    api.sql(REFUSE_COMMIT, *(REFUSE_ON.format(table=table) for table in ("event", "vehicle", "member")))
    before = everything(api)

    answers = [
        api.request(*request.split(), json=body, headers=who.headers | {"Idempotency-Key": "once"})
        for request, body in WRITES.values()
    ]

    found = [(answer.status_code, answer.json()["code"], answer.json()["outcome"]) for answer in answers]
    assert found == [(503, "database_read_only", "not_applied")] * len(WRITES)
    assert everything(api) == before


@contextmanager
def open_transaction(api: Api, *statements: str) -> Iterator[Callable[[str], object]]:
    """A transaction as somebody with psql has it open; gives the means to go on in it."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(api.database_url))
        for statement in ("BEGIN", *statements):
            runner.run(connection.execute(statement))
        yield lambda statement: runner.run(connection.execute(statement))
        runner.run(connection.close())


def wait_for_a_waiter(api: Api) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until(lambda: api.sql(waiting), what="the service to wait for a lock")


def test_a_write_that_a_deadlock_ended_is_done_again(api: Api, who: Person) -> None:
    api.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 100', current_database()); END $$")
    api.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'retrobus'")
    with open_transaction(api, "SET deadlock_timeout = '1min'", "UPDATE event SET title = 'Autre'") as go_on:
        pending = in_background(lambda: api.delete("/api/vehicles/920", headers=who.headers))
        wait_for_a_waiter(api)

        go_on("UPDATE vehicle SET marque = 'Autre'")  # returns because the service's transaction ends
        go_on("COMMIT")

        assert pending.result(10).status_code == 200
    assert [tuple(row) for row in api.sql("SELECT title, vehicle_id FROM event")] == [("Autre", None)]


def test_a_write_that_could_not_be_serialized_is_done_again(api: Api, who: Person) -> None:
    api.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L',"
        " current_database(), 'repeatable read'); END $$",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'retrobus'",
    )
    with open_transaction(api, "UPDATE event SET title = 'Autre'") as go_on:
        pending = in_background(
            lambda: api.patch("/api/events/sortie", json={"location": "Dépôt"}, headers=who.headers)
        )
        wait_for_a_waiter(api)

        go_on("COMMIT")

        assert pending.result(10).status_code == 200
    assert [tuple(row) for row in api.sql("SELECT title, location FROM event")] == [("Autre", "Dépôt")]


@contextmanager
def missing_standby(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Every COMMIT waits for a standby that will never come."""
    url = postgres.url()
    run_sql(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    until(lambda: run_sql(url, "SHOW synchronous_standby_names")[0][0], what="the new setting")
    try:
        yield
    finally:
        run_sql(url, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        until(lambda: not run_sql(url, "SHOW synchronous_standby_names")[0][0], what="the former setting")


@pytest.mark.parametrize("ending", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_write_that_no_standby_confirmed_is_of_unknown_outcome(
    api: Api, who: Person, postgres: EmbeddedPostgres, ending: str
) -> None:
    waiting = (
        f"SELECT {ending}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
    )
    with missing_standby(postgres):
        pending = in_background(lambda: api.post("/api/events", json=an_event(), headers=who.headers))

        until(lambda: api.sql(waiting), what="the service to wait for the standby")

        answer = pending.result(10)
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert answer.json()["outcome"] == "unknown"
