"""Paths and queries that are not clean text are refused, on every route that reads one."""

import base64
import json
import re

import pytest

from builders import a_vehicle, an_event
from harness import Api
from raw_http import exchange, head
from routes import EVENT, KEYED, LISTS, VEHICLE, assert_refused, everything, stocked

UNREADABLE = {
    "NUL": "%00", "NUL in a word": "a%00b", "a control character": "a%1Fb", "DEL": "%7F", "a line end": "a%0D%0AX: 1",
    "not UTF-8": "%FF", "half a letter": "a%C3", "overlong": "%C0%AF", "a surrogate": "%ED%A0%80",
    "beyond Unicode": "%F4%90%80%80",
}  # fmt: skip
STRANGE = {
    "a digit run": "9" * 5000, "just too large a number": str(2**31), "a minus": "-1", "beyond ASCII": "é%F0%9F%9A%8C",
    "Arabic digits": "%D9%A3", "a quote": "'%20OR%20'1'='1", "braces": "{id}", "percent": "%25", "letters": "x" * 500,
    "spaces": "%20%20", "a superscript": "%C2%B2",
}  # fmt: skip
KEYS = {
    "PUT /api/events/{}": b'{"title": "x"}', "PATCH /api/events/{}": b'{"title": "x"}',
    "PUT /api/vehicles/{}": b'{"type": "x"}', "PATCH /api/vehicles/{}": b'{"type": "x"}',
    "PUT /api/members/{}": b'{"city": "x"}', "PATCH /api/members/{}": b'{"city": "x"}',
}  # fmt: skip


def test_the_tables_miss_no_route_with_a_key_and_no_list(api: Api) -> None:
    described = api.get("/openapi.json").json()["paths"]
    operations = [(method.upper(), path, found) for path, each in described.items() for method, found in each.items()]

    keyed = {re.sub(r"{\w+}", "{}", f"{method} {path}") for method, path, _ in operations if "{" in path}
    lists = {path for _, path, found in operations if any(item["name"] == "cursor" for item in found["parameters"])}

    assert keyed == set(KEYED)
    assert lists == {path.replace(VEHICLE, "{parc}") for path in LISTS}


