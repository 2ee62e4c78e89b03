"""What the public website sees: public vehicles with their public fields, and published events."""

import pytest

from harness import Api, Person
from rows import create, pages

PRIVATE = {"id", "fuel", "mileage", "isPublic", "updatedBy", "version"}
HIDDEN = [{"isVisible": False}, '{"isVisible": false, "couleur": "rouge"}']
SHOWN: list[object] = [None, {}, {"isVisible": True}, {"isVisible": None}, {"isVisible": "false"}, {"isVisible": 0}]


@pytest.mark.parametrize("prefix", ["/public", "/api/public"])
def test_the_public_routes_are_bare_and_need_no_token(api: Api, manager: Person, prefix: str) -> None:
    vehicle = create(api, manager, "vehicles", parc="920", fuel=12, mileage=3)
    event = create(api, manager, "events", id="sortie", status="PUBLISHED", vehicleId="920")
    assert event.pop("updatedBy") == manager.id
    shown = {name: value for name, value in vehicle.items() if name not in PRIVATE}

    answers = {path: api.get(f"{prefix}{path}") for path in (
        "/vehicles", "/vehicles/920", "/vehicles/920/events", "/events", "/events/sortie",
    )}  # fmt: skip

    assert {path: answer.json() for path, answer in answers.items()} == {
        "/vehicles": [shown],
        "/vehicles/920": shown,
        "/vehicles/920/events": [event],
        "/events": [event],
        "/events/sortie": event,
    }
    assert {answer.headers["X-Data-Source"] for answer in answers.values()} == {"postgres"}


def test_a_vehicle_that_is_not_public_is_unknown(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920", isPublic=False)
    create(api, manager, "events", status="PUBLISHED", vehicleId="920")

    answers = [api.get(f"/public/vehicles/{path}") for path in ("920", "920/events", "inconnu", "inconnu/events")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 4
    assert api.get("/public/vehicles").json() == []


def test_a_vehicle_that_is_not_public_is_not_taken_for_another(api: Api, manager: Person) -> None:
    other = create(api, manager, "vehicles")
    create(api, manager, "vehicles", parc=str(other["id"]), isPublic=False)

    answers = [api.get(f"/public/vehicles/{other['id']}{path}") for path in ("", "/events")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_public_vehicles_are_ordered_by_parc(api: Api, manager: Person) -> None:
    for parc in ("b", "92", "É", "B", "920"):
        create(api, manager, "vehicles", parc=parc)

    assert [row["parc"] for row in api.get("/public/vehicles").json()] == ["92", "920", "B", "b", "É"]


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_public_events_are_listed_newest_first(api: Api, manager: Person, limit: int) -> None:
    create(api, manager, "vehicles", parc="920")
    for day, id_ in ((1, "a"), (3, "c"), (2, "z"), (2, "b")):
        create(api, manager, "events", id=id_, date=f"2026-05-0{day}", status="PUBLISHED", vehicleId="920")
    create(api, manager, "events", id="autre", date="2026-05-02", status="PUBLISHED")

    every = [row["id"] for page in pages(api, f"/public/events?limit={limit}") for row in page]
    of_one = [row["id"] for page in pages(api, f"/public/vehicles/920/events?limit={limit}") for row in page]

    assert every == ["c", "autre", "b", "z", "a"]
    assert of_one == ["c", "b", "z", "a"]


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED"])
def test_an_event_that_is_not_published_is_unknown(api: Api, manager: Person, status: str) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", status=status, vehicleId="920", extras={"isVisible": True})

    assert not seen(api)


@pytest.mark.parametrize("extras", HIDDEN)
def test_an_event_made_invisible_is_unknown(api: Api, manager: Person, extras: object) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", status="PUBLISHED", vehicleId="920", extras=extras)

    assert not seen(api)


@pytest.mark.parametrize("extras", SHOWN, ids=str)
def test_an_event_is_visible_unless_it_says_false(api: Api, manager: Person, extras: object) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", status="PUBLISHED", vehicleId="920", extras=extras)

    assert seen(api)


def test_what_members_change_is_public_at_once(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", vehicleId="920")

    api.put("/api/events/sortie", json={"status": "PUBLISHED"}, headers=manager.headers)
    published = seen(api)
    api.put("/api/vehicles/920", json={"isPublic": False}, headers=manager.headers)

    assert published
    assert api.get("/public/events/sortie").status_code == 200
    assert api.get("/public/vehicles/920/events").status_code == 404


@pytest.mark.parametrize("path", ["/public", "/public/members", "/public/members/1", "/api/public"])
def test_nothing_else_is_public(api: Api, path: str) -> None:
    answer = api.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")


def seen(api: Api) -> bool:
    """Whether the event `sortie` of vehicle 920 is shown, which every route must see alike."""
    lists = [api.get(path).json() for path in ("/public/events", "/public/vehicles/920/events")]
    found = {api.get("/public/events/sortie").status_code == 200, *(len(rows) == 1 for rows in lists)}
    assert len(found) == 1
    return found.pop()
