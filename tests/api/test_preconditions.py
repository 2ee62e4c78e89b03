"""ETag, If-None-Match and If-Match over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Api, Person, until
from locks import held
from routes import assert_refused
from rows import KINDS, create, path_of, read

CHANGE = {"events": {"layout": "carte"}, "vehicles": {"etat": "en panne"}, "members": {"city": "Lyon"}}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_an_etag_changes_with_the_row_and_only_then(api: Api, manager: Person, kind: str) -> None:
    path = path_of(kind, create(api, manager, kind))
    first = api.get(path, headers=manager.headers).headers["ETag"]

    same = api.put(path, json=api.get(path, headers=manager.headers).json(), headers=manager.headers)
    changed = api.put(path, json=CHANGE[kind], headers=manager.headers)

    assert same.headers["ETag"] == first
    assert changed.headers["ETag"] != first
    assert api.get(path, headers=manager.headers).headers["ETag"] == changed.headers["ETag"]


@every_kind
def test_an_etag_never_comes_back_for_another_row_with_the_same_key(api: Api, admin: Person, kind: str) -> None:
    body = {"events": {"id": "a"}, "vehicles": {"parc": "a"}, "members": {}}[kind]
    rows = []

    for _ in range(2):
        row = create(api, admin, kind, **body)
        rows.append(api.get(path_of(kind, row), headers=admin.headers).headers["ETag"])
        api.delete(path_of(kind, row), headers=admin.headers)

    assert rows[0] != rows[1]


@pytest.mark.parametrize("seen", ["{etag}", "W/{etag}", '"a", {etag}', '"a" ,W/"b,c",W/{etag}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@every_kind
def test_a_reader_who_has_the_row_gets_304(api: Api, manager: Person, kind: str, method: str, seen: str) -> None:
    path = path_of(kind, create(api, manager, kind))
    etag = api.get(path, headers=manager.headers).headers["ETag"]

    answer = api.request(method, path, headers={**manager.headers, "If-None-Match": seen.format(etag=etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert answer.headers["X-Data-Source"] == "postgres"


@pytest.mark.parametrize("seen", ['"a"', "", "{bare}", '"{bare}x"', '"a", "b"'])
@every_kind
def test_a_reader_who_has_another_row_gets_this_one(api: Api, manager: Person, kind: str, seen: str) -> None:
    row = create(api, manager, kind)
    bare = api.get(path_of(kind, row), headers=manager.headers).headers["ETag"].strip('"')

    answer = api.get(path_of(kind, row), headers={**manager.headers, "If-None-Match": seen.format(bare=bare)})

    assert (answer.status_code, answer.json()) == (200, row)


def test_every_route_to_one_row_knows_304(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", status="PUBLISHED")
    paths = ["/public/vehicles/920", "/public/events/sortie", "/api/members/me", "/vehicles/920", "/events/sortie"]

    answers = [api.get(path, headers={**manager.headers, "If-None-Match": "*"}) for path in paths]

    assert [answer.status_code for answer in answers] == [304] * len(paths)


def test_a_stranger_learns_nothing_from_an_etag(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))

    answers = [api.get(path, headers={"If-None-Match": "*"}), api.get("/api/events/b", headers=manager.headers)]

    assert [answer.status_code for answer in answers] == [401, 404]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@every_kind
def test_a_write_to_a_row_that_moved_on_is_refused(api: Api, manager: Person, kind: str, method: str) -> None:
    path = path_of(kind, create(api, manager, kind))
    old = api.get(path, headers=manager.headers).headers["ETag"]
    moved = api.put(path, json=CHANGE[kind], headers=manager.headers).json()

    answer = api.request(
        method, path, json={"notes": "x", "location": "x", "marque": "x"}, headers={**manager.headers, "If-Match": old}
    )

    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert read(api, manager, kind, moved) == moved


@pytest.mark.parametrize("match", ["{etag}", "*", '"a", {etag}'])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@every_kind
def test_a_write_to_the_row_that_was_read_is_done(
    api: Api, manager: Person, kind: str, method: str, match: str
) -> None:
    path = path_of(kind, create(api, manager, kind))
    etag = api.get(path, headers=manager.headers).headers["ETag"]

    headers = {**manager.headers, "If-Match": match.format(etag=etag)}
    answer = api.request(method, path, json=CHANGE[kind], headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("match", ["", "{bare}", '"a', "*, *", "{etag} {etag}", "{etag},"])
def test_an_if_match_that_is_none_is_refused_by_its_name(api: Api, manager: Person, match: str) -> None:
    path = path_of("events", create(api, manager, "events"))
    before = api.get(path, headers=manager.headers)
    etag = before.headers["ETag"]

    headers = {**manager.headers, "If-Match": match.format(etag=etag, bare=etag.strip('"'))}
    answers = [
        api.put(path, json=CHANGE["events"], headers=headers | {"Idempotency-Key": "k"}),
        api.delete(path, headers=headers),
    ]

    for answer in answers:
        assert_refused(answer, 422, "invalid", "If-Match")
    assert api.get(path, headers=manager.headers).json() == before.json()


@pytest.mark.parametrize("match", ["W/{etag}", '"a"'])
def test_only_a_strong_etag_of_the_row_lets_a_write_pass(api: Api, manager: Person, match: str) -> None:
    path = path_of("events", create(api, manager, "events"))
    etag = api.get(path, headers=manager.headers).headers["ETag"]

    headers = {**manager.headers, "If-Match": match.format(etag=etag, bare=etag.strip('"'))}
    answer = api.put(path, json=CHANGE["events"], headers=headers)

    assert answer.status_code == 412


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/members", {"id": "{id}", "city": "Lyon"}),
        ("PATCH", "/api/members", {"id": "{id}", "city": "Lyon"}),
        ("DELETE", "/api/members", {"id": "{id}"}),
        ("POST", "/api/members/{id}/terminate", {}),
        ("PUT", "/api/members/me", {"city": "Lyon"}),
    ],
)
def test_the_other_ways_to_write_a_member_keep_if_match_too(
    api: Api, manager: Person, method: str, path: str, body: dict[str, str]
) -> None:
    who = manager if path.endswith("/me") else api.person()
    said = {name: value.format(id=who.id) for name, value in body.items()}

    answer = api.request(method, path.format(id=who.id), json=said, headers={**manager.headers, "If-Match": '"a"'})

    assert answer.status_code == 412
    assert read(api, manager, "members", {"id": who.id})["city"] is None


def test_of_two_writes_to_the_row_that_both_had_read_one_is_done(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))
    etag = api.get(path, headers=manager.headers).headers["ETag"]

    with ThreadPoolExecutor() as pool, held(api.database_url, "SELECT FROM event FOR UPDATE") as lock:
        headers = {**manager.headers, "If-Match": etag}
        writes = [pool.submit(api.put, path, json={"layout": word}, headers=headers) for word in ("carte", "liste")]
        until(lock.waiting, "a request to reach the row")
        lock.release()

    assert sorted(write.result().status_code for write in writes) == [200, 412]


def test_if_match_on_a_row_that_is_not_there_is_not_found(api: Api, manager: Person) -> None:
    answer = api.put("/api/events/b", json=CHANGE["events"], headers={**manager.headers, "If-Match": "*"})

    assert answer.status_code == 404
