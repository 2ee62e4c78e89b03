"""One service under test: its mode, its database, the line between them, and what was done to it when."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from checking.client import Client, Request, now
from checking.model import CONFLICTS, Model
from checking.psql import Psql
from checking.service import TOGGLES, Service, token
from proving.crowd import EARLY, Crowd, Done

from faults.proxy import Mode, Proxy
from harness import Process

Kind = Literal["strict", "fallback"]
RETURN = 20.0
"""Seconds within which a service must speak for Postgres again; the figures say how many it really needs."""

ROLE = "proof_service"
"""The role of the service: it may use the tables, and is no superuser."""

SETTINGS = {"APP_ENV": "production", "DATABASE_POOL_SIZE": "10", "LOG_LEVEL": "warning"}


@dataclass(slots=True)
class Span:
    """From one moment to another; open until it has an end."""

    start: float
    end: float = float("inf")


class Site:
    """A service in one mode, with everything that belongs to it alone."""

    def __init__(
        self, kind: Kind, url: str, line: Proxy, crowd: Crowd, folder: Path, settings: Mapping[str, str]
    ) -> None:
        folder.mkdir(mode=0o755)
        self.kind = kind
        self.url = url
        self.line = line
        self.psql = Psql(url)
        self.database = url.partition("?")[0].rpartition("/")[2]
        self.service = Service(line.url(self.database, ROLE), folder, SETTINGS | settings)
        if "BACKUPS_DIR" in settings:
            self.service.backups = Path(settings["BACKUPS_DIR"]) / kind
            self.service.settings["BACKUPS_DIR"] = str(self.service.backups)
        self.clock = (0.0, 0)
        """When the service's clock was set, and by how many seconds."""

        self.crowd = crowd
        self.done: Done | None = None
        self._clients = 0
        self.deeds: list[tuple[float, Callable[[Model], object]]] = []
        """What others than the clients did to the rows, and when; the judge tells the model in this order."""

        self.beside: list[Process] = []
        """Other processes of the service on the same database and folder."""

        self.complaints: list[str] = []
        """What went wrong beside the answers: a process that started though it must not, and the like."""

        self._gone: list[Span] = []
        self._away: list[Span] = []

    # --- the service ------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the service; it answers when this returns."""
        combination = TOGGLES if self.kind == "fallback" else ()
        code = self.service.start(combination)
        if code is not None:
            raise RuntimeError(f"the {self.kind} service ended with {code}:\n{self.service.log_tail()}")
        for span in self._away:
            span.end = min(span.end, now())

    def end(self, number: signal.Signals) -> None:
        """Ends the service with a signal; it has ended when this returns."""
        self._away.append(Span(now()))
        self.service.end(number)
        at, journal = now(), (self.service.backups / "journal.jsonl").exists()
        self.deeds.append((at, lambda model: _forget(model, at, journal=journal)))

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the service and starts it again, as a supervisor does."""
        self.end(number)
        self.start()

    def kill_all(self) -> None:
        """Ends every process, and the clients if the run broke off."""
        if self._clients and self.done is None:
            self.crowd.close()
        self.service.kill()
        for process in self.beside:
            process.popen.kill()
            process.popen.wait()

    # --- the line ---------------------------------------------------------------------------------

    def lose(self) -> None:
        """Notes that the service cannot reach Postgres from now on."""
        self._gone.append(Span(now()))

    def find(self) -> None:
        """Notes that it may reach Postgres from now on."""
        for span in self._gone:
            span.end = min(span.end, now())

    def cut(self, mode: Mode) -> None:
        """Treats the line so that nothing gets through."""
        self.line.become(mode)
        self.lose()

    def heal(self) -> None:
        """Lets everything through again."""
        self.find()
        self.line.become("pass")

    # --- clients ----------------------------------------------------------------------------------

    def open(self, clients: int, port: int | None = None) -> None:
        """Lets clients begin; `port` is that of another process of the service."""
        names = [f"{self.kind[0]}{number}" for number in range(self._clients, self._clients + clients)]
        self._clients += clients
        self.crowd.open(names, port or self.service.port)

    def close(self) -> None:
        """Ends the clients; each got its last answer when this returns."""
        self.done = self.crowd.close()
        for work in self.done.works:
            for _, answer in work.exchanges:
                answer.clock = self.clock[1] if answer.received > self.clock[0] else 0
        self.complaints += [f"client {work.name} broke off: {work.error}" for work in self.done.all if work.error]

    def wait_for_postgres(self) -> None:
        """Waits until the service speaks for Postgres again, or so long that it never will."""
        client, end = self.client(), now() + RETURN
        request = Request("wait", "GET", "/api/events?limit=1")
        while now() < end:
            answer = client.send(request)
            if answer.status == 200 and answer.source == "postgres":
                break
            time.sleep(0.05)
        client.close()

    def client(self) -> Client:
        """A new connection to the service."""
        return Client(self.service.port, token(EARLY))

    # --- what the judge asks ----------------------------------------------------------------------

    def postgres_was_gone(self, sent: float, received: float) -> bool:
        """Whether Postgres could not be reached at any moment between the two."""
        return any(span.start < sent and received < span.end for span in self._gone)

    def service_was_away(self, sent: float, received: float) -> bool:
        """Whether the service was ended or started meanwhile."""
        return any(span.start < received and sent < span.end for span in self._away)

    def conflicts(self, after: int) -> Iterable[Mapping[str, Any]]:
        """The rows of table `conflict` with a higher id."""
        return self.psql.run(CONFLICTS, after)

    def end_connections(self) -> None:
        """Ends every backend of the service."""
        self.psql.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = $1",
            ROLE,
        )

    def backends(self) -> list[int]:
        """The process ids of the service's backends."""
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = $1"
        return [row["pid"] for row in self.psql.run(asked, ROLE)]


def _forget(model: Model, at: float, *, journal: bool) -> None:
    for track in model.tracks.values():
        track.forget(perhaps_replayed=True, journal=journal, at=at)


def at_once(sites: Iterable[Site], act: Callable[[Site], object]) -> None:
    """Does the same to every site at the same time; raises the first error."""
    errors: list[BaseException] = []

    def run(site: Site) -> None:
        try:
            act(site)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            errors.append(error)

    threads = [threading.Thread(target=run, args=(site,)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
