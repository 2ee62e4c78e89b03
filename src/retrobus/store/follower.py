"""Keeps the mirror at Postgres's side: replays the journal when Postgres is back, refreshes, then listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from retrobus import logbook
from retrobus.store.availability import Availability
from retrobus.store.mirror import Mirror, current_state
from retrobus.store.pool import Connection
from retrobus.tables import RESOURCES

CHANNEL = "retrobus_change"
HEARTBEAT = 0.4
"""Seconds between two looks at whether the listening connection lives and has heard everything."""

LATEST = """SELECT last_value FROM row_version"""
RETRY = 0.3


class Settling(Protocol):
    """Who brings the journal into Postgres before the mirror follows again."""

    @property
    def pending(self) -> bool:
        """Whether answers wait to be settled."""

    async def settle(self, connection: Any, refresh: Callable[[Any], Awaitable[None]]) -> None:
        """Replays, and refreshes while no write can come between."""


class Follower:
    """One connection that listens; whatever it may have missed is read again."""

    def __init__(
        self,
        mirror: Mirror,
        availability: Availability,
        opener: Callable[[], Awaitable[Connection]],
        settling: Settling,
    ) -> None:
        self._mirror = mirror
        self._availability = availability
        self._open = opener
        self._settling = settling
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._interrupted = asyncio.Event()
        self._caught_up = asyncio.Event()

    @property
    def following(self) -> bool:
        """Whether the mirror is at Postgres's side now."""
        return self._caught_up.is_set()

    async def caught_up(self, seconds: float) -> None:
        """Waits until the mirror is at Postgres's side, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()

    def interrupt(self) -> None:
        """The journal has entries now: what Postgres says no longer goes straight into the mirror."""
        self._interrupted.set()

    async def run(self) -> None:
        """Runs for as long as the service does."""
        while True:
            try:
                await self._follow()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever broke, following starts anew; it must never end
                if self._availability.up:
                    logbook.listener_lost(type(error).__name__)
            finally:
                self._caught_up.clear()
            await asyncio.sleep(RETRY)

    async def _follow(self) -> None:
        if not self._availability.up:
            return
        async with self._listening() as connection:
            if self._settling.pending:
                await self._settling.settle(connection, self._mirror.refresh)
            else:
                await self._mirror.refresh(connection)
            self._interrupted.clear()
            if self._settling.pending:
                return
            self._caught_up.set()
            await self._hear(connection)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Connection]:
        connection = await self._open()
        try:
            self._heard = asyncio.Queue()
            await connection.add_listener(CHANNEL, lambda *told: self._heard.put_nowait(str(told[3])))
            yield connection
        finally:
            connection.terminate()

    async def _hear(self, connection: Connection) -> None:
        seen = await connection.fetchval(LATEST, timeout=HEARTBEAT * 4)
        while not self._interrupted.is_set() and not self._settling.pending:
            heard = await self._next_words()
            latest = await connection.fetchval(LATEST, timeout=HEARTBEAT * 4)
            if not heard and latest > max(seen, self._mirror.version) and self._heard.empty():
                await self._mirror.refresh(connection)  # a number was drawn and nothing was heard of it
            await self._take(connection, heard)
            if not heard:
                seen = max(seen, latest)
                self._mirror.matched()

    async def _next_words(self) -> set[str]:
        try:
            async with asyncio.timeout(HEARTBEAT):
                words = {await self._heard.get()}
        except TimeoutError:
            return set()
        while not self._heard.empty():
            words.add(self._heard.get_nowait())
        return words

    async def _take(self, connection: Connection, words: set[str]) -> None:
        if any(" " not in word for word in words):
            await self._mirror.refresh(connection)  # many rows changed at once
            return
        for word in words:
            resource, _, key = word.partition(" ")
            table = RESOURCES[resource]
            row, version = await current_state(connection, table, key)
            if not self._settling.pending:
                self._mirror.wrote(table, key, row, version)
