"""What one Idempotency-Key counts for, and for how long."""

from uuid import UUID

import pytest

from builders import an_event
from harness import Api, Person
from repeats import KEY, count, keyed, same
from rows import create, path_of, read, refused_fields


def test_a_key_counts_for_one_method_and_path_and_member(api: Api, manager: Person, admin: Person) -> None:
    rows = [create(api, manager, "events") for _ in range(2)]
    said = {"location": "Dépôt"}

    answers = [api.put(path_of("events", row), json=said, headers=keyed(manager)) for row in rows]
    answers.append(api.patch(path_of("events", rows[0]), json={"layout": "carte"}, headers=keyed(manager)))
    answers.append(api.put(path_of("events", rows[0]), json={"location": "Gare"}, headers=keyed(admin)))

    assert [answer.status_code for answer in answers] == [200] * 4
    assert [read(api, manager, "events", row)["location"] for row in rows] == ["Gare", "Dépôt"]


def test_a_key_counts_for_a_path_whatever_its_spelling(api: Api, manager: Person) -> None:
    first, second = (api.post(path, json=an_event(), headers=keyed(manager)) for path in ("/api/events", "/events"))

    assert same(first, second)


def test_two_vehicles_whose_parc_looks_alike_in_an_address_are_not_mixed_up(api: Api, manager: Person) -> None:
    for parc in ("a?b", "a?c", "a%3Fb"):
        create(api, manager, "vehicles", parc=parc)

    for path in ("a%3Fb", "a%3Fc", "a%253Fb"):
        api.put(f"/api/vehicles/{path}", json={"etat": "en panne"}, headers=keyed(manager))

    assert api.sql("SELECT count(*) FROM vehicle WHERE etat = 'en panne'")[0][0] == 3


def test_the_id_of_a_created_row_derives_from_member_and_key(api: Api, manager: Person, admin: Person) -> None:
    made = [
        api.post("/api/events", json=an_event(), headers=keyed(who, key)).json()["id"]
        for who, key in ((manager, KEY), (manager, "autre"), (admin, KEY))
    ]
    api.sql("DELETE FROM idempotency", "DELETE FROM event")

    again = api.post("/api/events", json=an_event(), headers=keyed(manager)).json()["id"]

    assert again == made[0]
    assert UUID(again).version == 8
    assert len(set(made)) == 3


def test_a_key_is_free_again_after_a_day(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))
    api.put(path, json={"location": "Dépôt"}, headers=keyed(manager))

    api.sql("UPDATE idempotency SET created_at = created_at - interval '23 hours 50 minutes'")
    early = api.put(path, json={"location": "Gare"}, headers=keyed(manager))
    api.sql("UPDATE idempotency SET created_at = created_at - interval '11 minutes'")
    late = api.put(path, json={"location": "Gare"}, headers=keyed(manager))

    assert (early.status_code, late.status_code) == (422, 200)
    assert same(late, api.put(path, json={"location": "Gare"}, headers=keyed(manager)))


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "clé"])
def test_a_key_that_is_not_plain_text_is_refused(api: Api, manager: Person, key: str) -> None:
    headers = [*manager.headers.items(), ("Idempotency-Key", key.encode("latin-1"))]

    answer = api.post("/api/events", json=an_event(), headers=headers)  # type: ignore[arg-type]  # bytes in one value

    assert answer.status_code == 422
    assert refused_fields(answer.json()) == ["Idempotency-Key"]


def test_a_read_takes_no_notice_of_a_key(api: Api, manager: Person) -> None:
    row = create(api, manager, "events")

    answers = [api.get(path, headers=keyed(manager)) for path in ("/api/events", path_of("events", row))]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert count(api, "idempotency") == 0
