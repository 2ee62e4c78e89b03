"""The connection on which the mirror follows PostgreSQL."""

import asyncio

from harness import LONGEST, until
from locks import Lock, held
from retrobus.background import Background
from retrobus.database.errors import CannotConnect
from retrobus.fallback.feed import Feed
from retrobus.fallback.follower import Follower
from retrobus.fallback.journal import Journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.settling import Settling
from retrobus.store.availability import Availability
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool


class Quiet:
    """Is told that Postgres goes and comes, and keeps it to itself."""

    def lost(self, reason: str) -> None:
        assert reason

    def found(self) -> None:
        pass


class Server:
    """Opens connections to a database that can refuse new ones."""

    def __init__(self, url: str) -> None:
        self.refuses = False
        self.opened = 0
        self._url = url

    async def open(self) -> Connection:
        if self.refuses:
            raise CannotConnect("fermé")
        self.opened += 1
        return await open_connection(self._url, timeout=2 * LONGEST, statement_cache=0)


def test_an_outage_that_ends_at_once_still_ends_a_connection_that_is_from_before_it(database: str) -> None:
    """The connection waits for an answer (here behind a lock) that a broken line would never bring."""
    for_probes, for_mirror = Server(database), Server(database)

    async def run(lock: Lock) -> None:
        availability = Availability(Pool(for_probes.open, 2), for_probes.open, LONGEST, Quiet())
        mirror = Mirror()
        feed = Feed(mirror)
        follower = Follower(availability, for_mirror.open, Settling(availability, mirror, feed, Journal(None)), feed)
        assert await availability.verdict()
        async with Background(lambda _: None).running("follower", follower.run), asyncio.timeout(LONGEST):
            await asyncio.to_thread(until, lock.waiting, "the mirror's question to wait")
            for_probes.refuses = True
            lost = not await availability.verdict()
            for_probes.refuses = False
            assert (lost, await availability.verdict()) == (True, True)
            await asyncio.to_thread(until, lambda: for_mirror.opened > 1, "another connection")

    with held(database, "LOCK TABLE member") as lock:
        asyncio.run(run(lock))
