"""The routes as tables, and what every refusal owes its client: for facts that hold on all of them."""

from dataclasses import dataclass

import httpx
import pytest

from builders import Body, a_member, a_vehicle, an_event
from harness import Api, Person

EVENT, VEHICLE, MEMBER = "sortie", "920", "membre"
"""Keys of the rows that `stocked` makes."""

DELETION = 0
"""Version of a tombstone that tests may add: lower than any that PostgreSQL draws."""


CONFLICT = 0
"""Number of a conflict that tests may add: lower than any that PostgreSQL counts."""


@dataclass(frozen=True)
class Write:
    """A route that reads a body, and a body that it takes."""

    method: str
    path: str
    resource: str
    body: Body
    text: str
    """A field of the body that holds text."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _writes() -> list[Write]:
    event, vehicle, member = an_event(), a_vehicle(), a_member()
    named = {"id": MEMBER, "lastName": "Autre"}
    change = {"currentPassword": "un mot de passe", "newPassword": "un autre mot de passe"}
    found = [Write("POST", "/api/events", "event", event, "title")]
    found += [Write(method, f"/api/events/{EVENT}", "event", event, "title") for method in ("PUT", "PATCH")]
    found += [Write("POST", "/api/vehicles", "vehicle", vehicle, "marque")]
    found += [Write(method, f"/api/vehicles/{VEHICLE}", "vehicle", vehicle, "marque") for method in ("PUT", "PATCH")]
    found += [Write("POST", "/api/members", "member", member, "lastName")]
    for method in ("PUT", "PATCH"):
        found.append(Write(method, f"/api/members/{MEMBER}", "member", {"lastName": "Autre"}, "lastName"))
        found.append(Write(method, "/api/members", "member", named, "lastName"))
    found.append(Write("DELETE", "/api/members", "", {"id": MEMBER}, "id"))
    found.append(Write("PUT", "/api/members/me", "own", {"city": "Autreville"}, "city"))
    found += [Write("POST", f"/api/{part}/change-password", "", change, "newPassword") for part in ("auth", "members")]
    found.append(Write("POST", "/api/auth/login", "", {"email": "a@example.org", "password": "x"}, "email"))
    found.append(Write("POST", "/api/auth/member-login", "", {"identifier": "a", "password": "x"}, "identifier"))
    return found


WRITES = _writes()
"""Every route that reads a JSON body."""

every_write = pytest.mark.parametrize("write", WRITES, ids=str)

KEYED = (
    "GET /api/events/{}", "PUT /api/events/{}", "PATCH /api/events/{}", "DELETE /api/events/{}",
    "GET /api/vehicles/{}", "PUT /api/vehicles/{}", "PATCH /api/vehicles/{}", "DELETE /api/vehicles/{}",
    "GET /api/members/{}", "PUT /api/members/{}", "PATCH /api/members/{}", "DELETE /api/members/{}",
    "POST /api/members/{}/terminate",
    "GET /api/deletions/{}", "POST /api/conflicts/{}/apply", "POST /api/conflicts/{}/discard",
    "GET /api/vehicles/{}/image", "GET /api/vehicles/{}/gallery/{}", "GET /public/vehicles/{}/image",
    "GET /public/vehicles/{}/gallery/{}",
    "GET /public/events/{}", "GET /public/vehicles/{}", "GET /public/vehicles/{}/events",
    "GET /public/vehicles/{}/events.ics",
)  # fmt: skip
"""Every route with a key in its path."""

LISTS = ("/api/events", "/api/vehicles", "/api/members", "/public/events", "/public/vehicles",
         f"/public/vehicles/{VEHICLE}/events", "/api/deletions", "/api/conflicts")  # fmt: skip
"""Every route that answers with a page."""


def stocked(api: Api) -> Person:
    """Makes one row of each kind; gives the ADMIN who may do everything to them."""
    admin = api.person("ADMIN")
    for path, body in (("vehicles", a_vehicle(parc=VEHICLE)), ("events", an_event(id=EVENT, status="PUBLISHED"))):
        assert api.post(f"/api/{path}", json=body, headers=admin.headers).status_code == 201
    api.person("MEMBER", id=MEMBER)
    return admin


def everything(api: Api) -> list[str]:
    """The whole content of the database, to see that nothing was stored."""
    tables = ("event", "vehicle", "member", "deletion", "idempotency")
    rows = " UNION ALL ".join(f"SELECT '{name} ' || t::text FROM {name} t" for name in tables)
    return [row[0] for row in api.sql(f"SELECT * FROM ({rows}) AS every (line) ORDER BY line")]


def send(api: Api, who: Person, write: Write, content: bytes, media: str = "application/json") -> httpx.Response:
    """Sends these bytes as the body of a write."""
    return api.request(write.method, write.path, content=content, headers={"Content-Type": media} | who.headers)


def assert_refused(answer: httpx.Response, status: int, code: str, *fields: str) -> None:
    """The one error body, with everything that clients and operators rely on."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:retrobus:error:{code}")
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "title", "detail"))
    assert sorted(item["field"] for item in body.get("errors", [])) == sorted(fields)
    assert all(item["message"] for item in body.get("errors", []))