@pytest.mark.parametrize("key", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_path_that_is_not_clean_text_is_refused(api: Api, key: str) -> None:
    admin = stocked(api)
    before = everything(api)

    for route in KEYED:
        method, path = route.split(" ")
        answer = api.request(method, path.replace("{}", key), content=KEYS.get(route), headers=admin.headers)

        assert_refused(answer, 400, "bad_request")
    assert everything(api) == before


@pytest.mark.parametrize("key", STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_key_is_the_key_of_nothing(api: Api, key: str) -> None:
    admin = stocked(api)
    before = everything(api)

    for route in KEYED:
        method, path = route.split(" ")
        answer = api.request(method, path.replace("{}", key), content=KEYS.get(route), headers=admin.headers)

        assert_refused(answer, 404, "not_found")
    assert everything(api) == before


@pytest.mark.parametrize("bad", ["%FF", "a%C3", "%C0%AF", "%ED%A0%80", "%F4%90%80%80"])
def test_a_query_that_is_not_utf_8_is_refused(api: Api, bad: str) -> None:
    admin = stocked(api)
    before = everything(api)
    routes = [f"GET {path}" for path in LISTS] + [route.replace("{}", VEHICLE) for route in KEYED]

    for method, path in (route.split(" ") for route in routes):
        for query in (f"cursor={bad}", f"x={bad}", f"{bad}=x"):
            answer = api.request(method, f"{path}?{query}", headers=admin.headers)

            assert_refused(answer, 400, "bad_request")
    assert everything(api) == before


LIMITS = (
    "0", "-1", "1001", "", "x", "1.0", "+1", "1e2", "٣", "²", "0x10", "%00", " 1", "0000000015000", "9" * 20,
    "000000001" + "0" * 5000,
)  # fmt: skip
CURSORS = (
    "x", "", "%00", "e30", "W10", "WzFd", "é", "AAAAA", "W1sxXV0", "bnVsbA", "eyJhIjoxfQ", "WyJcdWQ4MDAiXQ", "W" * 9000,
)  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_page_without_a_sane_limit_or_cursor_is_refused(api: Api, path: str) -> None:
    admin = stocked(api)

    for name, values in (("limit", LIMITS), ("cursor", CURSORS)):
        for bad in values:
            answer = api.get(f"{path}?{name}={bad}", headers=admin.headers)

            assert_refused(answer, 422, "invalid", name)


def _cursor(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_a_cursor_with_wrong_values_is_refused(api: Api) -> None:
    admin = stocked(api)
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode()
    bad = [_cursor("1500-01-01", "a"), _cursor(0, "a"), _cursor("2026-05-01", 1), _cursor("2026-05-01", "a\0"),
           _cursor("2026-05-01", "a", "b"), _cursor("2026-05-01"), _cursor(float("nan"), "a"), deep]  # fmt: skip

    for cursor in bad:
        answer = api.get(f"/api/events?cursor={cursor}", headers=admin.headers)

        assert_refused(answer, 422, "invalid", "cursor")


FILTERS = {
    "/api/events?status": ("x", "", "draft", "%00"), "/api/events?vehicleId": ("a%00", "a%0A"),
    "/api/events?from": ("x", "", "0", "1500-01-01", "2026-13-01", "2026-05-01%00"),
    "/api/events?to": ("x", "1700000000", "9999-12-31T23:59:59-23:59"),
    "/api/vehicles?isPublic": ("x", "", "1", "TRUE"), "/api/vehicles?etat": ("%00", "%1F"),
    "/api/vehicles?type": ("a%C2%9F",), "/api/members?status": ("x", "ACTIVE"), "/api/members?email": ("%00", "a%0A"),
    "/api/members?membershipStatus": ("active", ""),
}  # fmt: skip


@pytest.mark.parametrize("start", FILTERS)
def test_a_filter_that_means_nothing_is_refused_by_name(api: Api, start: str) -> None:
    admin = stocked(api)

    answers = [api.get(f"{start}={bad}", headers=admin.headers) for bad in FILTERS[start]]

    for answer in answers:
        assert_refused(answer, 422, "invalid", start.partition("?")[2])


@pytest.mark.parametrize("path", LISTS)
def test_a_parameter_given_twice_is_refused(api: Api, path: str) -> None:
    admin = stocked(api)

    answer = api.get(f"{path}?limit=1&limit=2", headers=admin.headers)

    assert_refused(answer, 422, "invalid", "limit")


def test_more_parameters_than_a_list_could_have_are_refused(api: Api) -> None:
    answer = api.get("/public/events?" + "&".join(f"x{i}=1" for i in range(200)))

    assert_refused(answer, 400, "bad_request")


@pytest.mark.parametrize("target", [b"/events/\xff", b"/events/\xc3\xa9", b"/events/a\x00b", b"/events?x=\xff"])
def test_raw_bytes_in_an_address_are_refused(api: Api, target: bytes) -> None:
    admin = stocked(api)

    answer = exchange(api, head("GET", target, admin))

    assert answer.status == 400


def test_a_page_of_a_vehicle_with_any_letters_leads_to_the_next(api: Api) -> None:
    admin = stocked(api)
    parc = "Ω 1?#é"
    api.post("/api/vehicles", json=a_vehicle(parc=parc), headers=admin.headers)
    for number in "12":
        api.post("/api/events", json=an_event(id=number, vehicleId=parc, status="PUBLISHED"), headers=admin.headers)

    first = api.get("/public/vehicles/%CE%A9%201%3F%23%C3%A9/events?limit=1")
    second = api.get(first.links["next"]["url"])

    assert [row["id"] for row in first.json() + second.json()] == ["1", "2"]
    assert "next" not in second.links


@pytest.mark.parametrize("host", [b"[", b"a b", b"\xff", b"]:", b"x" * 5000, b"//evil.example.org"])
def test_a_senseless_host_header_changes_nothing(api: Api, host: bytes) -> None:
    admin = stocked(api)
    api.post("/api/events", json=an_event(status="PUBLISHED"), headers=admin.headers)
    lines = b" HTTP/1.1\r\nHost: " + host + b"\r\nAuthorization: Bearer " + admin.token.encode() + b"\r\n"

    listed = exchange(api, b"GET /public/events?limit=1" + lines + b"\r\n")
    written = exchange(api, f"DELETE /api/events/{EVENT}".encode() + lines + b"Idempotency-Key: a\r\n\r\n")

    assert (listed.status, len(listed.json())) == (200, 1)
    assert listed.headers["link"].startswith("</public/events?limit=1&cursor=")
    assert (written.status, written.json()) == (200, {"ok": True})


def test_a_key_of_one_vehicle_is_not_that_of_another(api: Api) -> None:
    admin = stocked(api)
    for parc in ("a?b", "a?c"):
        api.post("/api/vehicles", json=a_vehicle(parc=parc), headers=admin.headers)
    once = admin.headers | {"Idempotency-Key": "a"}

    answers = [api.patch(f"/api/vehicles/a%3F{last}", json={"etat": "x"}, headers=once) for last in "bc"]

    assert [answer.json()["parc"] for answer in answers] == ["a?b", "a?c"]
