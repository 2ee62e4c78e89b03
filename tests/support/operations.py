"""Every operation of the API: one good request for each, and who may send it."""

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import httpx
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from builders import PIXEL, Body, a_member, a_vehicle, an_event
from harness import TOKENS, Api
from retrobus.model.resources import BY_NAME
from retrobus.model.rows import completed, encode
from routes import CONFLICT, DELETION, EVENT, MEMBER, VEHICLE

PASSWORD, ACCOUNT = "un-mot-de-passe-inventé", "compte@example.org"
NEW_PASSWORD: Body = {"currentPassword": PASSWORD, "newPassword": "un-autre-mot-de-passe"}

ROLES = ("MEMBER", "DRIVER", "BUREAU", "ADMIN")
Audience = Literal["anyone", "token", "manager", "admin"]


@dataclass(frozen=True)
class Operation:
    """One good request: sent by somebody of its audience, on the rows that `prepared` makes, it succeeds."""

    method: str
    path: str
    audience: Audience
    body: Body | None = None

    @property
    def status(self) -> int:
        """What it is answered with."""
        return 201 if self.method == "POST" and self.path.count("/") == 2 and "auth" not in self.path else 200

    @property
    def endless(self) -> bool:
        """Whether its answer ends only with the connection."""
        return self.path.endswith("/stream")

    @property
    def streamed(self) -> bool:
        """Whether its answer is a file that is written while it is sent, so that its length is not told before."""
        return self.path.endswith(".csv")

    @property
    def costly(self) -> bool:
        """Whether each good request starts a process."""
        return self.method == "POST" and self.path == "/api/backups"

    @property
    def target(self) -> str:
        """Its path with the keys filled in."""
        ids = {"members": MEMBER, "conflicts": CONFLICT}
        named = next((key for part, key in ids.items() if f"/api/{part}/" in self.path), EVENT)
        return self.path.format(parc=VEHICLE, n=0, version=DELETION, id=named)

    @property
    def alias(self) -> str | None:
        """The other path under which it answers, if it has one."""
        if self.target.startswith("/api/"):
            return self.target.removeprefix("/api")
        return f"/api{self.target}" if self.target.startswith("/public/") else None


OPERATIONS: dict[str, Operation] = {
    "listEvents": Operation("GET", "/api/events", "token"),
    "exportEvents": Operation("GET", "/api/events.csv", "token"),
    "createEvent": Operation("POST", "/api/events", "manager", an_event(id="autre")),
    "getEvent": Operation("GET", "/api/events/{id}", "token"),
    "updateEvent": Operation("PUT", "/api/events/{id}", "manager", {"layout": "carte"}),
    "patchEvent": Operation("PATCH", "/api/events/{id}", "manager", {"layout": "carte"}),
    "deleteEvent": Operation("DELETE", "/api/events/{id}", "manager"),
    "listVehicles": Operation("GET", "/api/vehicles", "token"),
    "exportVehicles": Operation("GET", "/api/vehicles.csv", "token"),
    "createVehicle": Operation("POST", "/api/vehicles", "manager", a_vehicle(parc="921")),
    "getVehicle": Operation("GET", "/api/vehicles/{parc}", "token"),
    "updateVehicle": Operation("PUT", "/api/vehicles/{parc}", "manager", {"etat": "en panne"}),
    "patchVehicle": Operation("PATCH", "/api/vehicles/{parc}", "manager", {"etat": "en panne"}),
    "deleteVehicle": Operation("DELETE", "/api/vehicles/{parc}", "manager"),
    "listMembers": Operation("GET", "/api/members", "manager"),
    "exportMembers": Operation("GET", "/api/members.csv", "manager"),
    "createMember": Operation("POST", "/api/members", "manager", a_member()),
    "updateMemberByBody": Operation("PUT", "/api/members", "manager", {"id": MEMBER, "city": "Lyon"}),
    "patchMemberByBody": Operation("PATCH", "/api/members", "manager", {"id": MEMBER, "city": "Lyon"}),
    "deleteMemberByBody": Operation("DELETE", "/api/members", "manager", {"id": MEMBER}),
    "getOwnMember": Operation("GET", "/api/members/me", "token"),
    "updateOwnMember": Operation("PUT", "/api/members/me", "token", {"city": "Lyon"}),
    "changeMemberPassword": Operation("POST", "/api/members/change-password", "token", NEW_PASSWORD),
    "getMember": Operation("GET", "/api/members/{id}", "manager"),
    "updateMember": Operation("PUT", "/api/members/{id}", "manager", {"city": "Lyon"}),
    "patchMember": Operation("PATCH", "/api/members/{id}", "manager", {"city": "Lyon"}),
    "deleteMember": Operation("DELETE", "/api/members/{id}", "manager"),
    "terminateMember": Operation("POST", "/api/members/{id}/terminate", "manager", {}),
    "listDeletions": Operation("GET", "/api/deletions", "manager"),
    "getDeletion": Operation("GET", "/api/deletions/{version}", "manager"),
    "listConflicts": Operation("GET", "/api/conflicts", "admin"),
    "applyConflict": Operation("POST", "/api/conflicts/{id}/apply", "admin", {}),
    "discardConflict": Operation("POST", "/api/conflicts/{id}/discard", "admin", {}),
    "listBackups": Operation("GET", "/api/backups", "admin"),
    "createBackup": Operation("POST", "/api/backups", "admin", {}),
    "status": Operation("GET", "/api/status", "manager"),
    "login": Operation("POST", "/api/auth/login", "anyone", {"email": ACCOUNT, "password": PASSWORD}),
    "memberLogin": Operation("POST", "/api/auth/member-login", "anyone", {"identifier": ACCOUNT, "password": PASSWORD}),
    "changePassword": Operation("POST", "/api/auth/change-password", "token", NEW_PASSWORD),
    "whoAmI": Operation("GET", "/api/auth/me", "token"),
    "me": Operation("GET", "/api/me", "token"),
    "listPublicVehicles": Operation("GET", "/public/vehicles", "anyone"),
    "getPublicVehicle": Operation("GET", "/public/vehicles/{parc}", "anyone"),
    "listPublicVehicleEvents": Operation("GET", "/public/vehicles/{parc}/events", "anyone"),
    "listPublicEvents": Operation("GET", "/public/events", "anyone"),
    "getPublicEvent": Operation("GET", "/public/events/{id}", "anyone"),
    "getPublicCalendar": Operation("GET", "/public/events.ics", "anyone"),
    "getPublicVehicleCalendar": Operation("GET", "/public/vehicles/{parc}/events.ics", "anyone"),
    "getVehicleImage": Operation("GET", "/api/vehicles/{parc}/image", "token"),
    "getVehicleGalleryImage": Operation("GET", "/api/vehicles/{parc}/gallery/{n}", "token"),
    "getPublicVehicleImage": Operation("GET", "/public/vehicles/{parc}/image", "anyone"),
    "getPublicVehicleGalleryImage": Operation("GET", "/public/vehicles/{parc}/gallery/{n}", "anyone"),
    "listChanges": Operation("GET", "/api/changes", "token"),
    "listPublicChanges": Operation("GET", "/public/changes", "anyone"),
    "streamChanges": Operation("GET", "/api/changes/stream", "token"),
    "streamPublicChanges": Operation("GET", "/public/changes/stream", "anyone"),
    "health": Operation("GET", "/api/health", "anyone"),
    "ready": Operation("GET", "/ready", "anyone"),
    "metrics": Operation("GET", "/metrics", "anyone"),
}


