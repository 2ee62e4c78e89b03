"""Every combination of the toggles through outages, restarts and kills, and what was answered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from faults.background import at_once
from faults.toggles.model import COMBINATIONS
from faults.toggles.subject import CHIEF, TRUTH, Service
from faults.toggles.table import Line
from harness import copy_database, run_sql
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres


@dataclass
class Story:
    """The services side by side, and one Postgres that goes and comes for all of them."""

    postgres: EmbeddedPostgres
    services: list[Service]
    lines: list[Line] = field(default_factory=list)
    number: int = 0
    lost_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def lose(self, how: Callable[[EmbeddedPostgres], None]) -> None:
        """Takes Postgres away."""
        how(self.postgres)
        self.lost_at = datetime.now(UTC)
        for service in self.services:
            service.world.lose_postgres()

    def find(self) -> None:
        """Gives it back, and waits until every service has noticed."""
        self.postgres.start()
        at_once(service.wait_for_postgres for service in self.services)
        for service in self.services:
            service.world.find_postgres()

    def all(self, step: Callable[[Service], None]) -> None:
        """Does the same to every service."""
        at_once(partial(step, service) for service in self.services)

    def ask(self, phase: str) -> None:
        """Every operation on every service."""
        asked = [partial(service.ask, phase, self.number, self.lost_at) for service in self.services]
        self.lines += at_once(asked)
        self.number += 1


def tell(story: Story) -> list[Line]:
    """The whole story, from a Postgres that is down at boot."""
    _boot(story)
    _outage(story)
    _restart(story)
    _kill(story)
    return story.lines + [service.settle() for service in story.services]


def _boot(story: Story) -> None:
    story.lose(EmbeddedPostgres.stop)
    story.all(Service.start)
    story.ask("Postgres down at boot")
    story.services = [service for service in story.services if not _ends_here(service)]
    story.find()
    story.ask("back again")
    story.all(Service.restart)
    story.ask("Postgres up")


def _outage(story: Story) -> None:
    story.lose(EmbeddedPostgres.kill)
    story.ask("lost later")
    story.find()
    story.ask("back again, with the journal")


def _restart(story: Story) -> None:
    story.lose(partial(EmbeddedPostgres.stop, mode="immediate"))
    story.ask("lost again")
    story.all(Service.restart)
    story.ask("service restarted while down")
    story.find()
    story.ask("back after the restart")


def _kill(story: Story) -> None:
    story.all(partial(Service.wait_for_snapshot, word=f"phase {story.number - 1}"))
    story.lose(EmbeddedPostgres.stop)
    story.ask("lost a third time")
    story.all(Service.kill_and_start)
    story.ask("service killed while down")
    story.find()
    story.ask("back after the kill")


def _ends_here(service: Service) -> bool:
    """Production differs in one thing only: a memory that knows nothing answers nobody."""
    if service.world.production:
        service.close()
    return service.world.production


@contextmanager
def services(postgres: EmbeddedPostgres, folder: Path) -> Iterator[list[Service]]:
    """Each combination with a database and a folder of its own; in production too where memory may answer."""
    run_sql(postgres.url(), "CREATE DATABASE toggles")
    migrate.upgrade(postgres.url("toggles"))
    vehicles = ", ".join(f"('{parc}', '{state}', true)" for parc, state in TRUTH.items())
    run_sql(
        postgres.url("toggles"),
        f"INSERT INTO vehicle (parc, etat, is_public) VALUES {vehicles}",
        f"INSERT INTO member (id, email, role) VALUES ('{CHIEF.id}', 'chef@example.org', 'ADMIN')",
    )
    made = [
        _service(postgres, folder, number, production=production)
        for production in (False, True)
        for number, toggles in enumerate(COMBINATIONS)
        if toggles.fallback or not production
    ]
    try:
        yield made
    finally:
        for service in made:
            service.close()


def _service(postgres: EmbeddedPostgres, folder: Path, number: int, *, production: bool) -> Service:
    name = f"toggles_{number}{'_production' if production else ''}"
    copy_database(postgres.url(), name, "toggles")
    url = f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}?sslmode=disable"
    (folder / name).mkdir()
    return Service(COMBINATIONS[number], url, folder / name, production=production)
