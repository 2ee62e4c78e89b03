"""Vehicles over HTTP."""

import pytest

from builders import a_vehicle
from harness import Api, Person
from rows import create, read, refused_fields

PAIRS = [{"label": "Places assises", "value": "31"}, {"label": "Moteur", "value": "OM 906"}]
IMAGES = ["https://images.example.org/920/avant.jpg", "/uploads/920.jpg"]


def test_a_created_vehicle_is_read_back_as_it_was_answered(api: Api, manager: Person) -> None:
    created = api.post("/api/vehicles", json=a_vehicle(parc="12 bis é"), headers=manager.headers)

    found = api.get(created.headers["Location"], headers=manager.headers)

    assert (created.status_code, found.status_code) == (201, 200)
    assert created.headers["Location"] == "/api/vehicles/12%20bis%20%C3%A9"
    assert found.json() == created.json()
    assert found.headers["ETag"] == created.headers["ETag"]
    assert found.headers["X-Data-Source"] == created.headers["X-Data-Source"] == "postgres"


def test_what_a_new_vehicle_does_not_say_has_its_default(api: Api, manager: Person) -> None:
    row = api.post("/api/vehicles", json={"parc": "920"}, headers=manager.headers).json()

    assert all(row.pop(name) for name in ("id", "createdAt", "updatedAt", "updatedBy", "version"))
    assert {name: value for name, value in row.items() if value is not None} == {
        "parc": "920", "type": "Bus", "modele": "", "etat": "disponible", "caracteristiques": [], "gallery": [],
        "isPublic": False,
    }  # fmt: skip
    assert sorted(name for name, value in row.items() if value is None) == [
        "backgroundImage", "backgroundPosition", "description", "energie", "fuel", "history", "immat", "marque",
        "mileage", "miseEnCirculation", "subtitle",
    ]  # fmt: skip


