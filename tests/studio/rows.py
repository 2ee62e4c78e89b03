"""Rows that tests of the Studio look at, made through the API or beside it."""

from typing import Any

from builders import a_member, a_vehicle, an_event
from harness import Api, Person

PLURALS = {"vehicle": "vehicles", "event": "events", "member": "members"}
BODIES = {"vehicle": a_vehicle, "event": an_event, "member": a_member}


def create(api: Api, who: Person, kind: str, **fields: Any) -> dict[str, Any]:
    """A new row of this kind with these fields, as the API answers it."""
    answer = api.post(f"/api/{PLURALS[kind]}", json=BODIES[kind](**fields), headers=who.headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def change(api: Api, who: Person, kind: str, key: str, **fields: Any) -> None:
    """Another client changes a row."""
    answer = api.patch(f"/api/{PLURALS[kind]}/{key}", json=fields, headers=who.headers)
    assert answer.status_code == 200, answer.text


def read(api: Api, who: Person, kind: str, key: str) -> dict[str, Any]:
    """A row as the API has it now."""
    found: dict[str, Any] = api.get(f"/api/{PLURALS[kind]}/{key}", headers=who.headers).json()
    return found
