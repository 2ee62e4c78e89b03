"""The service with toggles on, behind a line that can be cut while psql still reaches Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from faults.proxy import Proxy
from harness import Api, Person, Process, process, served, settings_for, until


@dataclass(frozen=True)
class Outage:
    """One service, who uses it, and the line to its Postgres."""

    api: Api
    line: Proxy
    who: Person
    folder: Path

    def wait_for_mirror(self) -> None:
        """Until the mirror has what psql wrote before this call."""
        asked = datetime.now(UTC)
        until(lambda: datetime.fromisoformat(self.ready()["mirror"]["asOf"]) > asked, "the mirror")

    def cut(self) -> None:
        """Takes Postgres away from the service, and from nobody else."""
        self.line.become("refuse")
        assert source(self.api.get("/public/events")) == "memory"

    def heal(self) -> None:
        """Gives it back, and waits until the service speaks for Postgres again."""
        self.line.become("pass")
        until(self.is_over, "the return to Postgres")

    def is_over(self) -> bool:
        return source(self.api.get("/public/events")) == "postgres"

    def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """A request of this person."""
        return self.api.request(method, f"/api/{path}", headers=self.who.headers | headers, json=body)

    def done(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """A write of this person that must be accepted."""
        answer = self.send(method, path, body, **headers)
        assert answer.status_code in {200, 201, 202}, answer.text
        return answer

    def ready(self) -> dict[str, Any]:
        """What /ready says."""
        found: dict[str, Any] = self.api.get("/ready").json()
        return found

    def conflicts(self) -> list[tuple[str, str, str]]:
        """What waits to be decided: resource, key and operation, in order."""
        rows = self.api.sql("SELECT resource, key, operation FROM conflict WHERE resolution IS NULL ORDER BY sequence")
        return [tuple(row) for row in rows]


def source(answer: httpx.Response) -> str | None:
    """Who answered."""
    found: str | None = answer.headers.get("X-Data-Source")
    return found


def a_person(url: str, role: str = "ADMIN", **columns: Any) -> Person:
    """An active member who is in the database before any service looks."""
    with Api("http://nowhere.example.org", url) as api:
        return api.person(role, **columns)


@contextmanager
def outage(line: Proxy, url: str, folder: Path, who: Person | None = None, **overrides: Any) -> Iterator[Outage]:
    """The service in this process with the fallback on, as `who` uses it; `cut` takes Postgres away."""
    who = who or a_person(url)
    wanted = {"enable_memory_fallback": True, "backups_dir": folder, "app_env": "production"} | overrides
    with served(settings_for(line.url(name_of(url)), **wanted), url) as api:
        yield Outage(api, line, who, folder)


@contextmanager
def outage_of_a_process(
    line: Proxy, url: str, folder: Path, who: Person, **environment: str
) -> Iterator[tuple[Outage, Process]]:
    """The same as a process that can be killed; its files are in `folder`."""
    folder.mkdir(exist_ok=True)
    wanted = {"ENABLE_MEMORY_FALLBACK": "true", "APP_ENV": "production"} | environment
    with process(line.url(name_of(url)), folder, **wanted) as (api, running):
        api.database_url = url
        yield Outage(api, line, who, folder / "backups"), running


def name_of(url: str) -> str:
    """The database in a URL."""
    return url.partition("?")[0].rpartition("/")[2]
