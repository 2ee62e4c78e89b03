"""What every answer promises, whatever was asked: its request id, its form, its methods."""

import re

import pytest

from builders import an_event
from harness import Api, Person
from operations import OPERATIONS
from routes import EVENT, VEHICLE, stocked
from rows import create, path_of

PROBLEM = "application/problem+json"
UNKNOWN = [
    "/api",
    "/rien",
    "/api/events/a/b",
    "/api/api/events",
    "/docs/assets/rien.js",
    "/Events",
]
DEV = "http://localhost:5173"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
"""A file is named after its day, which may end between two requests."""

DATABASE_WORDS = ("secret", "spoil", "nowhere", "sql", "asyncpg", "postgreserror", "varying", "traceback", ".py")
TARGETS = sorted({operation.target for operation in OPERATIONS.values() if not operation.endless})
ERROR_KEYS = {"error", "code", "status", "title", "type", "detail", "requestId"}


@pytest.mark.parametrize("name", ["a", "0f3b2c1e-9d4a", "web/42:a_b.c+d=@", "x" * 100])
def test_a_sane_request_id_is_echoed(api: Api, name: str) -> None:
    answers = [api.get(path, headers={"X-Request-Id": name}) for path in ("/health", "/rien", "/api/events", "/docs")]

    assert [answer.headers["X-Request-Id"] for answer in answers] == [name] * 4
    assert [answer.json()["requestId"] for answer in answers[1:3]] == [name] * 2


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "é", 'a"b', "<b>", "a;b"])
def test_any_other_request_id_is_replaced(api: Api, name: str) -> None:
    answers = [api.get("/rien", headers=[(b"X-Request-Id", name.encode())]) for _ in range(2)]

    found = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(found) == 2
    assert found == {answer.json()["requestId"] for answer in answers}
    assert all(len(one) >= 16 and one.isalnum() for one in found)


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_an_unknown_route_is_told_in_the_form_of_every_error(api: Api, path: str, method: str) -> None:
    answer = api.request(method, path)

    assert (answer.status_code, answer.json()["code"]) in {(404, "unknown_route"), (405, "method_not_allowed")}
    assert method != "GET" or answer.status_code == 404
    assert answer.json().keys() == ERROR_KEYS
    assert answer.json()["requestId"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("path", TARGETS)
def test_a_method_that_a_path_does_not_know_is_told_with_those_that_it_knows(api: Api, path: str) -> None:
    own = {found.method for found in OPERATIONS.values() if found.path == path}
    known = own or {f.method for f in OPERATIONS.values() if re.fullmatch(re.sub("{.*?}", "[^/]+", f.path), path)}
    unknown = {"PROPFIND", "OPTIONS", "TRACE", "DELETE", "PATCH", "PUT", "POST", "GET"} - known

    answers = [api.request(method, path) for method in unknown]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(405, "method_not_allowed")}
    assert all(
        set(answer.headers["Allow"].split(", ")) == known | ({"HEAD"} if "GET" in known else set())
        for answer in answers
    )
    assert all(answer.headers["Allow"] in answer.json()["error"] for answer in answers)


@pytest.mark.parametrize(
    "path", [found.target for found in OPERATIONS.values() if found.method == "GET" and not found.endless]
)
def test_head_answers_like_get_without_the_body(api: Api, manager: Person, path: str) -> None:
    headers = {**manager.headers, "X-Request-Id": "a"}

    got, head = (api.request(method, path, headers=headers) for method in ("GET", "HEAD"))

    own = {"date", "content-length", "transfer-encoding"}  # of the message: a HEAD has no chunks
    told = [
        {name: DAY.sub("<day>", text) for name, text in answer.headers.items() if name not in own}
        for answer in (got, head)
    ]
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert told[0] == told[1]
    assert path == "/metrics" or head.headers.get("Content-Length") == got.headers.get("Content-Length")


@pytest.mark.parametrize("accept", [PROBLEM, f"{PROBLEM}, application/json;q=0.5", f"text/html,{PROBLEM};q=0.9"])
@pytest.mark.parametrize(
    ("path", "status"),
    [("/rien", 404), ("/api/events", 401), ("/public/events?limit=0", 422), ("/public/events/rien", 404)],
)
def test_an_error_is_problem_json_for_whom_asks_for_it(api: Api, path: str, status: int, accept: str) -> None:
    plain, asked = (
        api.get(path, headers={"X-Request-Id": "a"}),
        api.get(path, headers={"X-Request-Id": "a", "Accept": accept}),
    )

    assert (plain.status_code, plain.headers["Content-Type"]) == (status, "application/json")
    assert (asked.status_code, asked.headers["Content-Type"]) == (status, PROBLEM)
    assert asked.content == plain.content


