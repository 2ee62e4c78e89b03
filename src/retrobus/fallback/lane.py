"""The way of a write that memory takes: decided, journaled, shown, answered, in this order and one lane for all."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from retrobus import logbook
from retrobus.fallback.journal import Entry, Journal
from retrobus.fallback.memory import Held, MemoryStore, Prepared, Tag, Terms
from retrobus.fallback.mirror import Mirror
from retrobus.files.trouble import why
from retrobus.model.rows import content_hash, encode
from retrobus.model.wire import moment
from retrobus.store.contract import Busy, Document, Durability, JournalFailed

PATIENCE = 1.0
"""Seconds that a write waits for the last entries to reach Postgres."""

KNOWN_ORIGINS = frozenset({"postgres", "snapshot"})
"""Where rows come from that have the database's own versions."""

Prepare = Callable[[MemoryStore, Tag], Prepared]


class Returned(Exception):
    """Postgres came back while a write waited for the journal: it belongs there."""


@dataclass(slots=True)
class _Write:
    """A write on its way through the journal."""

    prepare: Prepare
    terms: Terms
    answer: "asyncio.Future[Document]"
    taken: bool = False


@dataclass(frozen=True, slots=True)
class _Decided:
    """A write that memory accepted, with its journal entry if it changes anything."""

    write: _Write
    prepared: Prepared
    entry: Entry | None


class Lane:
    """Takes writes while `is_open`; what waits meanwhile is journaled together, with one fsync."""

    def __init__(self, mirror: Mirror, journal: Journal, is_open: Callable[[], bool]) -> None:
        self.interrupt: Callable[[], None] = lambda: None
        """Called when the journal has entries, so that nobody takes the mirror for Postgres's any more."""

        self._mirror = mirror
        self._journal = journal
        self._is_open = is_open
        self._queue: list[_Write] = []
        self._due = asyncio.Event()
        self._moving = asyncio.Lock()
        self._sequence = 0

    async def take(self, prepare: Prepare, terms: Terms) -> Document:
        """The answer, once the journal has the write; Returned if Postgres is back, Busy if that takes too long."""
        write = _Write(prepare, terms, asyncio.get_running_loop().create_future())
        self._queue.append(write)
        self._due.set()
        await asyncio.wait({write.answer}, timeout=PATIENCE)
        if not write.answer.done() and not write.taken:
            self._queue.remove(write)
            raise Busy
        return await asyncio.shield(write.answer)  # a request that is given up must not stop the lane

    def halted(self) -> AbstractAsyncContextManager[None]:
        """While entered, no write moves: they wait."""
        return self._moving

    async def run(self) -> None:
        """Runs for as long as the service does."""
        while True:
            await self._due.wait()
            async with self._moving:
                self._due.clear()
                batch, self._queue = self._queue, []
                for write in batch:
                    write.taken = True
                try:
                    await self._carry(batch)
                except Exception as error:
                    self._give_up(batch, error)
                    raise

    async def _carry(self, batch: list[_Write]) -> None:
        """Decide, journal, show, answer: in this order, so that nobody sees what the journal may yet refuse."""
        decided = [found for found in map(self._decide, batch) if found is not None]
        entries = [one.entry for one in decided if one.entry is not None]
        try:
            if entries:
                await self._append(entries)
        except Exception as error:  # noqa: BLE001 - whatever it was, the lane goes on with the next writes
            logbook.journal_failed(why(error, self._journal.path))
            self._take_back(decided, JournalFailed() if isinstance(error, OSError) else error)
            return
        for one in decided:
            one.write.answer.set_result(self._show(one))

    def _give_up(self, batch: list[_Write], error: Exception) -> None:
        """Answers what a bug of ours left without an answer: its client must not wait for ever."""
        for write in batch:
            if not write.answer.done():
                write.answer.set_exception(error)

    def _take_back(self, decided: list[_Decided], error: Exception) -> None:
        self._mirror.step_back()
        for one in decided:
            self._mirror.store.answers.forget(one.write.terms.caller, one.write.terms.once)
            one.write.answer.set_exception(error)

    async def _append(self, entries: list[Entry]) -> None:
        if not self._journal.entries:
            known = self._mirror.origin in KNOWN_ORIGINS
            self._journal.identity = self._mirror.identity if known else None
            self._journal.origin = self._mirror.origin
        if self._journal.path is None:
            self._journal.append(entries)
        else:
            await asyncio.to_thread(self._journal.append, entries)
        self.interrupt()

    def _decide(self, write: _Write) -> _Decided | None:
        if not self._is_open():
            write.answer.set_exception(Returned())
            return None
        sequence = max(self._journal.last, self._sequence) + 1
        try:
            prepared = write.prepare(self._mirror.ahead, lambda before: self._tag(before, sequence))
        except Exception as error:  # noqa: BLE001 - it is this write's answer, and no other's
            write.answer.set_exception(error)
            return None
        if not prepared.effects:
            return _Decided(write, prepared, None)
        self._sequence = sequence
        self._mirror.store.answers.keep(write.terms.caller, write.terms.once, None)
        self._mirror.ahead.memory.apply(prepared.effects)
        return _Decided(write, prepared, _entry(self._journal.id, sequence, write.terms, prepared))

    def _tag(self, before: Held | None, sequence: int) -> tuple[int, str]:
        """The version that the row had in Postgres stays, so that the replay knows what the first change met."""
        version = self._mirror.version if before is None else before.row["version"]
        return version, journaled_tag(version, sequence)

    def _show(self, one: _Decided) -> Document:
        """The answer to a write that the journal has, which everybody sees from now on."""
        answer = self._mirror.ahead.answer(one.prepared)
        if one.prepared.replayed is None:
            durability: Durability = "memory" if self._journal.path is None else "journal"
            answer = Document(answer.json, answer.etag, answer.key, answer.origin, durability)
        if one.entry is not None:
            self._mirror.journaled(one.prepared.effects)
            logbook.mirror_changed(one.entry.resource, one.entry.operation, one.entry.key)
        self._mirror.store.answers.keep(one.write.terms.caller, one.write.terms.once, answer)
        return answer


def journaled_tag(version: int, sequence: int) -> str:
    """How an ETag names a state of a row that the journal has and Postgres has not."""
    return f"{version}-j{sequence}"


def _entry(journal: str, sequence: int, terms: Terms, prepared: Prepared) -> Entry:
    after, once = prepared.after, terms.once
    said = {} if once is None else {"key": once.key, "method": once.method, "path": once.path}
    return Entry(
        sequence=sequence,
        at=moment(datetime.now(UTC)),
        resource=prepared.table.info["resource"],
        key=prepared.key,
        operation=prepared.operation,
        row=None if after is None else encode(prepared.table, after.row),
        base=_base(prepared),
        member=None if terms.caller is None else terms.caller.id,
        once=None if once is None else said | {"fingerprint": once.fingerprint.hex()},
        journal=journal,
    )


def _base(prepared: Prepared) -> dict[str, Any] | None:
    """What the write changed: the row as Postgres had it, and the entry before this one if it changed it already."""
    before = prepared.before
    if before is None:
        return None
    found = {"hash": content_hash(prepared.table, before.row), "version": before.row["version"]}
    _, journaled, sequence = before.tag.partition("-j")
    return found | ({"sequence": int(sequence)} if journaled else {})
