"""Brings the journal into Postgres once it is back, and makes the mirror what Postgres is."""

import asyncio
import time
from functools import partial

from retrobus import logbook
from retrobus.database.pooler import OwnNames
from retrobus.fallback.feed import Feed
from retrobus.fallback.journal import Journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.parts import Report
from retrobus.fallback.replay import Replay
from retrobus.store.availability import Availability
from retrobus.store.confirmed import NO_STANDBY, Unconfirmed
from retrobus.store.refusals import hindrance

HOLD = 0.4
"""Seconds of replay for which writes may wait; what takes longer is replayed beside the writes first."""

FEW = 10
"""Entries that are replayed while writes wait, however slow the line is."""


class Settling:
    """Ends an outage. Promise: an entry leaves the journal only after a COMMIT that every needed standby has."""

    def __init__(self, availability: Availability, mirror: Mirror, feed: Feed, journal: Journal) -> None:
        self.turn = asyncio.Lock()
        """Held by the one write that memory decides, and by the replay for the last entries."""

        self.conflicts = 0
        """Entries that Postgres could not take, since the start."""

        self.waiting: str | None = None
        """Why the journal is not in Postgres yet although Postgres answers, as /ready and the log say it."""

        self._availability = availability
        self._mirror = mirror
        self._feed = feed
        self._journal = journal
        self._report = Report()
        self._begun = False
        self._at_once = FEW
        """Entries that the replay takes within HOLD, at its last speed."""

    @property
    def pending(self) -> bool:
        """Whether writes acknowledged from memory are not yet in Postgres."""
        return len(self._journal) > 0

    def begin(self) -> None:
        """Memory answers: the log says so once for each outage."""
        if not self._begun:
            self._begun = True
            logbook.fallback_started(self._mirror.origin, self._mirror.store.origin.as_of)

    async def settle(self, connection: OwnNames) -> None:
        """Brings the journal into Postgres, if it has entries, and fills the mirror; raises if Postgres refuses."""
        if self.pending:
            try:
                await self._bring_in(connection)
            except Exception as error:
                self._wait(str(error) if isinstance(error, Unconfirmed) else hindrance(error))
                raise
        else:
            await self._feed.fill(connection)
        self.waiting = None
        if not self.pending and self._begun:
            self._begun = False
            logbook.fallback_ended(self._report.applied, self._report.already, len(self._report.conflicts))
            self._report = Report()

    async def _bring_in(self, connection: OwnNames) -> None:
        """Replays most of the journal beside the writes, and the last of it while they wait.

        If a pass leaves more than half of what it found, clients write about as fast as it replays. From then on writes
        wait while a portion is replayed, and go on before the next portion. For example: of 5,000 entries a pass leaves
        3,000, because clients wrote meanwhile. Portions of 300 take these, while sixteen clients add one entry each
        between two portions. If a portion gains too little, writes wait for all that is left.
        """
        before, beside, gains = len(self._journal), True, True
        while gains:
            done = await (self._replay(connection) if beside else self._portion(connection))
            left = self._journal.last - done  # after the replay: clients wrote on meanwhile
            if left <= self._at_once:
                break
            gains = beside or left <= before - self._at_once // 2
            beside = beside and left <= before // 2
            before = left
        async with self.turn:
            done = await self._replay(connection, alone=True)
            await self._feed.fill(connection, settled=True)
            await asyncio.to_thread(self._journal.settle, done)

    async def _portion(self, connection: OwnNames) -> int:
        """Replays as much as it can within HOLD while writes wait; the last sequence that Postgres has now."""
        async with self.turn:
            return await self._replay(connection, alone=True, most=self._at_once)

    async def _replay(self, connection: OwnNames, *, alone: bool = False, most: int | None = None) -> int:
        """Replays what Postgres does not have yet, `alone` while writes wait; the last sequence that it has now."""
        replay = Replay(connection, self._journal, partial(self._goes_on, alone=alone), most)
        began = time.monotonic()
        done = await replay.run()
        if replay.report.entries:
            self._at_once = max(FEW, int(HOLD * replay.report.entries / (time.monotonic() - began)))
        self.conflicts += len(replay.report.conflicts)
        self._report.add(replay.report)
        self._begun = True
        return done

    async def _goes_on(self, *, alone: bool) -> bool:
        """Whether to go on waiting for a standby: while Postgres lives, unless clients' writes wait for the replay."""
        self._wait(NO_STANDBY)
        return not alone and await self._availability.verdict()

    def _wait(self, reason: str) -> None:
        """Notes why the journal waits; the log says each reason once."""
        if reason != self.waiting:
            self.waiting = reason
            logbook.journal_waits(reason)
