"""A Postgres that lives but cannot do everything now: that is no outage, and no bug either."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from string import ascii_letters

import httpx
import pytest

from builders import an_event
from faults.background import at_once, in_background
from faults.proxy import Proxy
from faults.psql import end_connections, server_setting
from faults.service import Service
from harness import LONGEST, Api, run_sql, served, settings_for, until
from limits import clock_of, of_a_process, usual
from locks import held
from operations import OPERATIONS, prepared, send
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.store import pool
from routes import EVENT

pytestmark = pytest.mark.faults

POOL = 20
ENVIRONMENT = of_a_process(store__pool__ACQUIRE_TIMEOUT=1.0)
"""Of the service that the tests share: a request waits for a connection as long as in the program."""

OUTAGES = 'retrobus_database_changes_total{to="down"}'
READS = [
    operation for name, operation in OPERATIONS.items() if operation.method == "GET" and "/" in operation.path[1:]
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_outage(service: Service) -> Iterator[None]:
    """Whatever these tests do to it, the service never takes Postgres for lost."""
    before = service.outages
    yield
    assert service.outages == before


def read_everything(service: Service) -> set[int]:
    """The statuses of every read, three times over, sixteen at once; of files one by one: few are made at once."""
    files = [each for each in READS if each.path.endswith(".csv")]
    rows = [each for each in READS if each not in files]
    answers = at_once(partial(send, service.api, each, service.headers) for each in rows * 3)
    return {answer.status_code for answer in [*answers, *(send(service.api, each, service.headers) for each in files)]}


def change_event(service: Service, **fields: object) -> httpx.Response:
    return service.api.patch(f"/api/events/{EVENT}", json=fields, headers=service.headers)


def assert_busy(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "database_busy", "1")


def test_backends_that_are_killed_while_idle_are_not_noticed(service: Service) -> None:
    for _ in range(3):
        assert read_everything(service) == {200}

        assert end_connections(service.api) > 0

        assert read_everything(service) == {200}
        assert change_event(service, location="Dépôt").status_code == 200


def test_a_backend_that_is_killed_in_mid_read_is_not_noticed(service: Service) -> None:
    with held(service.api.database_url, "LOCK TABLE event") as lock:
        reading = in_background(service.is_reading)
        until(lock.waiting, "the service to wait for the lock")

        end_connections(service.api)
        until(lock.waiting, "the service to wait for the lock")
        lock.run("COMMIT")

        assert reading.result()


def test_a_backend_that_is_killed_in_mid_write_is_not_noticed(service: Service) -> None:
    with held(service.api.database_url, "UPDATE event SET title = 'Autre'") as lock:
        writing = in_background(lambda: change_event(service, location="Quai"))
        until(lock.waiting, "the service to wait for the lock")

        end_connections(service.api)
        until(lock.waiting, "the service to wait for the lock")
        lock.run("COMMIT")

        assert writing.result().status_code == 200
    assert [tuple(row) for row in service.api.sql("SELECT title, location FROM event")] == [("Autre", "Quai")]


def test_an_exhausted_pool_is_busy(service: Service) -> None:
    with held(service.api.database_url, "LOCK TABLE event") as lock:
        readers = [in_background(lambda: service.api.get("/public/events")) for _ in range(POOL)]
        until(lambda: service.metric('retrobus_pool_connections{state="in_use"}') == POOL, "an exhausted pool")

        answer = service.api.get("/public/vehicles")
        ready = service.api.get("/ready")

        lock.run("COMMIT")
        assert {reader.result().status_code for reader in readers} == {200}
    assert_busy(answer)
    assert ready.status_code == 200


@pytest.fixture
def hasty(
    postgres: EmbeddedPostgres, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Api, dict[str, str]]]:
    """A service whose statements wait for a lock as long as in the program, and the headers of an ADMIN."""
    usual(monkeypatch, "store.opening.SESSION")
    url = postgres.url(own_database)
    with served(settings_for(url), url) as api:
        yield api, prepared(api)["ADMIN"]
        assert api.metric(OUTAGES) is None


def test_a_row_that_stays_locked_is_busy(hasty: tuple[Api, dict[str, str]]) -> None:
    api, headers = hasty
    with held(api.database_url, f"SELECT FROM event WHERE id = '{EVENT}' FOR UPDATE"):
        answer = api.patch(f"/api/events/{EVENT}", json={"location": "Quai"}, headers=headers)

    assert_busy(answer)
    assert answer.json()["outcome"] == "not_applied"


def test_a_table_that_stays_locked_is_busy(hasty: tuple[Api, dict[str, str]]) -> None:
    api, _ = hasty
    with held(api.database_url, "LOCK TABLE vehicle"):
        answers = at_once([lambda: api.get("/public/vehicles")] * POOL)

    for answer in answers:
        assert_busy(answer)


def test_a_column_that_comes_or_goes_makes_no_request_fail(service: Service) -> None:
    for change in ("ADD COLUMN remark text", "DROP COLUMN remark"):
        assert read_everything(service) == {200}
        assert {answer.status_code for answer in at_once([lambda: change_event(service, location="Quai")] * POOL)} == {
            200
        }

        service.api.sql(*(f"ALTER TABLE {table} {change}" for table in ("event", "vehicle", "member")))

        assert read_everything(service) == {200}
        assert {answer.status_code for answer in at_once([lambda: change_event(service, location="Gare")] * POOL)} == {
            200
        }


def test_a_read_only_server_refuses_writes_and_answers_reads(service: Service, postgres: EmbeddedPostgres) -> None:
    with server_setting(postgres.url(), "default_transaction_read_only", "on"):
        refused = at_once([partial(change_event, service, location="Quai")] * POOL)
        reads = read_everything(service)
    until(lambda: change_event(service, location="Gare").status_code == 200, "a write")

    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (503, "database_read_only")
        assert (answer.json()["outcome"], answer.headers["Retry-After"]) == ("not_applied", "30")
    assert reads == {200}


def test_connections_that_lead_to_a_former_primary_are_replaced(service: Service, postgres: EmbeddedPostgres) -> None:
    [[database]] = service.api.sql("SELECT current_database()")
    run_sql(postgres.url(), f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    end_connections(service.api)
    assert read_everything(service) == {200}  # on connections that will be read-only for as long as they live

    run_sql(postgres.url(), f"ALTER DATABASE {database} RESET default_transaction_read_only")
    writes = at_once([partial(change_event, service, location="Quai")] * POOL)

    assert {answer.status_code for answer in writes} == {200}


@contextmanager
def full_disk(service: Service, postgres: EmbeddedPostgres) -> Iterator[None]:
    """While open, the file that takes the long texts of events is a device that is always full."""
    [[place]] = service.api.sql("SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'event'")
    file = postgres.data / "cluster" / place
    aside = file.rename(file.with_suffix(".aside"))
    file.symlink_to("/dev/full")
    try:
        yield
    finally:
        aside.replace(file)
        end_connections(service.api)  # they keep the file open


def test_a_full_disk_refuses_the_writes_that_need_room_and_nothing_else(
    service: Service, postgres: EmbeddedPostgres
) -> None:
    long = "".join(random.choices(ascii_letters, k=20_000))
    with full_disk(service, postgres):
        answers = at_once([partial(change_event, service, description=long)] * POOL)
        small = change_event(service, location="Quai")
        reads = read_everything(service)

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "database_read_only")
        assert answer.json()["outcome"] == "not_applied"
    assert small.status_code == 200
    assert reads == {200}
    assert change_event(service, description=long).status_code == 200


def test_a_line_that_died_unnoticed_is_given_up_while_others_live(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual(monkeypatch, "store.pool.LONGEST_USE")
    clock = clock_of(monkeypatch, pool)
    with served(settings_for(line.url(own_database)), postgres.url(own_database)) as api:
        who = api.person("BUREAU")
        assert api.post("/api/events", json=an_event(id="sortie"), headers=who.headers).status_code == 201

        for method, path, body in (
            ("GET", "/public/events", None),
            ("PATCH", "/api/events/sortie", {"title": "Autre"}),
        ):
            line.silence()
            asking = in_background(partial(api.request, method, path, json=body, headers=who.headers))
            until(lambda: api.metric('retrobus_pool_connections{state="in_use"}') == 1, "the silent line to be used")
            clock.ahead += LONGEST

            assert asking.result().status_code == 200

        assert api.metric(OUTAGES) is None
