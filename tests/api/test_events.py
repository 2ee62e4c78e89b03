"""Events over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from builders import an_event
from harness import Api, Person
from rows import create, refused_fields

SLUG = "Sortie_2026.05~a-b"


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


@pytest.mark.parametrize("terms", [{}, {"If-Match": "*"}, {"Idempotency-Key": "k1"}], ids=["plain", "match", "key"])
def test_row_and_tombstone_name_the_member_however_the_write_goes(
    api: Api, manager: Person, terms: dict[str, str]
) -> None:
    create(api, manager, "events", id="sortie")
    other = api.person("BUREAU")
    headers = other.headers | terms

    changed = api.patch("/api/events/sortie", json={"title": "Visite"}, headers=headers)
    again = api.patch("/api/events/sortie", json={"title": "Visite"}, headers=headers)
    deleted = api.delete("/api/events/sortie", headers=headers)

    assert (changed.json()["updatedBy"], again.json()["updatedBy"], deleted.status_code) == (other.id, other.id, 200)
    assert [tuple(row) for row in api.sql("SELECT actor FROM deletion WHERE resource = 'Event'")] == [(other.id,)]


def test_an_event_without_an_id_of_its_own_gets_a_uuid_ordered_by_time(api: Api, manager: Person) -> None:
    first, second = create(api, manager, "events"), create(api, manager, "events", id="")

    ids = [UUID(first["id"]), UUID(second["id"])]

    assert [found.version for found in ids] == [7, 7]
    assert ids[0].int >> 80 <= ids[1].int >> 80


def test_what_a_new_event_does_not_say_has_its_default(api: Api, manager: Person) -> None:
    row = create(api, manager, "events", id=SLUG)

    said = {name: row.pop(name) for name in ("id", "title", "date")}
    stamps = {name: row.pop(name) for name in ("createdAt", "updatedAt", "updatedBy", "version")}

    assert said == an_event(id=SLUG)
    assert all(stamps.values())
    assert row.pop("status") == "DRAFT"
    assert row.pop("currentParticipants") == 0
    assert set(row.values()) == {None}
    assert sorted(row) == [
        "adultPrice", "childPrice", "description", "extras", "helloAssoUrl", "layout", "location", "maxParticipants",
        "time", "vehicleId",
    ]  # fmt: skip


def test_an_id_that_is_taken_is_a_conflict(api: Api, manager: Person) -> None:
    create(api, manager, "events", id=SLUG)

    answer = api.post("/api/events", json=an_event(id=SLUG, title="Autre"), headers=manager.headers)

    assert answer.status_code == 409
    assert answer.json()["code"] == "duplicate"
    assert refused_fields(answer.json()) == ["id"]


def test_of_many_who_want_one_id_at_once_one_gets_it(api: Api, manager: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(api.post, "/api/events", json=an_event(id=SLUG), headers=manager.headers) for _ in range(8)]

    assert sorted(one.result().status_code for one in sent) == [201] + [409] * 7


@pytest.mark.parametrize("bad", ["a b", "é", "a/b", ".", "..", "x" * 101, 12])
def test_an_id_that_no_address_could_name_is_refused(api: Api, manager: Person, bad: object) -> None:
    answer = api.post("/api/events", json=an_event(id=bad), headers=manager.headers)

    assert answer.status_code == 422
    assert refused_fields(answer.json()) == ["id"]


def test_an_id_does_not_change(api: Api, manager: Person) -> None:
    row = create(api, manager, "events", id="a" * 100)

    answer = api.put(f"/api/events/{row['id']}", json={"id": "autre", "title": "Autre"}, headers=manager.headers)

    assert (answer.json()["id"], answer.json()["title"]) == (row["id"], "Autre")


def test_title_and_date_are_needed(api: Api, manager: Person) -> None:
    answer = api.post("/api/events", json={"location": "Dépôt"}, headers=manager.headers)

    assert answer.status_code == 422
    assert refused_fields(answer.json()) == ["date", "title"]


@pytest.mark.parametrize("sent", [{"isVisible": False, "é": [1, 2.5, None]}, '{"é":[1,2.5,null],"isVisible":false}'])
def test_extras_come_as_an_object_or_as_text_and_are_sent_as_text(api: Api, manager: Person, sent: object) -> None:
    row = create(api, manager, "events", extras=sent)

    assert isinstance(row["extras"], str)
    assert json.loads(row["extras"]) == {"isVisible": False, "é": [1, 2.5, None]}
    assert api.sql("SELECT jsonb_typeof(extras) FROM event")[0][0] == "object"


@pytest.mark.parametrize("sent", [None, "", "null"])
def test_extras_can_be_nothing(api: Api, manager: Person, sent: object) -> None:
    row = create(api, manager, "events", extras={"isVisible": True})

    answer = api.put(f"/api/events/{row['id']}", json={"extras": sent}, headers=manager.headers)

    assert answer.status_code == 200
    assert answer.json()["extras"] is None


def test_an_event_names_its_vehicle_by_parc(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")

    row = create(api, manager, "events", vehicleId="920")

    assert row["vehicleId"] == "920"


def test_an_unknown_vehicle_is_refused_in_a_change_too(api: Api, manager: Person) -> None:
    row = create(api, manager, "events")

    answer = api.put(f"/api/events/{row['id']}", json={"vehicleId": "inconnu"}, headers=manager.headers)

    assert answer.status_code == 422
    assert refused_fields(answer.json()) == ["vehicleId"]


def test_prices_have_two_decimals_and_may_come_as_text(api: Api, manager: Person) -> None:
    row = create(api, manager, "events", adultPrice="12.50", childPrice=7.05)

    assert (row["adultPrice"], row["childPrice"]) == (12.5, 7.05)
