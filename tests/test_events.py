"""Events over HTTP."""

from builders import an_event
from harness import Api, Person


def test_a_created_event_is_read_back_as_it_was_answered(api: Api, manager: Person) -> None:
    created = api.post("/api/events", json=an_event(extras={"isVisible": True}), headers=manager.headers)

    found = api.get(created.headers["Location"], headers=manager.headers)

    assert created.status_code == 201
    assert found.status_code == 200
    assert found.json() == created.json()
    assert found.headers["ETag"] == created.headers["ETag"]
    assert found.headers["X-Data-Source"] == "postgres"


def test_a_deleted_event_is_gone_and_leaves_a_tombstone(api: Api, manager: Person) -> None:
    path = api.post("/api/events", json=an_event(id="sortie"), headers=manager.headers).headers["Location"]

    answer = api.delete(path, headers=manager.headers)

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert api.get(path, headers=manager.headers).status_code == 404
    [tombstone] = api.sql("SELECT key, cause, actor FROM deletion WHERE resource = 'Event'")
    assert tuple(tombstone) == ("sortie", "api", manager.id)