def test_what_is_no_error_is_never_problem_json(api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events"))

    answer = api.get(path, headers={**manager.headers, "Accept": PROBLEM})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", ["*/*", PROBLEM])
def test_headers_of_more_than_16_kib_are_refused(api: Api, accept: str) -> None:
    answers = [
        api.get("/health", headers={"X-Filler": "x" * size, "Accept": accept}) for size in (15 * 1024, 17 * 1024)
    ]

    assert [answer.status_code for answer in answers] == [200, 431]
    assert answers[1].json()["code"] == "headers_too_large"
    assert (answers[1].headers["Content-Type"] == PROBLEM) == (accept == PROBLEM)


@pytest.mark.parametrize(
    ("does", "status", "code"),
    [
        ("RAISE 'secret %', NEW.title", 500, "internal_error"),
        ("NEW.title := repeat('secret', 99); RETURN NEW", 422, "invalid"),
        ("SELECT secret FROM nowhere", 503, "schema_outdated"),
    ],
)
def test_no_error_tells_what_the_database_said(fresh_api: Api, does: str, status: int, code: str) -> None:
    headers = {**fresh_api.person("ADMIN").headers, "Origin": DEV}
    fresh_api.sql(
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION spoil()",
    )

    answer = fresh_api.post("/api/events", json=an_event(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert [word for word in DATABASE_WORDS if word in answer.text.lower()] == []
    assert answer.headers["X-Request-Id"] == answer.json()["requestId"]
    assert answer.headers["Access-Control-Allow-Origin"] == DEV


READ = sorted(
    {found.target for found in OPERATIONS.values() if found.method == "GET" and not (found.endless or found.streamed)}
    | {"/openapi.json", "/"}
)


@pytest.mark.parametrize("path", [*READ, "/rien"])
def test_a_json_answer_ends_with_a_new_line(api: Api, path: str) -> None:
    admin = stocked(api)

    answer = api.get(path, headers=admin.headers)

    assert answer.text.endswith("\n")
    assert not answer.text.endswith("\n\n")
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_answers_to_writes_end_with_a_new_line(api: Api) -> None:
    admin = stocked(api)
    preflight = {"Origin": DEV, "Access-Control-Request-Method": "GET"}

    created = api.post("/api/vehicles", json={"parc": "921"}, headers={**admin.headers, "Idempotency-Key": "k"})
    repeated = api.post("/api/vehicles", json={"parc": "921"}, headers={**admin.headers, "Idempotency-Key": "k"})
    changed = api.put("/api/vehicles/921", json={"etat": "vendu"}, headers=admin.headers)
    deleted = api.delete("/api/vehicles/921", headers=admin.headers)
    allowed = api.request("OPTIONS", "/api/events", headers=preflight)

    assert [answer.text[-2:] for answer in (created, changed, deleted, allowed)] == ["}\n"] * 4
    assert repeated.content == created.content


def test_a_reader_who_has_the_row_is_still_told_so_without_a_body(api: Api) -> None:
    admin = stocked(api)
    tag = api.get(f"/api/vehicles/{VEHICLE}", headers=admin.headers).headers["ETag"]

    answer = api.get(f"/api/vehicles/{VEHICLE}", headers={**admin.headers, "If-None-Match": tag})

    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "//"])
def test_the_front_door_leads_a_browser_to_the_reference_and_tells_curl_where_to_look(api: Api, path: str) -> None:
    answer = api.get(path)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/docs")
    assert answer.json()["name"] == "RétroBus API"
    assert {api.get(answer.json()[name]).status_code for name in ("docs", "openapi", "health", "ready")} == {200}


def test_the_front_door_takes_no_write(api: Api) -> None:
    answer = api.post("/", json={})

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.json()["error"] == "Méthodes prévues à cette adresse : HEAD, GET."


def test_a_slash_at_the_end_changes_no_address(api: Api) -> None:
    admin = stocked(api)
    event = f"/api/events/{EVENT}"

    for path in ("/api/events", event, "/vehicles", f"/public/vehicles/{VEHICLE}/events", "/api/me"):
        plain, slashed = (api.get(f"{path}{end}", headers=admin.headers) for end in ("", "/"))

        assert (slashed.status_code, slashed.json()) == (200, plain.json()), path
    changed = api.patch(f"{event}/", json={"layout": "carte"}, headers=admin.headers)
    assert [api.get(path).status_code for path in ("/health/", "/ready/", "/docs/")] == [200] * 3
    assert changed.json()["layout"] == "carte"
    assert api.delete("/api/vehicles/", headers=admin.headers).status_code == 405
    assert api.delete(f"{event}//", headers=admin.headers).json() == {"ok": True}


def test_a_repeat_under_the_address_with_a_slash_is_the_same_request(api: Api) -> None:
    admin = stocked(api)
    headers = admin.headers | {"Idempotency-Key": "k"}

    answers = [api.post(f"/api/vehicles{end}", json={"parc": "921"}, headers=headers) for end in ("", "/")]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
