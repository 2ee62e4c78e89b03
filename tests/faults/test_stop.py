"""SIGTERM: the service says that it leaves, ends what it began, and goes."""

import signal
from pathlib import Path

import pytest

from faults.background import in_background
from harness import process, until
from limits import of_a_process
from locks import held
from operations import prepared
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.serving.server import LONGEST_ANSWER
from routes import EVENT

pytestmark = pytest.mark.faults

NOTICE = 5.0
"""Seconds for which the service takes new connections after SIGTERM: a pause of this machine is shorter."""


def test_a_request_that_is_under_way_when_sigterm_comes_is_answered(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    with process(postgres.url(own_database), tmp_path, **of_a_process(serving__server__NOTICE=NOTICE)) as (
        api,
        serving,
    ):
        headers = prepared(api)["ADMIN"]
        with held(api.database_url, f"SELECT FROM event WHERE id = '{EVENT}' FOR UPDATE") as lock:
            change = {"title": "Autre"}
            writing = in_background(lambda: api.patch(f"/api/events/{EVENT}", json=change, headers=headers))
            until(lock.waiting, "the service to wait for the lock")

            serving.popen.send_signal(signal.SIGTERM)
            until(lambda: api.get("/ready").status_code == 503, "/ready to say that the service leaves")
            meanwhile = api.get("/public/events")
            lock.run("COMMIT")

            answer = writing.result()
        serving.wait()

    assert (answer.status_code, answer.json()["title"]) == (200, "Autre")
    assert meanwhile.status_code == 200
    assert "Traceback" not in serving.log


def test_a_service_without_postgres_stops_as_fast_as_any(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    url = postgres.url(own_database)
    with process(url, tmp_path, DATABASE_TIMEOUT="2") as (api, serving):
        postgres.freeze()
        until(lambda: api.get("/public/events").status_code == 503, "the refusal")

        serving.popen.send_signal(signal.SIGTERM)
        serving.popen.wait(LONGEST_ANSWER)

    assert "Traceback" not in serving.log