def test_a_parc_that_is_taken_is_a_conflict(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")

    answer = api.post("/api/vehicles", json={"parc": " 920 "}, headers=manager.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    assert refused_fields(answer.json()) == ["parc"]


def test_a_parc_is_always_text_and_trimmed(api: Api, manager: Person) -> None:
    rows = [create(api, manager, "vehicles", parc=parc) for parc in (920, 921.0, " PR 100 ", "x" * 50)]

    assert [row["parc"] for row in rows] == ["920", "921", "PR 100", "x" * 50]


@pytest.mark.parametrize(("field", "limit"), [("fuel", "100"), ("mileage", "100\u202f000\u202f000")])
def test_a_number_that_is_too_high_is_refused_with_its_limit(api: Api, manager: Person, field: str, limit: str) -> None:
    answer = api.post("/api/vehicles", json=a_vehicle() | {field: 1e9}, headers=manager.headers)

    assert (answer.status_code, answer.json()["errors"]) == (422, [{"field": field, "message": f"au plus {limit}"}])


@pytest.mark.parametrize("bad", ["", "  ", None, "a/b", "x" * 51, "a\nb", 1.5, True, 2**53 + 1])
def test_a_parc_that_no_address_could_name_is_refused(api: Api, manager: Person, bad: object) -> None:
    answer = api.post("/api/vehicles", json=a_vehicle(parc=bad), headers=manager.headers)

    assert (answer.status_code, refused_fields(answer.json())) == (422, ["parc"])


def test_a_parc_is_needed(api: Api, manager: Person) -> None:
    answer = api.post("/api/vehicles", json={"modele": "SC10"}, headers=manager.headers)

    assert (answer.status_code, refused_fields(answer.json())) == (422, ["parc"])


def test_neither_id_nor_parc_change(api: Api, manager: Person) -> None:
    row = create(api, manager, "vehicles", parc="920")

    answer = api.put("/api/vehicles/920", json={"id": 7, "parc": "921", "etat": "en panne"}, headers=manager.headers)

    assert answer.status_code == 200
    assert [answer.json()[name] for name in ("id", "parc", "etat")] == [row["id"], "920", "en panne"]


def test_a_repeated_delete_removes_no_other_vehicle(api: Api, manager: Person) -> None:
    other = create(api, manager, "vehicles", parc="920")
    path = f"/api/vehicles/{other['id']}"
    create(api, manager, "vehicles", parc=str(other["id"]))

    answers = [api.delete(path, headers=manager.headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 404]
    assert read(api, manager, "vehicles", other) == other


def test_the_numeric_id_of_a_vehicle_is_no_address(api: Api, manager: Person) -> None:
    row = create(api, manager, "vehicles", parc="A1", isPublic=True)
    path, body = f"/api/vehicles/{row['id']}", {"etat": "en panne"}

    answers = [
        api.get(path, headers=manager.headers),
        api.put(path, json=body, headers=manager.headers),
        api.patch(path, json=body, headers=manager.headers),
        api.delete(path, headers=manager.headers),
        api.get(f"/public/vehicles/{row['id']}"),
        api.get(f"/public/vehicles/{row['id']}/events"),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 6
    assert read(api, manager, "vehicles", row) == row


def test_a_key_in_an_address_is_compared_in_nfc(api: Api, manager: Person) -> None:
    row = create(api, manager, "vehicles", parc="12 bis e\u0301")

    found = api.get("/api/vehicles/12%20bis%20e%CC%81", headers=manager.headers)
    deleted = api.delete("/api/vehicles/12%20bis%20e%CC%81", headers=manager.headers)

    assert (row["parc"], found.json(), deleted.status_code) == ("12 bis \u00e9", row, 200)
    assert api.get("/api/vehicles/12%20bis%20%C3%A9", headers=manager.headers).status_code == 404


@pytest.mark.parametrize("key", ["inconnu", "2147483647", "2147483648", "²", "-1", pytest.param("9" * 5000, id="long")])
def test_an_unknown_vehicle_is_not_found(api: Api, manager: Person, key: str) -> None:
    path = f"/api/vehicles/{key}"

    answers = [
        api.get(path, headers=manager.headers),
        api.put(path, json={"etat": "x"}, headers=manager.headers),
        api.patch(path, json={"etat": "x"}, headers=manager.headers),
        api.delete(path, headers=manager.headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 4


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("caracteristiques", '[{"label":"Places assises","value":"31"},{"value":"OM 906","label":"Moteur"}]', PAIRS),
        ("gallery", '["https://images.example.org/920/avant.jpg", "/uploads/920.jpg"]', IMAGES),
    ],
)
def test_a_list_comes_as_an_array_or_as_text_and_is_sent_as_an_array(
    api: Api, manager: Person, field: str, text: str, value: object
) -> None:
    rows = [create(api, manager, "vehicles", **{field: sent}) for sent in (value, text)]

    assert [row[field] for row in rows] == [value, value]


@pytest.mark.parametrize("field", ["caracteristiques", "gallery"])
@pytest.mark.parametrize("nothing", [None, "", "null", "[]", []])
def test_no_list_is_an_empty_list(api: Api, manager: Person, field: str, nothing: object) -> None:
    row = create(api, manager, "vehicles", caracteristiques=PAIRS, gallery=IMAGES)

    answer = api.put(f"/api/vehicles/{row['parc']}", json={field: nothing}, headers=manager.headers)

    assert answer.status_code == 200
    assert answer.json()[field] == []


def test_a_deleted_vehicle_leaves_its_events_without_a_vehicle(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")
    before = create(api, manager, "events", vehicleId="920")

    answer = api.delete("/api/vehicles/920", headers=manager.headers)
    after = read(api, manager, "events", before)

    assert answer.json() == {"ok": True}
    assert after["vehicleId"] is None
    assert after["version"] > before["version"]
    assert {**before, **{name: after[name] for name in ("vehicleId", "version", "updatedAt")}} == after


@pytest.mark.parametrize("parc", ["9\u200b20", "\u200f920", "920\ufeff", "\u3164"])
def test_a_parc_that_looks_like_another_is_refused(api: Api, manager: Person, parc: str) -> None:
    answer = api.post("/api/vehicles", json={"parc": parc}, headers=manager.headers)

    assert answer.status_code == 422
    assert "caractère invisible refusé" in answer.json()["errors"][0]["message"]
