"""What the open streams of one process share: one look at PostgreSQL for all, the pages they read, and their number."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from retrobus.changes.cursor import Cursor, Scope
from retrobus.changes.feed import ChangeFeed, Changes
from retrobus.store.contract import Caller
from retrobus.store.errors import StoreError, TooManyStreams

MOST = 400
"""Streams that one process serves: each holds a connection, a task and at most a page of changes."""

POLL = 0.3
"""Seconds between two looks at PostgreSQL while a stream is open."""

PAGE = 200
"""Changes that are sent to a stream at a time: what waits for a slow reader stays small."""

READERS = 4
"""Readings for streams at a time, and as many for streams that begin: hundreds of streams that wake or come at once
must leave connections and processor time to requests."""

KEPT = 32
"""Pages that are kept for streams that come to the same cursor: some megabytes, however many cursors clients send."""


class Counted(Protocol):
    """A figure that goes up and down."""

    def inc(self) -> None:
        """One more."""

    def dec(self) -> None:
        """One less."""


class Observed(Protocol):
    """A figure of many values."""

    def observe(self, amount: float) -> None:
        """One more value."""


class Streams:
    """Promise: idle streams cost one look at PostgreSQL for all of them; without a stream there is no look."""

    def __init__(self, feed: ChangeFeed, followers: Counted, lag: Observed) -> None:
        self.stopping = False
        self._feed = feed
        self._followers, self._lag = followers, lag
        self._open = 0
        self._waiting: set[asyncio.Event] = set()
        self._wanted = asyncio.Event()
        self._pages: dict[tuple[Scope, str], asyncio.Task[Changes]] = {}
        self._beginnings: dict[tuple[Scope, str], asyncio.Task[Changes]] = {}
        self._first: dict[Scope, Changes] = {}
        self._noticed = 0.0
        self._readers, self._openers = asyncio.Semaphore(READERS), asyncio.Semaphore(READERS)

    def enter(self) -> None:
        """Takes a place, which `leave` gives back; TooManyStreams if there is none."""
        if self.stopping or self._open >= MOST:
            raise TooManyStreams
        self._open += 1
        self._followers.inc()
        self._wanted.set()

    def leave(self) -> None:
        """Gives a place back."""
        self._open -= 1
        self._followers.dec()
        if not self._open:
            self._wanted.clear()
            self._pages.clear()
            self._first.clear()

    @contextmanager
    def waking(self, event: asyncio.Event) -> Iterator[None]:
        """Sets the event whenever something may have changed, PostgreSQL cannot be asked, or the service stops."""
        self._waiting.add(event)
        try:
            yield
        finally:
            self._waiting.discard(event)

    async def first(self, scope: Scope, cursor: Cursor | None, caller: Caller | None) -> Changes:
        """The page with which a stream begins.

        Streams that wait for their turn to read the same page share one reading, which begins after all of them came.
        """
        if caller is not None:
            await self.prove(caller)
        key = scope, "" if cursor is None else cursor.text()
        task = self._beginnings.get(key)
        if task is None:
            task = self._beginnings[key] = asyncio.create_task(self._begin(key, cursor))
        return await asyncio.shield(task)

    async def _begin(self, key: tuple[Scope, str], cursor: Cursor | None) -> Changes:
        async with self._openers:
            del self._beginnings[key]  # a stream that comes from now on needs a reading that begins later
            if cursor is None and key[0].own is None:
                return await self._everything(key[0])
            return await self._feed.page(key[0], cursor, PAGE, None)

    async def _everything(self, scope: Scope) -> Changes:
        """The first page of all there is: the one that was read last, if the database has not changed since.

        Prevents that hundreds of streams that begin one after the other read the same rows hundreds of times.
        """
        kept = self._first.get(scope)
        if kept is None or await self._feed.look() != kept.seen:
            kept = self._first[scope] = await self._feed.page(scope, None, PAGE, None)
        return kept

    async def page(self, scope: Scope, cursor: Cursor) -> Changes:
        """The changes after this cursor; streams that stand at the same cursor share one reading.

        The caller's access is proved apart from it.
        """
        key = scope, cursor.text()
        task = self._pages.get(key)
        if task is None:
            task = self._pages[key] = asyncio.create_task(self._read(scope, cursor))
            if len(self._pages) > KEPT:
                del self._pages[next(iter(self._pages))]  # the oldest; streams that wait for it hold it themselves
        return await asyncio.shield(task)

    async def prove(self, caller: Caller) -> None:
        """Unauthenticated unless the caller still has access."""
        async with self._readers:
            await self._feed.prove(caller)

    async def _read(self, scope: Scope, cursor: Cursor) -> Changes:
        async with self._readers:
            return await self._feed.page(scope, cursor, PAGE, None)

    def told(self) -> None:
        """Counts how long after the look that noticed a change a stream was given it."""
        self._lag.observe(time.monotonic() - self._noticed)

    def stop(self) -> None:
        """Ends every stream."""
        self.stopping = True
        self._wake()

    async def watch(self) -> None:
        """Runs for as long as the service does: looks while a stream is open, and wakes all when something ended."""
        before = ""
        while True:
            await self._wanted.wait()
            try:
                seen = await self._feed.look()
                state = f"{seen.snapshot} {seen.highest} {seen.marker} {seen.timeline}"
            except StoreError as error:
                state = type(error).__name__
            if state != before:
                before = state
                self._wake()
            await asyncio.sleep(POLL)

    def _wake(self) -> None:
        self._noticed = time.monotonic()
        self._pages.clear()
        for event in self._waiting:
            event.set()
