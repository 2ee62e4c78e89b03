"""The store with a mirror: Postgres first; memory only while Postgres is away, and until it has what memory took."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Table

from retrobus import logbook
from retrobus.fallback.journal import Journal
from retrobus.fallback.lane import Lane, Prepare, Returned
from retrobus.fallback.memory import MemoryStore, Terms
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.replay import Replay, Report
from retrobus.model.rows import Row
from retrobus.model.wire import View
from retrobus.store.availability import Availability
from retrobus.store.confirmed import NO_STANDBY, Unconfirmed
from retrobus.store.contract import (
    POSTGRES,
    Caller,
    Change,
    Check,
    Document,
    Filter,
    NoAnswer,
    Once,
    Origin,
    Page,
    Precondition,
    Query,
    StoreError,
    Unavailable,
)
from retrobus.store.failover import Acknowledged
from retrobus.store.postgres import PostgresStore
from retrobus.store.refusals import hindrance

T = TypeVar("T")

DRAIN = 10.0
"""Seconds that the end of the service waits for writes under way."""

FEW = 50
"""Entries that are replayed while writes wait; more are replayed beside them first."""

PASSES = 20
"""Times that entries are replayed beside the writes, should these come faster."""


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
        opener: Callable[[], Awaitable[Any]],
        acknowledged: Acknowledged,
        mirror: Mirror,
        journal: Journal,
        serving: Serving,
    ) -> None:
        self.mirror = mirror
        self.journal = journal
        self.postgres = PostgresStore(availability, opener, acknowledged, mirror.wrote)
        self.lane = Lane(mirror, journal, lambda: self.from_memory)
        self.conflicts = 0
        self.waiting: str | None = None
        """Why the journal is not in Postgres yet although Postgres answers, as /ready and the log say it."""

        self._report = Report()
        self._availability = availability
        self._serving = serving
        self._told = False
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> bool:
        """Whether writes acknowledged from memory are not yet in Postgres."""
        return len(self.journal) > 0

    @property
    def from_memory(self) -> bool:
        """Whether answers come from memory now; without the fallback too they wait for the journal's replay."""
        return self.pending or (self._serving.fallback and not self._availability.up)

    @property
    def can_answer(self) -> bool:
        """Whether memory may answer if Postgres does not."""
        return self._serving.fallback and (self.mirror.filled or self._serving.when_empty)

    @property
    def origin(self) -> Origin:
        return self.mirror.store.origin if self.from_memory else POSTGRES

    async def find(self, table: Table, query: Query, *, caller: Caller | None) -> Page:
        return await self._ask(lambda store: store.find(table, query, caller=caller))

    async def get(
        self, table: Table, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        return await self._ask(lambda store: store.get(table, key, view=view, filters=filters, caller=caller))

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """An account that memory does not know may exist all the same: that is no answer but 503."""

        async def ask(store: Any) -> Row | None:
            row: Row | None = await store.account(identifier=identifier, member_id=member_id)
            if store is not self.postgres and (row is None or self.mirror.origin.startswith("backup:")):
                raise NoAnswer
            return row

        return await self._ask(ask)

    async def insert(self, table: Table, values: Row, *, caller: Caller, once: Once | None = None) -> Document:
        terms = Terms(caller, once=once)
        return await self._write(
            lambda: self.postgres.insert(table, values, caller=caller, once=once),
            lambda store, tag: store.prepare_insert(table, values, caller, once, tag),
            terms,
        )

    async def update(
        self,
        table: Table,
        key: str,
        change: Change,
        *,
        caller: Caller | None,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        terms = Terms(caller, match, once)
        return await self._write(
            lambda: self.postgres.update(table, key, change, caller=caller, match=match, once=once),
            lambda store, tag: store.prepare_update(table, key, change, terms, tag),
            terms,
        )

    async def delete(
        self,
        table: Table,
        key: str,
        check: Check | None = None,
        *,
        caller: Caller,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        terms = Terms(caller, match, once)
        return await self._write(
            lambda: self.postgres.delete(table, key, check, caller=caller, match=match, once=once),
            lambda store, tag: store.prepare_delete(table, key, check, terms, tag),
            terms,
        )

    def _memory(self) -> MemoryStore:
        """The mirror as a store, if it may answer."""
        if not self._serving.fallback:
            raise Unavailable
        if not self.can_answer:
            raise NoAnswer
        if not self._told:
            self._told = True
            logbook.fallback_started(self.mirror.origin, self.mirror.store.origin.as_of)
        return self.mirror.store

    async def _ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        if not self.from_memory:
            try:
                return await question(self.postgres)
            except Unavailable:
                if not self._serving.fallback:
                    raise
        return await self._said_by_memory(question(self._memory()))

    async def _said_by_memory(self, answer: Awaitable[T]) -> T:
        """What memory answers; its refusals too say whose they are."""
        try:
            return await answer
        except StoreError as error:
            error.origin = self.mirror.store.origin
            raise

    async def _write(self, there: Callable[[], Awaitable[Document]], here: Prepare, terms: Terms) -> Document:
        self._active += 1
        self._idle.clear()
        try:
            return await self._written(there, here, terms)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    async def _written(self, there: Callable[[], Awaitable[Document]], here: Prepare, terms: Terms) -> Document:
        if not self.from_memory:
            try:
                document = await there()
            except Unavailable as error:
                if error.sent or not self._serving.fallback:
                    raise  # a write whose COMMIT was on its way is never journaled: it may be applied
            else:
                self.mirror.store.answers.keep(terms.caller, terms.once, document)
                return document
        self._memory()
        try:
            return await self._said_by_memory(self.lane.take(here, terms))
        except Returned:
            return await there()

    async def drained(self) -> None:
        """Waits until no write is under way, so that what is kept at the end has them all; not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()

    async def prune(self) -> None:
        """Forgets kept answers of more than a day ago."""
        await self.postgres.prune()

    async def settle(self, connection: Any) -> None:
        """Brings the journal into Postgres: most of it beside the writes, the last of it while they wait."""
        if self.pending:
            try:
                await self._bring_in(connection)
            except Exception as error:
                self._wait(str(error) if isinstance(error, Unconfirmed) else self.waiting or hindrance(error))
                raise
        else:
            await self.mirror.refresh(connection)
        self.waiting = None
        if not self.pending and self._told:
            self._told = False
            logbook.fallback_ended(self._report.applied, self._report.already, len(self._report.conflicts))
            self._report = Report()

    async def _bring_in(self, connection: Any) -> None:
        for _ in range(PASSES):
            done = await self._replay(connection)
            if self.journal.last - done <= FEW:
                break
        async with self.lane.halted():
            done = await self._replay(connection, halted=True)
            await self.mirror.refresh(connection, settled=True)
            await asyncio.to_thread(self.journal.settle, done)

    async def _replay(self, connection: Any, *, halted: bool = False) -> int:
        replay = Replay(connection, self.journal, partial(self._goes_on, halted=halted))
        done = await replay.run()
        self.conflicts += len(replay.report.conflicts)
        self._report.add(replay.report)
        self._told = True
        return done

    async def _goes_on(self, *, halted: bool) -> bool:
        """Whether to wait for a standby still: while Postgres lives, unless writes wait for the end of the replay."""
        self._wait(NO_STANDBY)
        return not halted and await self._availability.verdict()

    def _wait(self, reason: str) -> None:
        """Notes why the journal waits; the log says each reason once."""
        if reason != self.waiting:
            self.waiting = reason
            logbook.journal_waits(reason)
