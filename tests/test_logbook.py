"""The log: what becomes of a line that nobody takes."""

import ast
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

import retrobus
from harness import Api, Person, served, settings_for
from retrobus import logbook


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


def test_every_call_gives_a_line_one_value_for_each_of_its_fields() -> None:
    found = list(calls())

    assert {name for name, _ in found} >= {"failover_lost", "journal_failed", "started", "stopping"}
    assert [call for call in found if len(getattr(logbook, call[0]).fields) != call[1]] == []


def calls() -> Iterator[tuple[str, int]]:
    """The name of the line and the number of values, of every call in the program."""
    for path in Path(retrobus.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name, holder = node.func.attr, ast.unparse(node.func.value)
                if holder == "logbook" and isinstance(getattr(logbook, name), logbook.Line):
                    assert not node.keywords, f"{path.name}: values of a line have no names"
                    yield name, len(node.args)
