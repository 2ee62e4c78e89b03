"""The store with a mirror: Postgres first; memory only while Postgres is away, and until it has what memory took."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Table

from retrobus import logbook
from retrobus.rows import Row, content_hash, encode
from retrobus.store.availability import Availability
from retrobus.store.contract import (
    Busy,
    Caller,
    Change,
    Check,
    Document,
    Durability,
    Filter,
    JournalFailed,
    NoAnswer,
    Once,
    Page,
    Precondition,
    Query,
    Unavailable,
)
from retrobus.store.journal import Entry, Journal
from retrobus.store.memory import MemoryStore, Prepared, Tag, Terms
from retrobus.store.mirror import Mirror
from retrobus.store.postgres import PostgresStore
from retrobus.store.replay import Replay
from retrobus.wire import View, moment

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a write waits for the last entries to reach Postgres."""

DRAIN = 10.0
"""Seconds that the end of the service waits for writes under way."""

FEW = 50
"""Entries that are replayed while writes wait; more are replayed beside them first."""

Prepare = Callable[[MemoryStore, Tag], Prepared]


@dataclass(slots=True)
class _Write:
    """A write on its way through the journal."""

    prepare: Prepare
    terms: Terms
    answer: "asyncio.Future[Document]"
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Serving:
    """What the toggles and the surroundings allow the mirror to do."""

    fallback: bool
    when_empty: bool = False
    """Whether a mirror that was never filled answers (development only)."""


@dataclass(frozen=True, slots=True)
class _Decided:
    """A write that memory accepted, with its journal entry if it changes anything."""

    write: _Write
    prepared: Prepared
    entry: Entry | None


class _Returned(Exception):
    """Postgres came back while a write waited for the journal: it belongs there."""