@cache
def caller_password_hash() -> str:
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),)).hash(PASSWORD)


def prepared(api: Api) -> dict[str, dict[str, str]]:
    """Makes the rows that the operations name; gives the headers of each kind of caller."""
    ids = {role: f"{role.lower()}-{os.urandom(6).hex()}" for role in ROLES}
    people = [(key, f"{key}@example.org", role) for role, key in ids.items()] + [(MEMBER, ACCOUNT, "MEMBER")]
    rows = ", ".join(f"('{key}', '{email}', '{role}', '{caller_password_hash()}')" for key, email, role in people)
    api.sql(
        f"INSERT INTO vehicle (parc, is_public, background_image, gallery)"
        f" VALUES ('{VEHICLE}', true, '{PIXEL}', '[\"{PIXEL}\"]')",
        f"INSERT INTO event (id, title, date, status) VALUES ('{EVENT}', 'Sortie', '2026-05-01', 'PUBLISHED')",
        f"INSERT INTO member (id, email, role, password_hash) VALUES {rows}",
        a_conflict(),
        f"INSERT INTO deletion (version, resource, key, cause, batch) VALUES ({DELETION}, 'Event', 'ancien', 'api', 1)",
    )
    tokens = {role: token(key, role) for role, key in ids.items()}
    tokens["expired token"] = token(ids["ADMIN"], "ADMIN", ttl=-3600)
    return {"no token": {}} | {name: {"Authorization": f"Bearer {found}"} for name, found in tokens.items()}


def a_conflict(number: int = CONFLICT, **changes: Any) -> str:
    """The statement that adds an open conflict: an outage's change of the vehicle, which psql changed meanwhile."""
    table = BY_NAME["Vehicle"]
    row = encode(table, completed(table, {"parc": VEHICLE, "version": 0, "is_public": True, "etat": "par l'API"}))
    entry = {"at": "2026-05-01T10:00:00.000Z", "row": row, "base": None, "member": None, "once": None} | changes
    said = json.dumps(entry).replace("'", "''")
    return (
        "INSERT INTO conflict (id, journal, sequence, resource, key, operation, entry, reason) OVERRIDING SYSTEM VALUE"
        f" VALUES ({number}, gen_random_uuid(), 1, 'Vehicle', '{VEHICLE}', 'update', '{said}', 'la ligne a changé')"
    )


def token(key: str, role: str, ttl: int | None = None) -> str:
    """A token for a member who never logged in."""
    return TOKENS.issue({"id": key, "role": role, "token_epoch": 0}, ttl)[0]


def send(api: Api, operation: Operation, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    """Sends the good request, with changes."""
    request = {"method": operation.method, "url": operation.target, "json": operation.body} | changes
    if "content" in changes:
        del request["json"]
    if operation.endless:
        with api.stream(headers=headers, **request) as answer:
            body = next(answer.iter_bytes(), b"") if answer.status_code == 200 else answer.read()
        found = httpx.Response(answer.status_code, headers=answer.headers, content=body, request=answer.request)
        found.elapsed = answer.elapsed
        return found
    return api.request(headers=headers, **request)
