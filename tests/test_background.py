"""Facts about tasks beside the requests: one that fails is told, counted and started again, and no client waits."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from harness import LONGEST, until
from retrobus import background, logbook
from retrobus.background import Background
from retrobus.database.errors import CannotConnect
from retrobus.database.pooler import OwnNames
from retrobus.fallback.feed import Feed
from retrobus.fallback.follower import Follower
from retrobus.fallback.journal import Journal
from retrobus.fallback.memory import Effect, Held
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore, Serving
from retrobus.fallback.settling import Settling
from retrobus.model.resources import EVENT, MEMBER
from retrobus.model.rows import completed
from retrobus.store.availability import Availability
from retrobus.store.contract import Caller, Insert, Terms
from retrobus.store.failover import Acknowledged
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.0)
    logbook.configure("console", "info")


class Fragile:
    """A task that ends badly a few times, then works until it is cancelled."""

    def __init__(self, *endings: Exception | None) -> None:
        self._endings = list(endings)
        self.begun = 0
        self.sound = asyncio.Event()
        self.cancelled = False

    async def run(self) -> None:
        self.begun += 1
        if self._endings:
            ending = self._endings.pop(0)
            if ending is not None:
                raise ending
            return
        self.sound.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


def test_a_task_that_ends_is_told_counted_and_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    counted: list[str] = []

    async def run() -> Fragile:
        task = Fragile(KeyError("secret of a row"), None, OSError("disk"))
        async with asyncio.timeout(LONGEST), Background(counted.append).running("fragile", task.run):
            await task.sound.wait()
        return task

    task = asyncio.run(run())
    said = capsys.readouterr().err

    assert (task.begun, task.cancelled) == (4, True)
    assert counted == ["fragile"] * 3
    assert said.count("Tâche de fond interrompue") == 3
    assert "KeyError" in said
    assert "test_background.py" in said
    assert "secret of a row" not in said


def test_an_error_of_the_block_is_not_swallowed_by_its_task() -> None:
    async def run() -> None:
        async with Background(lambda _: None).running("fragile", Fragile().run):
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(run())


def test_a_write_that_fails_by_a_bug_is_answered_and_the_next_one_goes_through() -> None:
    caller = Caller("alix", 0, "ADMIN")

    class Faulty(Mirror):
        failures = iter([ZeroDivisionError()])

        def journaled(self, effects: Iterable[Effect]) -> None:
            for failure in self.failures:
                raise failure
            super().journaled(effects)

    def creation(key: str) -> Insert:
        return Insert(EVENT, completed(EVENT, {"id": key, "title": "Sortie", "date": background_day()}), Terms(caller))

    async def opener() -> Connection:
        raise CannotConnect("fermé")

    async def run() -> tuple[BaseException | None, str]:
        mirror = Faulty()
        alix = {"id": "alix", "email": "alix@example.org", "role": "ADMIN", "version": 1}
        mirror.store.memory.of(MEMBER).put("alix", Held(completed(MEMBER, alix)))
        away = Availability(Pool(opener, 2), opener, LONGEST, Quiet())
        store = MirroredStore(
            away, opener, Acknowledged(), mirror, Journal(None), Serving(fallback=True, when_empty=True)
        )
        async with asyncio.timeout(LONGEST):
            first = asyncio.create_task(store.write(creation("a")))
            await asyncio.wait({first})
            second = await store.write(creation("b"))
        return first.exception(), second.key

    error, key = asyncio.run(run())

    assert isinstance(error, ZeroDivisionError)
    assert key == "b"


class Quiet:
    """Is told that Postgres goes and comes, and keeps it to itself."""

    def lost(self, reason: str) -> None:
        assert reason

    def found(self) -> None:
        pass


class Wrong(Settling):
    """Settles with a bug."""

    async def settle(self, connection: OwnNames) -> None:  # noqa: ARG002 - as its parent
        raise ZeroDivisionError


def test_a_bug_while_following_ends_the_follower_so_that_its_supervisor_tells(database: str) -> None:
    async def opener() -> Connection:
        return await open_connection(database, timeout=LONGEST, statement_cache=0)

    async def run() -> None:
        availability = Availability(Pool(opener, 2), opener, LONGEST, Quiet())
        mirror = Mirror()
        feed = Feed(mirror)
        wrong = Wrong(availability, mirror, feed, Journal(None))
        async with Background(lambda _: None).running("watch", availability.watch), asyncio.timeout(LONGEST):
            await asyncio.to_thread(until, lambda: availability.up)
            await Follower(availability, opener, wrong, feed).run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def background_day() -> Any:
    """An instant for an event."""
    return completed(EVENT, {})["created_at"]
