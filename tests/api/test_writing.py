"""What every write of every resource promises."""

import re
from typing import Any

import pytest

from builders import Body
from harness import Api, Person
from rows import BODIES, KINDS, create, path_of, read

STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
CHANGES = {"events": {"status": "PUBLISHED"}, "vehicles": {"etat": "en panne"}, "members": {"city": "Reims"}}
CHANGED = {"version", "updatedAt"}
NULLABLE: dict[str, Body] = {
    "events": {
        "time": "09:30", "location": "Dépôt", "description": "Une\nsortie", "helloAssoUrl": "https://example.org/don",
        "layout": "carte", "adultPrice": 12.5, "childPrice": 6, "vehicleId": "920", "extras": "{}",
        "maxParticipants": 40,
    },
    "vehicles": {
        "marque": "Saviem", "subtitle": "Le standard", "immat": "WW-920-RB",
        "miseEnCirculation": "1973-03-12T00:00:00.000Z", "energie": "Diesel", "description": "Une\nlivrée",
        "history": "Longue", "backgroundImage": "https://example.org/920.jpg", "backgroundPosition": "center",
        "fuel": 62.5, "mileage": 684213.5,
    },
    "members": {
        "phone": "+33 1 99 00 00 00", "address": "1 rue du Dépôt", "city": "Lyon", "postalCode": "69000",
        "birthDate": "1961-02-03T00:00:00.000Z", "memberNumber": "2026-001", "matricule": "RB-1",
        "membershipStartDate": "2026-01-01T00:00:00.000Z", "membershipEndDate": "2026-12-31T00:00:00.000Z",
        "paymentAmount": 30, "paymentMethod": "CHECK", "notes": "Permis\nD",
    },
}  # fmt: skip
NUMBERS = [
    ("events", "adultPrice"), ("events", "childPrice"), ("events", "maxParticipants"), ("vehicles", "fuel"),
    ("vehicles", "mileage"), ("members", "paymentAmount"),
]  # fmt: skip
TIMES = [
    ("2026-05-01", "2026-05-01T00:00:00.000Z"),
    ("2026-05-01T09:30:00Z", "2026-05-01T09:30:00.000Z"),
    ("2026-05-01T09:30:00.1239Z", "2026-05-01T09:30:00.123Z"),
    ("2026-05-01T01:30:00.5+02:00", "2026-04-30T23:30:00.500Z"),
]
INSTANTS = [("events", "date"), ("vehicles", "miseEnCirculation"), ("members", "birthDate")]


def filled(api: Api, who: Person, kind: str) -> Body:
    """A row whose every nullable field says something."""
    if kind == "events":
        create(api, who, "vehicles", parc="920")
    return create(api, who, kind, **NULLABLE[kind])


def change(api: Api, who: Person, kind: str, row: Body, body: object, method: str = "PUT") -> Body:
    answer = api.request(method, path_of(kind, row), json=body, headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def without(row: Body, names: set[str]) -> Body:
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_answered_with_what_was_sent(api: Api, manager: Person, kind: str) -> None:
    row = filled(api, manager, kind)

    assert {name: row[name] for name in NULLABLE[kind]} == NULLABLE[kind]
    assert STAMP.fullmatch(row["createdAt"])
    assert row["updatedAt"] == row["createdAt"]
    assert read(api, manager, kind, row) == row


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_key_means_unchanged(api: Api, manager: Person, kind: str, method: str) -> None:
    before = filled(api, manager, kind)

    after = change(api, manager, kind, before, CHANGES[kind], method)

    assert after["version"] > before["version"]
    assert after["updatedAt"] >= before["updatedAt"]
    assert without(after, CHANGED) == without(before, CHANGED) | CHANGES[kind]
    assert read(api, manager, kind, before) == after


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_row_sent_back_changes_nothing(api: Api, manager: Person, kind: str) -> None:
    row = filled(api, manager, kind)

    assert change(api, manager, kind, row, row) == row


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_and_what_the_service_alone_writes_are_ignored(api: Api, manager: Person, kind: str) -> None:
    row = filled(api, manager, kind)
    own = dict.fromkeys(
        ("version", "createdAt", "updatedAt", "updatedBy", "currentParticipants", "createdBy", "couleur"), -1
    )

    after = change(api, manager, kind, row, {**row, **own, **CHANGES[kind]})
    created = create(api, manager, kind, **own)

    assert without(after, CHANGED) == without(row, CHANGED) | CHANGES[kind]
    assert -1 not in created.values()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_text_means_null_where_null_is_allowed(api: Api, manager: Person, kind: str) -> None:
    row = filled(api, manager, kind)

    after = change(api, manager, kind, row, dict.fromkeys(NULLABLE[kind], ""))

    assert {name: after[name] for name in NULLABLE[kind]} == dict.fromkeys(NULLABLE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_null_means_null_where_null_is_allowed(api: Api, manager: Person, kind: str) -> None:
    row = filled(api, manager, kind)

    after = change(api, manager, kind, row, dict.fromkeys(NULLABLE[kind]))

    assert {name: after[name] for name in NULLABLE[kind]} == dict.fromkeys(NULLABLE[kind])


@pytest.mark.parametrize("zero", [0, "0.00"])
@pytest.mark.parametrize(("kind", "field"), NUMBERS)
def test_zero_is_not_null(api: Api, manager: Person, kind: str, field: str, zero: object) -> None:
    row = create(api, manager, kind, **{field: zero})

    assert row[field] == 0
    assert row[field] is not None


@pytest.mark.parametrize(("sent", "told"), TIMES)
@pytest.mark.parametrize(("kind", "field"), INSTANTS)
def test_an_instant_is_told_in_utc_to_the_millisecond(
    api: Api, manager: Person, kind: str, field: str, sent: str, told: str
) -> None:
    row = create(api, manager, kind, **{field: sent})

    assert row[field] == told


@pytest.mark.parametrize("body", [{}, {"couleur": "rouge"}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_body_without_a_known_key_is_a_bad_request(api: Api, manager: Person, kind: str, body: Any) -> None:
    path = path_of(kind, create(api, manager, kind))

    answers = [api.request(method, path, json=body, headers=manager.headers) for method in ("PUT", "PATCH")]
    answers.append(api.post(f"/api/{kind}", json=body, headers=manager.headers))

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(400, "no_known_field")] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_routes_also_answer_without_their_prefix(api: Api, manager: Person, kind: str) -> None:
    row = api.post(f"/{kind}", json=BODIES[kind](), headers=manager.headers).json()
    path = path_of(kind, row).removeprefix("/api")

    after = api.put(path, json=CHANGES[kind], headers=manager.headers).json()
    patched = api.patch(path, json=CHANGES[kind], headers=manager.headers).json()

    assert api.get(path, headers=manager.headers).json() == read(api, manager, kind, row) == after == patched
    assert after in api.get(f"/{kind}", headers=manager.headers).json()[kind]
    assert api.delete(path, headers=manager.headers).json() == {"ok": True}
    assert api.get(path_of(kind, row), headers=manager.headers).status_code == 404
