"""Lists over HTTP: their order, their filters and their pages."""

import base64
import json

import pytest

from builders import Body
from harness import Api, Person
from routes import LISTS, assert_refused, stocked
from rows import KINDS, create, pages, path_of, rows_of

DATES = [f"2026-05-{day:02}" for day in (3, 1, 2, 1, 3, 2, 1)]
KEYS = {"events": "id", "vehicles": "parc", "members": "id"}
PATHS = ["/api/events", "/api/vehicles", "/api/members", "/public/events", "/public/vehicles"]
every_path = pytest.mark.parametrize("path", PATHS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def seven(api: Api, who: Person, kind: str) -> list[Body]:
    """Seven rows, not made in the order of their list and with ties in it."""
    fields: dict[str, list[Body]] = {
        "events": [{"id": f"e{7 - n}", "date": date, "status": "PUBLISHED"} for n, date in enumerate(DATES)],
        "vehicles": [{"parc": parc} for parc in ("b", "920", "é", "B", "92", "a 1", "~")],
        "members": [{"lastName": name, "firstName": first} for name, first in zip("BaAéBBA", "zyxzyyx", strict=True)],
    }
    return [create(api, who, kind, **body) for body in fields[kind]]


def ordered(kind: str, rows: list[Body]) -> list[Body]:
    """The rows in the order that the contract gives their list: names by their letters, parc numbers by value."""
    if kind == "events":
        return sorted(sorted(rows, key=lambda row: row["id"]), key=lambda row: row["date"], reverse=True)
    if kind == "vehicles":
        places = {parc: place for place, parc in enumerate(("92", "920", "a 1", "B", "b", "é", "~"))}
        return sorted(rows, key=lambda row: places[row["parc"]])
    letters = str.maketrans("é", "e")
    return sorted(
        rows, key=lambda row: ([row[name].lower().translate(letters) for name in ("lastName", "firstName")], row["id"])
    )


@every_kind
def test_a_list_has_a_total_order(api: Api, manager: Person, kind: str) -> None:
    rows = seven(api, manager, kind)

    found = [row for row in rows_of(api, manager, kind) if row in rows]

    assert found == ordered(kind, rows)


@every_kind
@pytest.mark.parametrize("limit", [1, 3, 7, 8, 1000])
def test_pages_together_are_the_whole_list(api: Api, admin: Person, kind: str, limit: int) -> None:
    seven(api, admin, kind)
    whole = rows_of(api, admin, kind)

    found = list(pages(api, f"/api/{kind}?limit={limit}", admin))

    assert [row for page in found for row in page] == whole
    assert all(len(page) == limit for page in found[:-1])
    assert found[-1]


@every_path
def test_a_last_page_says_so(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "events", status="PUBLISHED")
    create(api, manager, "vehicles")

    answer = api.get(f"{path}?limit=1", headers=manager.headers)

    assert answer.status_code == 200
    assert "Link" not in answer.headers
    assert path.startswith("/public") or answer.json()["nextCursor"] is None


@every_kind
def test_the_next_page_is_in_the_body_and_in_link(api: Api, manager: Person, kind: str) -> None:
    seven(api, manager, kind)

    first = api.get(f"/{kind}?limit=2", headers=manager.headers)
    cursor = first.json()["nextCursor"]

    assert list(first.json()) == [kind, "nextCursor"]
    assert first.links["next"]["url"] == f"/api/{kind}?limit=2&cursor={cursor}"


@pytest.mark.parametrize("path", ["/public/events", "/public/vehicles", "/public/vehicles/É 1%3F/events"])
def test_a_public_list_is_bare_and_goes_on_in_link(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "vehicles", parc="É 1?")
    for number in range(3):
        create(api, manager, "vehicles", parc=str(number))
        create(api, manager, "events", status="PUBLISHED", vehicleId="É 1?")

    found = list(pages(api, f"{path}?limit=2"))

    assert [row for page in found for row in page] == api.get(path).json()
    assert len(found) == 2


@every_kind
def test_rows_that_stay_are_listed_once_while_others_come_and_go(api: Api, admin: Person, kind: str) -> None:
    rows = seven(api, admin, kind)
    gone, staying = ordered(kind, rows)[1::2], ordered(kind, rows)[::2]
    found = []

    for number, page in enumerate(pages(api, f"/api/{kind}?limit=1", admin)):
        found += [row[KEYS[kind]] for row in page]
        if number < len(gone):
            api.delete(path_of(kind, gone[number]), headers=admin.headers)
            create(api, admin, kind)

    assert [key for key in found if key in {row[KEYS[kind]] for row in staying}] == [row[KEYS[kind]] for row in staying]
    assert len(found) == len(set(found))


def test_a_row_that_ended_a_page_may_be_deleted(api: Api, manager: Person) -> None:
    rows = ordered("events", seven(api, manager, "events"))
    cursor = api.get("/api/events?limit=3", headers=manager.headers).json()["nextCursor"]

    api.delete(path_of("events", rows[2]), headers=manager.headers)

    assert rows_of(api, manager, "events", f"?cursor={cursor}") == rows[3:]


@pytest.mark.parametrize("name", ["Be\u0301rard", "B\ttab", "B", "Bz"])
def test_pages_meet_names_that_only_sql_could_write(api: Api, manager: Person, name: str) -> None:
    for odd in ("B\u00e9rard", name, name):
        api.person(last_name=odd)

    found = [row["id"] for page in pages(api, "/api/members?limit=1", manager) for row in page]

    assert found == [row["id"] for row in rows_of(api, manager, "members")]


@every_kind
def test_a_cursor_of_another_list_is_refused(api: Api, manager: Person, kind: str) -> None:
    others = [other for other in KINDS if other != kind]
    seven(api, manager, kind)
    cursor = api.get(f"/api/{kind}?limit=1", headers=manager.headers).json()["nextCursor"]

    answers = [api.get(f"/api/{other}?cursor={cursor}", headers=manager.headers) for other in others]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert isinstance(json.loads(base64.urlsafe_b64decode(cursor + "==")), list)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("name", ["offset", "page", "skip"])
def test_paging_as_other_apis_do_it_is_refused_and_told_what_to_do(api: Api, path: str, name: str) -> None:
    admin = stocked(api)

    answer = api.get(f"{path}?{name}=2&limit=1", headers=admin.headers)

    assert_refused(answer, 422, "invalid", name)
    assert "cursor" in answer.json()["error"]
