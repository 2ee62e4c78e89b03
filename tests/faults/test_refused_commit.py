"""Writes that Postgres turns down at the last moment: none of them is ever answered as done."""

import os
import signal
from collections.abc import Iterator
from threading import Event

import pytest

from builders import an_event
from faults.background import in_background
from faults.psql import server_setting, set_for_database
from harness import Api, served, settings_for, until
from limits import limit_commits, usual
from locks import held
from operations import OPERATIONS, prepared, send
from retrobus.development.embedded import EmbeddedPostgres
from routes import EVENT, VEHICLE, everything

pytestmark = pytest.mark.faults

WRITES = [
    operation
    for name, operation in OPERATIONS.items()
    if operation.method != "GET" and name not in {"login", "memberLogin", "createBackup"}
]  # fmt: skip

DELETE_WAITS = (
    """CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END $$""",
    "CREATE TRIGGER a_wait BEFORE DELETE ON vehicle FOR EACH ROW EXECUTE FUNCTION wait()",
)
"""A delete of a vehicle holds its row, and waits for lock 42 before it goes on to the vehicle's events."""

WAITS_FOR_THE_VEHICLE = """SELECT FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE vehicle SET marque%'"""

REFUSE_COMMIT = """
CREATE FUNCTION refuse_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$"""
REFUSE_ON = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_commit()"""


@pytest.fixture
def api(postgres: EmbeddedPostgres, own_database: str) -> Iterator[Api]:
    """The service on a database of this test's own."""
    url = postgres.url(own_database)
    with served(settings_for(url), url) as found:
        yield found


@pytest.fixture
def headers(api: Api) -> dict[str, str]:
    """Those of an ADMIN, beside one row of each kind."""
    return prepared(api)["ADMIN"]


def test_no_write_whose_commit_fails_is_answered_as_done(api: Api, headers: dict[str, str]) -> None:
    api.sql(REFUSE_COMMIT, *(REFUSE_ON.format(table=table) for table in ("event", "vehicle", "member", "conflict")))
    before = everything(api)

    answers = [send(api, operation, headers | {"Idempotency-Key": "once"}) for operation in WRITES]

    found = [(answer.status_code, answer.json()["code"], answer.json()["outcome"]) for answer in answers]
    assert found == [(503, "database_read_only", "not_applied")] * len(WRITES)
    assert everything(api) == before


def test_a_write_that_a_deadlock_ended_is_done_again(api: Api, headers: dict[str, str]) -> None:
    api.sql(f"UPDATE event SET vehicle_id = '{VEHICLE}'")
    set_for_database(api, "deadlock_timeout", "100ms")
    api.sql(*DELETE_WAITS)
    with (
        held(api.database_url, "SET deadlock_timeout = '1h'", "UPDATE event SET title = 'Autre'") as lock,
        held(api.database_url, "SELECT pg_advisory_xact_lock(42)") as gate,
    ):
        pending = in_background(lambda: api.delete(f"/api/vehicles/{VEHICLE}", headers=headers))
        until(gate.waiting, "the service to hold the vehicle")
        other = in_background(lambda: lock.run("UPDATE vehicle SET marque = 'Autre'"))
        until(lambda: api.sql(WAITS_FOR_THE_VEHICLE), "the other to wait for the vehicle")

        gate.release()  # the service goes on to the event: now each waits for the other
        other.result()  # comes because the service's transaction ended
        lock.run("COMMIT")

        assert pending.result().status_code == 200
    assert [tuple(row) for row in api.sql("SELECT title, vehicle_id FROM event")] == [("Autre", None)]


def test_a_write_that_could_not_be_serialized_is_done_again(api: Api, headers: dict[str, str]) -> None:
    set_for_database(api, "default_transaction_isolation", "repeatable read")
    with held(api.database_url, "UPDATE event SET title = 'Autre'") as lock:
        pending = in_background(lambda: api.patch(f"/api/events/{EVENT}", json={"location": "Dépôt"}, headers=headers))
        until(lock.waiting, "the service to wait for the lock")

        lock.run("COMMIT")

        assert pending.result().status_code == 200
    assert [tuple(row) for row in api.sql("SELECT title, location FROM event")] == [("Autre", "Dépôt")]


def waiting_for_the_standby(api: Api) -> int:
    """The process of the backend whose COMMIT waits."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
    pid: int = until(lambda: api.sql(waiting), "the service to wait for the standby")[0][0]
    return pid


@pytest.mark.parametrize("ending", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_write_that_no_standby_confirmed_is_of_unknown_outcome(
    api: Api, headers: dict[str, str], postgres: EmbeddedPostgres, ending: str
) -> None:
    with server_setting(postgres.url(), "synchronous_standby_names", "nobody"):
        pending = in_background(lambda: api.post("/api/events", json=an_event(), headers=headers))

        api.sql(f"SELECT {ending}({waiting_for_the_standby(api)})")

        answer = pending.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert answer.json()["outcome"] == "unknown"


def test_a_commit_that_hangs_and_cannot_be_ended_is_of_unknown_outcome(
    api: Api, headers: dict[str, str], postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = Event()
    limit_commits(monkeypatch, lambda _: frozen.is_set())
    usual(monkeypatch, "store.statements.SETTLE")
    with server_setting(postgres.url(), "synchronous_standby_names", "nobody"):
        pending = in_background(lambda: api.post("/api/events", json=an_event(), headers=headers))
        pid = waiting_for_the_standby(api)
        os.kill(pid, signal.SIGSTOP)
        try:
            frozen.set()

            answer = pending.result()
        finally:
            os.kill(pid, signal.SIGCONT)
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert answer.json()["outcome"] == "unknown"
