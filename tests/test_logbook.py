"""The log: what becomes of a line that nobody takes."""

import sys
from io import StringIO

import pytest

from harness import Api, Person, served, settings_for


def test_a_service_answers_also_when_its_error_output_is_gone(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(settings_for(database, log_level="debug"), database) as api:
        manager: Person = api.person("BUREAU")
        before = _status(api, manager)
        gone = StringIO()
        gone.close()
        monkeypatch.setattr(sys, "stderr", gone)

        assert _status(api, manager) == before == 200


def _status(api: Api, person: Person) -> int:
    return api.get("/api/events", headers=person.headers).status_code
