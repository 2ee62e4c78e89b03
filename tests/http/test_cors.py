"""Which browsers may call the service, and what they may read of its answers."""

import pytest
from pydantic import ValidationError

from harness import Api, Person, served, settings_for
from retrobus.settings.complaints import complaints
from rows import create, path_of

ALLOWED = ["http://localhost:5173", "http://localhost:3000", "http://127.0.0.1:5173", "http://127.0.0.1:3000"]
FOREIGN = ["http://localhost:5174", "https://localhost:5173", "http://localhost:5173.example.org", "null", "*", ""]
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SENT = {
    "Authorization", "Content-Type", "Accept", "If-Match", "If-None-Match", "If-Modified-Since", "Idempotency-Key",
    "Cache-Control", "Pragma", "X-Requested-With", "traceparent", "tracestate", "baggage", "sentry-trace",
    "X-Request-Id", "X-Method-Override", "x-qr-token", "x-user-matricule",
}  # fmt: skip
READ = {
    "ETag", "Link", "Location", "X-Data-Source", "X-Data-As-Of", "X-Data-Origin", "X-Durability", "X-Request-Id",
    "Retry-After", "Content-Disposition",
}  # fmt: skip
PATHS = ["/api/events", "/events", "/public/vehicles", "/health", "/rien", "/api/members/1/terminate"]


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


def preflight(api: Api, path: str, origin: str, method: str = "PUT", headers: str = "authorization") -> dict[str, str]:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    answer = api.options(path, headers={"Origin": origin, **asked})
    return {**answer.headers, "status": str(answer.status_code)}


@pytest.mark.parametrize("origin", ALLOWED)
def test_an_allowed_origin_reads_answers_and_their_headers(api: Api, manager: Person, origin: str) -> None:
    path = path_of("events", create(api, manager, "events"))

    answer = api.get(path, headers={**manager.headers, "Origin": origin})

    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert words(answer.headers["Access-Control-Expose-Headers"]) == {name.lower() for name in READ}
    assert "origin" in words(answer.headers["Vary"])


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_reads_nothing(api: Api, origin: str) -> None:
    answers = [api.get(path, headers={"Origin": origin}) for path in PATHS]

    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ALLOWED)
def test_a_preflight_of_an_allowed_origin_passes_everywhere(api: Api, path: str, origin: str) -> None:
    found = preflight(api, path, origin, headers=", ".join(sorted(SENT)))

    assert found["status"] == "200"
    assert found["access-control-allow-origin"] == origin
    assert found["access-control-allow-credentials"] == "true"
    assert words(found["access-control-allow-methods"]) == {name.lower() for name in METHODS}
    assert words(found["access-control-allow-headers"]) >= {name.lower() for name in SENT}
    assert "origin" in words(found["vary"])
    assert found["x-request-id"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_preflight_passes_for_every_method(api: Api, method: str) -> None:
    assert preflight(api, "/api/events", ALLOWED[0], method)["status"] == "200"


@pytest.mark.parametrize("origin", [origin for origin in FOREIGN if origin])
def test_a_preflight_of_a_foreign_origin_is_refused(api: Api, origin: str) -> None:
    found = preflight(api, "/api/events", origin)

    assert found["status"] == "400"
    assert "access-control-allow-origin" not in found


@pytest.mark.parametrize(("method", "headers"), [("PROPFIND", "accept"), ("PUT", "x-secret")])
def test_a_preflight_for_something_else_is_refused(api: Api, method: str, headers: str) -> None:
    assert preflight(api, "/api/events", ALLOWED[0], method, headers)["status"] == "400"


@pytest.mark.parametrize("accept", ["*/*", "application/problem+json"])
@pytest.mark.parametrize(
    ("origin", "headers", "word"),
    [("https://elsewhere.example.org", "accept", "CORS_ORIGINS"), (ALLOWED[0], "x-secret", "en-têtes")],
)
def test_a_refused_preflight_has_the_form_of_every_error_and_its_reason(
    api: Api, origin: str, headers: str, word: str, accept: str
) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": headers, "Accept": accept}

    answer = api.options("/api/events", headers=asked | {"Origin": origin})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.headers["Content-Type"] == (accept if accept != "*/*" else "application/json")
    assert word in answer.json()["error"]
    assert answer.json()["requestId"] == answer.headers["X-Request-Id"]
    assert "origin" in words(answer.headers["Vary"])


def test_a_preflight_that_passes_answers_in_json(api: Api) -> None:
    asked = {"Origin": ALLOWED[0], "Access-Control-Request-Method": "GET"}

    assert api.options("/api/events", headers=asked).json() == {"ok": True}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://Bus.Example.org", "https://bus.example.org"),
        ("HTTPS://bus.example.org:443/", "https://bus.example.org"),
        ("http://bus.example.org:80", "http://bus.example.org"),
        ("http://bus.example.org:443", "http://bus.example.org:443"),
        ("https://musée.example.org", "https://xn--muse-dpa.example.org"),
        ("http://[0:0:0:0:0:0:0:1]:5173", "http://[::1]:5173"),
    ],
)
def test_an_origin_is_known_however_the_operator_wrote_it(shared_api: Api, written: str, sent: str) -> None:
    settings = settings_for(shared_api.database_url, cors_origins=written)

    with served(settings, shared_api.database_url) as api:
        answer = api.get("/health", headers={"Origin": sent})

    assert answer.headers["Access-Control-Allow-Origin"] == sent


@pytest.mark.parametrize(
    "written",
    [
        "*", "null", "https://*.example.org", "bus.example.org", "https://bus.example.org/app", "ftp://bus.example.org",
        "https://alix@bus.example.org", "https://bus.example.org:port", "https://", "https://bus.example.org?a=1",
        "https://bus.example.org:99999", "https://bus example.org",
    ],
)  # fmt: skip
def test_what_no_browser_sends_as_origin_is_refused_at_start(written: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for(None, cors_origins=written)

    assert complaints(refused.value)[0].startswith("CORS_ORIGINS : chaque origine est")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/events", {}, 401), ("GET", "/rien", {}, 404), ("POST", "/public/events", {}, 405),
        ("GET", "/public/events?limit=0", {}, 422), ("GET", "/health", {"X-Filler": "x" * 17_000}, 431),
        ("POST", "/api/auth/login", {"Content-Type": "text/plain"}, 415), ("GET", "/public/events?limit=%ff", {}, 400),
    ],
)  # fmt: skip
def test_an_allowed_origin_reads_errors_too(
    api: Api, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = api.request(method, path, content=b"a", headers={**headers, "Origin": ALLOWED[0]})

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED[0]
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "x-request-id" in words(answer.headers["Access-Control-Expose-Headers"])


def test_cors_origins_are_the_only_ones_once_they_are_set(shared_api: Api) -> None:
    intranet, url = "https://intranet.example.org", shared_api.database_url

    with served(settings_for(url, cors_origins=(intranet,)), url) as api:
        found = [api.get("/health", headers={"Origin": origin}).headers for origin in (intranet, ALLOWED[0])]

    assert [headers.get("Access-Control-Allow-Origin") for headers in found] == [intranet, None]
