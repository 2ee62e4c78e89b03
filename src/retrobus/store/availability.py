"""Whether PostgreSQL answers: one verdict for the whole service, so that no queue of requests finds it out."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from retrobus.database.errors import CannotConnect, PoolerInTheWay, reason_of
from retrobus.database.hosts import SILENT
from retrobus.store.errors import Unavailable
from retrobus.store.pool import Opener, Pool

PATIENCE = 0.35
"""Part of DATABASE_TIMEOUT after which a statement without an answer makes the service ask on a new connection."""

ANSWER = 0.55
"""Part of DATABASE_TIMEOUT within which that connection must answer; half of it while Postgres is away."""

PROBE_INTERVAL = 0.3
"""Seconds from the start of an attempt to reach a Postgres that is away to the next; more if the attempt is longer."""


class Watcher(Protocol):
    """Hears when PostgreSQL is lost and when it is found again."""

    def lost(self, reason: str) -> None:
        """PostgreSQL no longer answers; the reason names an error, never a value."""

    def found(self) -> None:
        """PostgreSQL answers."""


class Availability:
    """The breaker: while `up` is False no request waits for PostgreSQL; a background task finds out when it changes.

    Promise: the loss of Postgres is noticed within `timeout` seconds, its return within one second.
    """

    def __init__(
        self,
        pool: Pool,
        opener: Opener,
        timeout: float,
        watcher: Watcher,
        last_words: Callable[[], str] = lambda: "",
    ) -> None:
        """`last_words` gives the reason of each server when an attempt takes too long."""
        self.pool = pool
        self.timeout = timeout
        self.up = False
        self.losses = 0
        """How often PostgreSQL was lost: tells of an outage that was over before the next look at `up`."""

        self.reason = ""
        self.misplaced = False
        """Whether these settings cannot work behind the pooler that is there: waiting does not help."""

        self._open = opener
        self._patience = timeout * PATIENCE
        self._answer_limit = timeout * ANSWER
        self._watcher = watcher
        self._last_words = last_words
        self._running: dict[object, float] = {}
        self._asking: asyncio.Task[bool] | None = None
        self._asked_at = 0.0

    def enter(self) -> object:
        """Notes that a statement starts; Unavailable at once while Postgres is known to be away."""
        if not self.up:
            raise Unavailable
        mark = object()
        self._running[mark] = time.monotonic()
        return mark

    def leave(self, mark: object) -> None:
        """Notes that the statement of this mark ended."""
        self._running.pop(mark, None)

    async def verdict(self, recent: float = 0.0) -> bool:
        """Whether a new connection and its SELECT 1 succeed now; callers at the same time share one question.

        An answer to a question of the last `recent` seconds is given again.
        """
        old = time.monotonic() - self._asked_at > recent
        if self._asking is None or (self._asking.done() and old):
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        self._asked_at = time.monotonic()
        alive = await self._probe()
        self._answer_limit = self.timeout * (ANSWER if alive else ANSWER / 2)
        self.misplaced = self.misplaced and not alive
        if alive and not self.up:
            self.up = True
            self._watcher.found()
        elif not alive and self.up:
            self.up = False
            self.losses += 1
            self.pool.drop()
            self._watcher.lost(self.reason)
        return alive

    async def _probe(self) -> bool:
        """Whether the attempt succeeds in time; does not wait for a connection that hangs while it closes."""
        attempt = asyncio.create_task(self._attempt())
        done, _ = await asyncio.wait({attempt}, timeout=self._answer_limit)
        if done:
            return attempt.result()
        attempt.cancel()
        self.reason = self._last_words() or SILENT
        return False

    async def _attempt(self) -> bool:
        connection = None
        try:
            connection = await self._open()
            await connection.fetchval("SELECT 1")
        except Exception as error:  # noqa: BLE001 - a wrong password or an unknown host is as bad as a server that is down
            self.reason = reason_of(error)
            self.misplaced = isinstance(error, PoolerInTheWay)
            crowded = isinstance(error, CannotConnect) and error.crowded
            return crowded and self.up and self.pool.in_use + self.pool.idle > 0
        finally:
            if connection is not None:
                connection.terminate()
        return True

    async def watch(self) -> None:
        """Runs for as long as the service does: asks when a statement is silent, and while PostgreSQL is away."""
        tick = min(self._patience / 4, 0.1)
        while True:
            began = time.monotonic()
            if not self.up or self._is_silent():
                await self.verdict()
            self.pool.cut_silent()
            rest = began + PROBE_INTERVAL - time.monotonic()
            await asyncio.sleep(tick if self.up else max(tick, rest))

    def _is_silent(self) -> bool:
        """Whether the oldest statement has waited for long since the last question."""
        oldest = next(iter(self._running.values()), None)
        return oldest is not None and time.monotonic() - max(oldest, self._asked_at) > self._patience
