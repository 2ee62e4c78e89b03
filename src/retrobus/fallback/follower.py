"""Keeps the mirror at Postgres' side: brings the journal in when Postgres is back, then reads what changes."""

import asyncio
import time
from contextlib import suppress

from retrobus import logbook
from retrobus.database.errors import is_unavailable, state_of
from retrobus.database.pooler import OwnNames
from retrobus.fallback.feed import Feed
from retrobus.fallback.settling import Settling
from retrobus.store.availability import Availability
from retrobus.store.confirmed import Unconfirmed
from retrobus.store.errors import StoreError
from retrobus.store.pool import Opener

POLL = 0.3
"""Seconds between two looks at what changed, and before a lost connection is opened again."""

LONGEST_LOOK = 60.0
"""Seconds after which a look at what changed has a dead line; each of its statements may take five."""


class Follower:
    """One connection of its own, opened again when it is lost."""

    def __init__(self, availability: Availability, opener: Opener, settling: Settling, feed: Feed) -> None:
        self._availability = availability
        self._open = opener
        self._settling = settling
        self._feed = feed
        self._tried = asyncio.Event()
        self._polled: float | None = None
        """When the present look at what changed began; None until the first one."""

    async def tried(self, seconds: float) -> None:
        """Waits until the mirror was filled from Postgres, could not be, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    async def run(self) -> None:
        """Runs for as long as the service does."""
        while True:
            try:
                if self._availability.up:
                    await self._follow()
            except Exception as error:
                if not _is_expected(error):
                    raise
                if self._availability.up and not self._settling.pending:  # else the settling tells why it waits
                    logbook.following_lost(type(error).__name__)
            finally:
                self._tried.set()
            await asyncio.sleep(POLL)

    async def _follow(self) -> None:
        """Follows until the connection is lost or the journal has entries again."""
        losses = self._availability.losses
        connection = await self._open()
        work = asyncio.create_task(self._work(connection))
        try:
            await self._watch(work, connection, losses)
        except Exception as error:
            if connection.is_closed():  # cut under the work: the driver says anything, even AttributeError
                raise ConnectionResetError from error
            raise
        finally:
            connection.terminate()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, connection: OwnNames) -> None:
        await self._settling.settle(connection)
        self._tried.set()
        while not self._settling.pending:
            self._polled = time.monotonic()
            await asyncio.sleep(POLL)
            await self._feed.poll(connection)

    async def _watch(self, work: asyncio.Task[None], connection: OwnNames, losses: int) -> None:
        """Waits for the work. Ends the connection of a work that will hear no more: a dead line says nothing.

        For example a black hole swallows the answer to a statement of the replay. Once Postgres was lost since this
        connection was asked for (`losses` has grown), or one look at what changed takes longer than any statement may,
        the wait for that answer has no end. An outage can begin and end between two looks of this loop, so it counts
        losses: `up` alone would miss it, and the journal would wait for LONGEST_LOOK.
        """
        self._polled = None
        while not (await asyncio.wait({work}, timeout=POLL))[0]:
            if self._availability.losses > losses or self._is_silent():
                connection.terminate()
        await work

    def _is_silent(self) -> bool:
        return self._polled is not None and time.monotonic() - self._polled > LONGEST_LOOK


def _is_expected(error: Exception) -> bool:
    """What a server, a line or a disk does: following starts again at once; the supervisor tells of anything else."""
    return is_unavailable(error) or bool(state_of(error)) or isinstance(error, StoreError | Unconfirmed | OSError)
