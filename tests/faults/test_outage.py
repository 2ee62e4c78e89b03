"""Postgres away, in strict mode: refused fast, the same way everywhere, and over as soon as Postgres is back."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from faults.background import at_once
from faults.proxy import Proxy
from faults.service import Service
from harness import Api, copy_database, process, run_sql, served, settings_for, until
from limits import ENDLESS
from operations import OPERATIONS, Operation, prepared, send
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.logbook import POSTGRES_READY, UNAVAILABLE
from retrobus.store import availability

pytestmark = pytest.mark.faults

ENVIRONMENT = {"DATABASE_TIMEOUT": "10"}
"""Of the service that the tests share: it notices a frozen server soon, and takes no pause of the machine for one."""

DATA = [
    operation
    for name, operation in OPERATIONS.items()
    if name not in {"health", "ready", "metrics", "me", "whoAmI", "listBackups", "status"}
]  # fmt: skip
"""Every operation that needs Postgres."""

Step = Callable[[EmbeddedPostgres], None]
OUTAGES: dict[str, tuple[Step, Step]] = {
    "stopped": (EmbeddedPostgres.stop, EmbeddedPostgres.start),
    "killed": (EmbeddedPostgres.kill, EmbeddedPostgres.start),
    "frozen": (EmbeddedPostgres.freeze, EmbeddedPostgres.thaw),
}


def assert_away(operation: Operation, answer: httpx.Response) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"], body["error"]) == (503, "database_unavailable", UNAVAILABLE)
    assert answer.headers["Retry-After"] == "1"
    assert body.get("outcome") == (None if operation.method == "GET" else "not_applied")


def assert_all_refused(api: Api, headers: dict[str, str]) -> None:
    """Sends every operation over sixteen connections."""
    answers = at_once(partial(send, api, operation, headers) for operation in DATA)
    for operation, answer in zip(DATA, answers, strict=True):
        assert_away(operation, answer)


@pytest.mark.parametrize(("go", "come"), OUTAGES.values(), ids=OUTAGES)
def test_an_outage_is_refused_everywhere_and_ends_by_itself(
    service: Service, postgres: EmbeddedPostgres, go: Step, come: Step
) -> None:
    usual = service.api.get("/ready").json()
    lost, found = service.process.log.count(f'"{UNAVAILABLE}"'), service.process.log.count(POSTGRES_READY)

    go(postgres)
    for _ in range(2):
        assert_all_refused(service.api, service.headers)
    health, ready = service.api.get("/health"), service.api.get("/ready")
    me = service.api.get("/api/me", headers=service.headers)
    status = service.api.get("/api/status", headers=service.headers)
    backups = service.api.get("/api/backups", headers=service.headers)
    come(postgres)
    until(service.is_reading, "the first answer from Postgres")

    assert health.status_code == 200
    assert (ready.status_code, ready.json()["database"], ready.json()["ready"]) == (503, "down", False)
    assert ready.json().keys() == usual.keys()
    assert (me.status_code, me.headers["X-Data-Source"], me.json()["user"]["role"]) == (200, "token", "ADMIN")
    assert (status.status_code, status.headers["X-Data-Source"]) == (200, "token")
    assert (status.json()["ready"], status.json()["counts"], status.json()["database"]) == (False, None, "down")
    assert (backups.status_code, backups.headers["X-Data-Source"]) == (200, "token")
    until(lambda: service.api.get("/ready").status_code == 200, "/ready")
    assert service.process.log.count(f'"{UNAVAILABLE}"') == lost + 1
    assert service.process.log.count(POSTGRES_READY) == found + 1


def test_the_loss_of_postgres_is_noticed_within_the_limit_of_the_operator() -> None:
    """A request that waits at the moment of the loss waits for both parts, one after the other."""
    assert availability.PATIENCE + availability.ANSWER <= 1


def test_while_postgres_is_away_no_request_asks_for_it(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks a server that hangs waits for it."""
    monkeypatch.setattr(availability, "PROBE_INTERVAL", ENDLESS)  # else the service itself asks now and then
    settings = settings_for(line.url(own_database), database_timeout=5)
    with served(settings, postgres.url(own_database)) as api:
        headers = prepared(api)["ADMIN"]
        line.become("black hole")
        until(lambda: api.get("/public/events").status_code == 503, "the refusal")
        asked = line.arrivals

        for _ in range(3):
            assert_all_refused(api, headers)

        assert line.arrivals == asked


def test_a_black_hole_is_an_outage_that_ends_by_itself(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str
) -> None:
    settings = settings_for(line.url(own_database), database_timeout=5)
    with served(settings, postgres.url(own_database)) as api:
        who = api.person()
        events = partial(api.get, "/api/events", headers=who.headers)
        until(lambda: events().status_code == 200, "the first answer from Postgres")

        line.become("black hole")
        answer = events()
        seen = line.arrivals
        until(lambda: line.arrivals > seen, "an attempt that will hang although the line is well again")
        line.become("pass")

        assert_away(OPERATIONS["listEvents"], answer)
        until(lambda: events().status_code == 200, "the first answer from Postgres")


def test_a_service_that_starts_without_postgres_serves_when_it_comes(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    url = postgres.url(own_database)
    postgres.stop()
    with process(url, tmp_path) as (api, serving):
        assert api.get("/ready").status_code == 503
        assert_away(OPERATIONS["listPublicEvents"], api.get("/public/events"))

        postgres.start()

        until(lambda: api.get("/public/events").status_code == 200, "the first answer from Postgres")
        assert api.get("/ready").json()["ready"]
        assert serving.log.index(UNAVAILABLE) < serving.log.index(POSTGRES_READY)


def test_a_database_that_is_dropped_is_away_until_it_is_made_again(
    postgres: EmbeddedPostgres, own_database: str
) -> None:
    url = postgres.url(own_database)
    with served(settings_for(url), url) as api:
        assert api.get("/public/events").status_code == 200

        run_sql(postgres.url(), f"DROP DATABASE {own_database} WITH (FORCE)")

        assert_away(OPERATIONS["listPublicEvents"], api.get("/public/events"))
        copy_database(postgres.url(), own_database, "faults_template")
        until(lambda: api.get("/public/events").status_code == 200, "the first answer from Postgres")
