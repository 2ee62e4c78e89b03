"""The checks of `retrobus verify`: asks a live service from outside, as its clients do, and leaves no event behind."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "verification-"
OWN_KEYS = f"^{PREFIX}[0-9a-f]{{32}}$"
"""The ids of the events that a verification makes: `db show` counts their deletions apart from those of people."""

LATE = "2200-01-01"
"""Date of the event that is made and deleted: lists begin with it."""

TIMEOUT = 10.0
PRIVATE = ("/api/events", "/api/vehicles", "/api/members")
PUBLIC = ("/public/events", "/public/vehicles")


class Unexpected(Exception):
    """A check did not find what it should; the text says what it found."""


class NoReply(Unexpected):
    """No service answers: every other check would only say so again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service answered to one request."""

    status: int
    source: str | None
    body: Any


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of the result."""

    name: str
    ok: bool
    found: str


@dataclass(slots=True)
class Inspection:
    """The checks of one service, in order. The event that they create is deleted, also if a check fails."""

    base: str
    token: str
    event: str = field(default_factory=lambda: PREFIX + secrets.token_hex(16))
    checks: list[Checked] = field(default_factory=list)
    _perhaps_there: bool = False

    def run(self) -> None:
        """Makes every check, also after one that failed: the operator needs all of them to find the cause.

        Ends with the first check that no service answers.
        """
        with suppress(NoReply):
            self._check_all()

    def _check_all(self) -> None:
        self._look("le processus vit (/health)", lambda: self._expect("GET", "/health", 200).status)
        self._look("le service est prêt (/ready)", self._ready)
        for path in PUBLIC:
            self._look(f"liste publique ouverte ({path})", partial(self._list, "", path))
        for path in PRIVATE:
            self._look(f"liste privée fermée sans jeton ({path})", partial(self._closed, path))
        for path in PRIVATE:
            self._look(f"liste privée depuis PostgreSQL ({path})", partial(self._list, self.token, path))
        try:
            self._look("un événement est créé", self._create)
            if self.checks[-1].ok:
                self._look("il est lu par sa clé et en tête de liste", self._seen)
                self._look("il est supprimé", self._delete)
                self._look("il ne revient ni par sa clé ni dans la liste", self._gone)
        finally:
            self._clean()

    def _look(self, name: str, check: Callable[[], object]) -> None:
        try:
            self.checks.append(Checked(name, ok=True, found=str(check())))
        except Unexpected as error:
            name = "aucun service ne répond" if isinstance(error, NoReply) else name
            self.checks.append(Checked(name, ok=False, found=str(error)))
            if isinstance(error, NoReply):
                raise
        except (LookupError, TypeError, AttributeError):
            self.checks.append(Checked(name, ok=False, found="réponse d'une autre forme : est-ce bien ce service ?"))

    def _ask(self, method: str, path: str, token: str, body: object = None) -> Reply:
        """One request on a connection of its own; NoReply or Unexpected if there is no answer in JSON."""
        place = urlsplit(self.base)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection = kind(place.hostname or "", place.port, timeout=TIMEOUT)
            try:
                text = None if body is None else json.dumps(body)
                connection.request(method, place.path.rstrip("/") + path, text, headers)
                found = connection.getresponse()
                return Reply(found.status, found.headers["X-Data-Source"], json.loads(found.read()))
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            raise NoReply(f"{self.base}, {_why(error)}") from None
        except ValueError:
            raise Unexpected("réponse qui n'est pas du JSON") from None

    def _expect(self, method: str, path: str, status: int, body: object = None, token: str | None = None) -> Reply:
        """The reply with this status; Unexpected with any other. Without a token, that of the operator is sent."""
        found = self._ask(method, path, self.token if token is None else token, body)
        if method == "POST":  # after a 202 or a 5xx the event may be there too
            self._perhaps_there = found.status < 300 or found.status >= 500
        if found.status != status:
            raise Unexpected(f"statut {found.status} au lieu de {status}{_reason(found)}")
        return found

    def _from_postgres(self, method: str, path: str, status: int, body: object = None, token: str | None = None) -> Any:
        """The body of such a reply; Unexpected if PostgreSQL did not give it."""
        found = self._expect(method, path, status, body, token)
        if found.source != "postgres":
            raise Unexpected(f"réponse venue de « {found.source} », pas de PostgreSQL")
        return found.body

    def _ready(self) -> str:
        body = self._expect("GET", "/ready", 200, token="").body
        if body["database"] != "up":
            raise Unexpected("la base est absente : le service répond depuis la mémoire")
        on = [name for name, value in body["toggles"].items() if value]
        return f"mode {body['mode']}" + (f", {', '.join(on)}" if on else "")

    def _list(self, token: str, path: str) -> str:
        body = self._from_postgres("GET", path, 200, token=token)
        rows = body if isinstance(body, list) else body[path.rsplit("/", 1)[-1]]
        return plural(len(rows), "ligne")

    def _closed(self, path: str) -> str:
        return f"statut {self._expect('GET', path, 401, token='').status}"

    def _create(self) -> str:
        self._perhaps_there = True
        self._from_postgres("POST", "/api/events", 201, {"id": self.event, "title": "Vérification", "date": LATE})
        return self.event

    def _seen(self) -> str:
        self._from_postgres("GET", f"/api/events/{self.event}", 200)
        if self.event not in self._first_ids():
            raise Unexpected("absent de la liste")
        return "vu"

    def _delete(self) -> str:
        self._from_postgres("DELETE", f"/api/events/{self.event}", 200)
        self._perhaps_there = False
        return "statut 200"

    def _gone(self) -> str:
        self._expect("GET", f"/api/events/{self.event}", 404)
        if self.event in self._first_ids():
            raise Unexpected("toujours dans la liste")
        return "statut 404"

    def _first_ids(self) -> list[str]:
        return [row["id"] for row in self._from_postgres("GET", "/api/events?limit=100", 200)["events"]]

    def _clean(self) -> None:
        """Deletes the event if it may be there, also if the answer to its creation was lost."""
        if not self._perhaps_there:
            return
        try:
            status = self._ask("DELETE", f"/api/events/{self.event}", self.token).status
        except Unexpected:
            status = 0
        if status not in {200, 202, 404}:
            cure = f"DELETE /api/events/{self.event} quand le service répond"
            self.checks.append(Checked("rien ne reste de la vérification", ok=False, found=cure))


def _reason(found: Reply) -> str:
    said = found.body.get("error") if isinstance(found.body, dict) else None
    return f" : {said}" if isinstance(said, str) else ""


def _why(error: OSError | HTTPException) -> str:
    from retrobus.database.errors import reason_of

    return reason_of(error).partition(" (")[0] if isinstance(error, OSError) else "ce n'est pas une réponse en HTTP"
