"""The store with a mirror: Postgres first; memory only while Postgres is away, and until it has what memory took."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from retrobus import logbook
from retrobus.fallback.conflicts import Place
from retrobus.fallback.decisions import MemoryStore
from retrobus.fallback.entries import Entry, entry_of, journaled, noting
from retrobus.fallback.feed import Feed
from retrobus.fallback.journal import Journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.settling import Settling
from retrobus.files.error_texts import why
from retrobus.model.resources import Resource
from retrobus.model.rows import Row
from retrobus.model.wire import View
from retrobus.store.availability import Availability
from retrobus.store.contract import POSTGRES, Caller, Document, Filter, Image, Origin, Page, Query, Sink, Sought, Write
from retrobus.store.errors import Busy, JournalFailed, NoAnswer, StoreError, Unavailable
from retrobus.store.failover import Acknowledged
from retrobus.store.pool import Opener
from retrobus.store.postgres import PostgresStore

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a write waits for its turn, for example while the last entries reach Postgres."""

DRAIN = 10.0
"""Seconds that the end of the service waits for writes under way."""

KNOWN_ORIGINS = frozenset({"postgres", "snapshot"})
"""Origins of rows that have the database's own versions."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the toggles and the surroundings allow the mirror to do."""

    fallback: bool
    when_empty: bool = False
    """Whether a mirror that was never filled answers (development only)."""


