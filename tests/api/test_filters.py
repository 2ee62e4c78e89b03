"""Filters of lists over HTTP."""

import pytest

from harness import Api, Person
from rows import create, pages, rows_of


def two(api: Api, who: Person, kind: str, one: dict[str, object], other: dict[str, object]) -> tuple[str, str]:
    """The ids of two rows that differ."""
    first, second = create(api, who, kind, **one), create(api, who, kind, **other)
    return first["id"], second["id"]


@pytest.mark.parametrize(
    ("kind", "query", "wanted", "other"),
    [
        ("events", "status=PUBLISHED", {"status": "PUBLISHED"}, {"status": "DRAFT"}),
        ("events", "vehicleId=920", {"vehicleId": "920"}, {"vehicleId": None}),
        ("events", "from=2026-05-01", {"date": "2026-05-01T00:00:00.000Z"}, {"date": "2026-04-30T23:59:59.999Z"}),
        ("events", "to=2026-05-02", {"date": "2026-05-01T23:59:59.999Z"}, {"date": "2026-05-02T00:00:00.000Z"}),
        ("events", "from=2026-05-01T02:00:00+02:00", {"date": "2026-05-01"}, {"date": "2026-04-30"}),
        ("events", "from=2026-05-01T02:00:00%2B02:00", {"date": "2026-05-01"}, {"date": "2026-04-30"}),
        ("vehicles", "etat=en%20panne", {"etat": "en panne"}, {"etat": "disponible"}),
        ("vehicles", "type=Trolleybus", {"type": "Trolleybus"}, {}),
        ("vehicles", "isPublic=true", {"isPublic": True}, {"isPublic": False}),
        ("vehicles", "isPublic=false", {"isPublic": False}, {"isPublic": True}),
        ("members", "status=disabled", {"status": "disabled"}, {"status": "active"}),
        ("members", "membershipStatus=ACTIVE", {"membershipStatus": "ACTIVE"}, {"membershipStatus": "EXPIRED"}),
        ("members", "email=CAMILLE.A@example.org", {"email": "Camille.A@Example.org"}, {}),
    ],
)
def test_a_filter_keeps_the_rows_it_names(
    api: Api, manager: Person, kind: str, query: str, wanted: dict[str, object], other: dict[str, object]
) -> None:
    if kind == "events":
        create(api, manager, "vehicles", parc="920")
    kept, left = two(api, manager, kind, wanted, other)

    found = [row["id"] for row in rows_of(api, manager, kind, f"?{query}")]

    assert kept in found
    assert left not in found


def test_filters_hold_together_and_on_every_page(api: Api, manager: Person) -> None:
    for day in range(1, 9):
        status = "PUBLISHED" if day % 2 else "DRAFT"
        create(api, manager, "events", id=f"e{day}", date=f"2026-05-0{day}", status=status)

    query = "status=PUBLISHED&from=2026-05-02T00:00:00%2B00:00&to=2026-05-08&limit=1"
    found = list(pages(api, f"/api/events?{query}", manager))

    assert [[row["id"] for row in page] for page in found] == [["e7"], ["e5"], ["e3"]]


def test_parameters_that_a_list_does_not_know_are_ignored(api: Api, manager: Person) -> None:
    row = create(api, manager, "events")

    assert rows_of(api, manager, "events", "?_=1699999999&sort=title&sort=date") == [row]


@pytest.mark.parametrize("path", ["/public/events", "/public/vehicles/920/events"])
def test_public_events_are_those_of_a_period_too(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "vehicles", parc="920", isPublic=True)
    for day in range(1, 5):
        create(api, manager, "events", id=f"e{day}", date=f"2026-05-0{day}", status="PUBLISHED", vehicleId="920")

    found = [row["id"] for row in api.get(f"{path}?from=2026-05-02&to=2026-05-04").json()]
    refused = api.get(f"{path}?from=demain")

    assert found == ["e3", "e2"]
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "from")
