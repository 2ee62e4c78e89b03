"""Idempotency-Key over HTTP: a client that repeats a write gets the answer of its first request."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from builders import Body, a_member, an_event
from harness import Api, Person, until
from locks import held
from repeats import count, keyed, same
from rows import BODIES, KINDS, create, path_of, refused_fields


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_creation_gets_the_same_answer_and_makes_one_row(api: Api, manager: Person, kind: str) -> None:
    body, before = BODIES[kind](), count(api, kind[:-1])

    first, second = (api.post(f"/api/{kind}", json=body, headers=keyed(manager)) for _ in range(2))

    assert first.status_code == 201
    assert same(first, second)
    assert count(api, kind[:-1]) == before + 1


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_repeated_change_gets_the_same_answer_though_the_row_moved_on(api: Api, manager: Person, method: str) -> None:
    path = path_of("events", create(api, manager, "events"))
    first = api.request(method, path, json={"location": "Dépôt"}, headers=keyed(manager))
    api.put(path, json={"location": "Gare"}, headers=manager.headers)

    second = api.request(method, path, json={"location": "Dépôt"}, headers=keyed(manager))

    assert same(first, second)
    assert api.get(path, headers=manager.headers).json()["location"] == "Gare"


def test_a_repeated_deletion_gets_the_same_answer(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))

    first, second = (api.delete(path, headers=keyed(manager)) for _ in range(2))

    assert (first.status_code, first.json()) == (200, {"ok": True})
    assert same(first, second)


def test_a_repeated_creation_does_not_bring_a_deleted_row_back(api: Api, manager: Person) -> None:
    first = api.post("/api/events", json=an_event(), headers=keyed(manager))
    api.delete(first.headers["Location"], headers=manager.headers)

    second = api.post("/api/events", json=an_event(), headers=keyed(manager))

    assert same(first, second)
    assert api.get(first.headers["Location"], headers=manager.headers).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "other"),
    [
        ("POST", "/api/events", an_event(), an_event(title="Autre")),
        ("PUT", "/api/members/me", {"city": "Lyon"}, {"city": "Reims"}),
        ("PUT", "/api/members", {"id": "{id}", "city": "Lyon"}, {"id": "{id}", "city": "Reims"}),
        ("DELETE", "/api/members", {"id": "{id}"}, {"id": "autre"}),
        ("POST", "/api/members/{id}/terminate", {"reason": "a"}, {"reason": "b"}),
    ],
)
def test_a_key_that_served_another_body_is_refused(
    api: Api, manager: Person, method: str, path: str, body: Body, other: Body
) -> None:
    leaver = api.person()

    answers = [
        api.request(
            method,
            path.format(id=leaver.id),
            json={name: str(value).format(id=leaver.id) for name, value in said.items()},
            headers=keyed(manager),
        )
        for said in (body, other)
    ]

    assert answers[0].is_success
    assert (answers[1].status_code, answers[1].json()["code"]) == (422, "idempotency_key_reused")


def test_if_match_is_part_of_what_a_key_served_for(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))
    api.put(path, json={"layout": "carte"}, headers=keyed(manager))

    answer = api.put(path, json={"layout": "carte"}, headers={**keyed(manager), "If-Match": "*"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert refused_fields(answer.json()) == ["Idempotency-Key"]


def test_a_repeat_while_the_first_is_still_running_is_told_so(api: Api, manager: Person) -> None:
    row = create(api, manager, "events")
    path, said = path_of("events", row), {"location": "Dépôt"}

    with ThreadPoolExecutor() as pool, held(api.database_url, "SELECT FROM event FOR UPDATE") as lock:
        first = pool.submit(api.put, path, json=said, headers=keyed(manager))
        until(lock.waiting, "the first request to reach the row")
        second = api.put(path, json=said, headers=keyed(manager))
        lock.release()

    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert second.headers["Retry-After"] == "1"
    assert refused_fields(second.json()) == ["Idempotency-Key"]
    assert first.result().status_code == 200
    assert same(first.result(), api.put(path, json=said, headers=keyed(manager)))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/events", {"title": "Sortie"}, 422),
        ("POST", "/api/events", an_event(id="pris"), 409),
        ("POST", "/api/events", an_event(vehicleId="inconnu"), 422),
        ("PUT", "/api/events/inconnu", {"layout": "carte"}, 404),
        ("DELETE", "/api/events/inconnu", None, 404),
        ("POST", "/api/members", a_member(role="ADMIN"), 403),
    ],
)
def test_a_write_that_failed_keeps_nothing(
    api: Api, manager: Person, method: str, path: str, body: Body | None, status: int
) -> None:
    create(api, manager, "events", id="pris")

    answer = api.request(method, path, json=body, headers=keyed(manager))

    assert answer.status_code == status
    assert count(api, "idempotency") == 0