class MirroredStore:
    """The contract over Postgres and its mirror.

    Promise: what is answered from memory says so; what is acknowledged from memory is in the journal first; from
    the first such answer until the journal is in Postgres every answer comes from memory.
    """

    def __init__(
        self,
        availability: Availability,
        opener: Opener,
        acknowledged: Acknowledged,
        mirror: Mirror,
        journal: Journal,
        serving: Serving,
    ) -> None:
        self.mirror = mirror
        self.journal = journal
        self.postgres = PostgresStore(availability, opener, acknowledged, mirror.wrote)
        self.feed = Feed(mirror)
        self.settling = Settling(availability, mirror, self.feed, journal)
        self._availability = availability
        self._serving = serving
        self._doubtful: dict[Place, int] = {}
        """By row, the nonce of a write that Postgres may have applied; forgotten once Postgres takes a write again."""

        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def from_memory(self) -> bool:
        """Whether answers come from memory now; without the fallback too they wait for the journal's replay."""
        return self.settling.pending or (self._serving.fallback and not self._availability.up)

    @property
    def can_answer(self) -> bool:
        """Whether memory may answer if Postgres does not."""
        return self._serving.fallback and (self.mirror.filled or self._serving.when_empty)

    @property
    def origin(self) -> Origin:
        """Where an answer that is given now comes from."""
        return self.mirror.store.origin if self.from_memory else POSTGRES

    async def find(self, resource: Resource, query: Query, *, caller: Caller | None) -> Page:
        """One page of the rows that match."""
        return await self._ask(lambda store: store.find(resource, query, caller=caller))

    async def copy(self, resource: Resource, query: Query, into: Sink, *, caller: Caller | None) -> Origin:
        """Every row that matches."""
        return await self._ask(lambda store: store.copy(resource, query, into, caller=caller))

    async def get(
        self, resource: Resource, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key."""
        return await self._ask(lambda store: store.get(resource, key, view=view, filters=filters, caller=caller))

    async def image(self, sought: Sought, *, filters: tuple[Filter, ...] = (), caller: Caller | None) -> Image:
        """One image of a row."""
        return await self._ask(lambda store: store.image(sought, filters=filters, caller=caller))

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member's row. NoAnswer for an account that memory does not know: Postgres may know it."""

        async def ask(store: PostgresStore | MemoryStore) -> Row | None:
            row = await store.account(identifier=identifier, member_id=member_id)
            if store is not self.postgres and (row is None or self.mirror.origin.startswith("backup:")):
                raise NoAnswer
            return row

        return await self._ask(ask)

    async def write(self, write: Write) -> Document:
        """Writes to Postgres, or to the journal and memory while Postgres is away.

        A write that waited for the end of an outage goes to Postgres. A write whose COMMIT was on its way is never
        journaled: Postgres may have applied it.
        """
        with self._counted():
            document = None
            while document is None:
                document = await self._by_postgres(write) or await self._by_memory(write)
            return document

    async def _by_postgres(self, write: Write) -> Document | None:
        """None, with nothing done, if memory answers: Postgres is away, or lacks what memory took."""
        if self.from_memory:
            return None
        try:
            document = await self.postgres.write(write)
        except Unavailable as error:
            if error.nonce is not None:
                self._doubtful[write.resource.name, write.key] = error.nonce
            if error.sent or not self._serving.fallback:
                raise
            return None
        self._doubtful.clear()
        self.mirror.store.answers.keep(write.terms, document)
        return document

    async def _by_memory(self, write: Write) -> Document | None:
        """None, with nothing done, if Postgres came back while the write waited for its turn."""
        self._memory()
        # Its own task: if the client goes away, the journal's thread must not run on without the lock.
        return await self._said_by_memory(asyncio.shield(asyncio.create_task(self._in_turn(write))))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a write that is under way, so that the end of the service can wait for it."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def drained(self) -> None:
        """Waits until no write is under way, so that what is kept at the end has them all; ten seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()

    def _memory(self) -> MemoryStore:
        """The mirror as a store, if it may answer."""
        if not self._serving.fallback:
            raise Unavailable
        if not self.can_answer:
            raise NoAnswer
        self.settling.begin()
        return self.mirror.store

    async def _ask(self, question: Callable[[PostgresStore | MemoryStore], Awaitable[T]]) -> T:
        if not self.from_memory:
            try:
                return await question(self.postgres)
            except Unavailable:
                if not self._serving.fallback:
                    raise
        return await self._said_by_memory(question(self._memory()))

    async def _said_by_memory(self, answer: Awaitable[T]) -> T:
        """What memory answers; its refusals carry its origin too."""
        try:
            return await answer
        except StoreError as error:
            error.origin = self.mirror.store.origin
            raise

    async def _in_turn(self, write: Write) -> Document | None:
        """One write at a time: decided, journaled, shown, answered."""
        async with self._waited_turn():
            return await self._taken(write) if self.from_memory else None

    @asynccontextmanager
    async def _waited_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.settling.turn.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            yield
        finally:
            self.settling.turn.release()

    async def _taken(self, write: Write) -> Document:
        """Decide, journal, show, answer: in this order, so that no client sees what the journal may yet refuse."""
        memory, sequence = self.mirror.store, self.journal.last + 1
        decision = memory.decide(write, partial(journaled, self.mirror.version, sequence))
        if decision.effects:
            entry = entry_of(decision, write.terms, sequence=sequence, journal=self.journal.id)
            entry = noting(entry, self._doubtful.get((entry.resource, entry.key)))
            await self._append(entry)
            self.mirror.journaled(decision.effects)
            logbook.mirror_changed(entry.resource, entry.operation, entry.key)
        answer = memory.answer(decision)
        if decision.replayed is None:
            answer = replace(answer, durability="memory" if self.journal.path is None else "journal")
        memory.answers.keep(write.terms, answer)
        return answer

    async def _append(self, entry: Entry) -> None:
        """Adds the entry to the journal; JournalFailed if the disk does not take it, and then nothing was done."""
        if not self.journal.entries:
            known = self.mirror.origin in KNOWN_ORIGINS
            self.journal.identity = self.mirror.identity if known else None
            self.journal.origin = self.mirror.origin
        try:
            if self.journal.path is None:
                self.journal.append(entry)
            else:
                await asyncio.to_thread(self.journal.append, entry)
        except OSError as error:
            logbook.journal_failed(why(error, self.journal.path))
            raise JournalFailed from error