class MirroredStore:
    """The contract over Postgres and its mirror.

    Promise: what is answered from memory says so; what is acknowledged from memory is in the journal first; from
    the first such answer until the journal is in Postgres every answer comes from memory.
    """

    def __init__(
        self,
        availability: Availability,
        opener: Callable[[], Awaitable[Any]],
        mirror: Mirror,
        journal: Journal,
        serving: Serving,
    ) -> None:
        self.mirror = mirror
        self.journal = journal
        self.postgres = PostgresStore(availability, opener, mirror.wrote)
        self.interrupt: Callable[[], None] = lambda: None
        self.conflicts = 0
        self._report = (0, 0, 0)
        self._availability = availability
        self._serving = serving
        self._queue: list[_Write] = []
        self._due = asyncio.Event()
        self._writing = asyncio.Lock()
        self._told = False
        self._sequence = 0
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
        return await question(self._memory())

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
            return await self._through_journal(here, terms)
        except _Returned:
            return await there()

    async def _through_journal(self, prepare: Prepare, terms: Terms) -> Document:
        write = _Write(prepare, terms, asyncio.get_running_loop().create_future())
        self._queue.append(write)
        self._due.set()
        await asyncio.wait({write.answer}, timeout=PATIENCE)
        if not write.answer.done() and not write.taken:
            self._queue.remove(write)
            raise Busy
        return await write.answer

    async def drained(self) -> None:
        """Waits until no write is under way, so that what is kept at the end has them all; not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._idle.wait()

    async def prune(self) -> None:
        """Forgets kept answers of more than a day ago."""
        await self.postgres.prune()

    async def run(self) -> None:
        """Takes writes into the journal, as many at once as are waiting; runs for as long as the service does."""
        while True:
            await self._due.wait()
            async with self._writing:
                self._due.clear()
                batch, self._queue = self._queue, []
                for write in batch:
                    write.taken = True
                await self._take(batch)

    async def _take(self, batch: list[_Write]) -> None:
        """Decide, journal, show, answer: in this order, so that nobody sees what the journal may yet refuse."""
        decided = [found for found in map(self._decide, batch) if found is not None]
        entries = [one.entry for one in decided if one.entry is not None]
        try:
            if entries:
                await self._append(entries)
        except OSError as error:
            logbook.journal_failed(type(error).__name__)
            self.mirror.step_back()
            for one in decided:
                self.mirror.store.answers.forget(one.write.terms.caller, one.write.terms.once)
                one.write.answer.set_exception(JournalFailed())
            return
        for one in decided:
            self._show(one)

    async def _append(self, entries: list[Entry]) -> None:
        if not self.pending:
            self.journal.identity = self.mirror.identity if self.mirror.origin in {"postgres", "snapshot"} else None
            self.journal.origin = self.mirror.origin
        if self.journal.path is None:
            self.journal.append(entries)
        else:
            await asyncio.to_thread(self.journal.append, entries)
        self.interrupt()

    def _decide(self, write: _Write) -> _Decided | None:
        if not self.from_memory:
            write.answer.set_exception(_Returned())
            return None
        sequence = max(self.journal.last, self._sequence) + 1
        version = self.mirror.version
        try:
            prepared = write.prepare(self.mirror.ahead, lambda: (version, f"{version}-j{sequence}"))
        except Exception as error:  # noqa: BLE001 - it is this write's answer, and no other's
            write.answer.set_exception(error)
            return None
        if not prepared.effects:
            return _Decided(write, prepared, None)
        self._sequence = sequence
        self.mirror.store.answers.keep(write.terms.caller, write.terms.once, None)
        self.mirror.ahead.memory.apply(prepared.effects)
        return _Decided(write, prepared, self._entry(sequence, write.terms, prepared))

    def _entry(self, sequence: int, terms: Terms, prepared: Prepared) -> Entry:
        after, once = prepared.after, terms.once
        return Entry(
            sequence=sequence,
            at=moment(datetime.now(UTC)),
            resource=prepared.table.info["resource"],
            key=prepared.key,
            operation=prepared.operation,
            row=None if after is None else encode(prepared.table, after.row),
            base=self._base(prepared),
            member=None if terms.caller is None else terms.caller.id,
            once=None
            if once is None
            else {
                "key": once.key,
                "method": once.method,
                "path": once.path,
                "fingerprint": once.fingerprint.hex(),
            },
        )

    def _base(self, prepared: Prepared) -> dict[str, Any] | None:
        """What the write changed: the row as Postgres had it, or as an entry before this one left it."""
        before = prepared.before
        if before is None:
            return None
        found = {"hash": content_hash(prepared.table, before.row)}
        _, journaled, sequence = before.tag.partition("-j")
        return found | ({"sequence": int(sequence)} if journaled else {"version": before.row["version"]})

    def _show(self, one: _Decided) -> None:
        caller, once = one.write.terms.caller, one.write.terms.once
        answer = self.mirror.ahead.answer(one.prepared)
        if one.entry is not None:
            answer = self._accepted(answer)
            self.mirror.journaled(one.prepared.effects)
            logbook.mirror_changed(one.entry.resource, one.entry.operation, one.entry.key)
        elif one.prepared.replayed is None:
            answer = self._accepted(answer)
        self.mirror.store.answers.keep(caller, once, answer)
        one.write.answer.set_result(answer)

    def _accepted(self, answer: Document) -> Document:
        durability: Durability = "memory" if self.journal.path is None else "journal"
        return Document(answer.json, answer.etag, answer.key, self.mirror.store.origin, durability)

    async def settle(self, connection: Any, refresh: Callable[[Any], Awaitable[None]]) -> None:
        """Brings the journal into Postgres: most of it beside the writes, the last of it while they wait."""
        done = 0
        while self.journal.last - done > FEW:
            done = await self._replay(connection)
        async with self._writing:
            done = await self._replay(connection)
            await refresh(connection)
            await asyncio.to_thread(self.journal.settle, done)
            self._due.set()
        if any(self._report) or self._told:
            logbook.fallback_ended(*self._report)
        self._report = (0, 0, 0)
        self._told = False

    async def _replay(self, connection: Any) -> int:
        replay = Replay(connection, self.journal)
        done = await replay.run()
        applied, already, conflicts = self._report
        report = replay.report
        self.conflicts += len(report.conflicts)
        self._report = (applied + report.applied, already + report.already, conflicts + len(report.conflicts))
        return done
