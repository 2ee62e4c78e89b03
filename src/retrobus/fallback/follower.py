"""Keeps the mirror at Postgres's side: replays the journal when Postgres is back, refreshes, then listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

from retrobus import logbook
from retrobus.fallback.mirror import Mirror, current_state
from retrobus.model.resources import BY_NAME
from retrobus.store.availability import Availability, is_unavailable
from retrobus.store.confirmed import Unconfirmed
from retrobus.store.contract import StoreError
from retrobus.store.pool import Connection
from retrobus.store.refusals import state_of

CHANNEL = "retrobus_change"
HEARTBEAT = 0.4
"""Seconds between two looks at whether the listening connection lives and has heard everything."""

LATEST = """SELECT last_value, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin FROM row_version"""

HERE = "BEGIN; SET LOCAL synchronous_commit = 'local'; {}; COMMIT"
"""Who listens concerns this server alone: it must not wait for a standby, which may be away for hours."""

REGISTER = HERE.format("""DELETE FROM listener WHERE pid NOT IN (SELECT pid FROM pg_stat_activity);
INSERT INTO listener VALUES (pg_backend_pid()) ON CONFLICT DO NOTHING""")
"""From the commit of this on, writes tell what they change; those already under way may not."""

UNREGISTER = HERE.format("DELETE FROM listener WHERE pid = pg_backend_pid()")
HORIZON = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
RETRY = 0.3


def _is_expected(error: Exception) -> bool:
    """What a server, a line or a disk does: following starts again at once; the supervisor tells of anything else."""
    return is_unavailable(error) or bool(state_of(error)) or isinstance(error, StoreError | Unconfirmed | OSError)


class Settling(Protocol):
    """Who brings the journal into Postgres before the mirror follows again."""

    @property
    def pending(self) -> bool:
        """Whether answers wait to be settled."""

    async def settle(self, connection: Connection) -> None:
        """Replays if need be, and makes the mirror what Postgres is."""


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
        self._caught_up = asyncio.Event()
        self._tried = asyncio.Event()
        self._horizon: int | None = None

    @property
    def following(self) -> bool:
        """Whether the mirror is at Postgres's side now."""
        return self._caught_up.is_set()

    async def caught_up(self, seconds: float) -> None:
        """Waits until the mirror is at Postgres's side, could not get there, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    async def run(self) -> None:
        """Runs for as long as the service does."""
        while True:
            try:
                await self._follow()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not _is_expected(error):
                    raise
                if self._availability.up and not self._settling.pending:  # who settles tells why it waits
                    logbook.listener_lost(type(error).__name__)
            finally:
                self._caught_up.clear()
                self._tried.set()
            await asyncio.sleep(RETRY)

    async def _follow(self) -> None:
        if not self._availability.up:
            return
        async with self._listening() as connection:
            await self._settling.settle(connection)
            if self._settling.pending:
                return
            self._caught_up.set()
            self._tried.set()
            await self._hear(connection)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Connection]:
        connection = await self._open()
        try:
            self._heard = asyncio.Queue()
            await connection.add_listener(CHANNEL, lambda *told: self._heard.put_nowait(str(told[3])))
            with suppress(Exception):  # a read-only Postgres takes none: the heartbeat alone notices changes then
                await connection.execute(REGISTER)
            self._horizon = await connection.fetchval(HORIZON)
            await self._latest(connection)
            yield connection
        except Exception as error:
            if connection.is_closed():  # cut under the work: the driver says anything, even AttributeError
                raise ConnectionResetError from error
            raise
        finally:
            with suppress(Exception):  # the next listener removes what a lost one left
                await connection.execute(UNREGISTER, timeout=HEARTBEAT)
            connection.terminate()

    async def _latest(self, connection: Connection) -> tuple[int, bool]:
        """The last version drawn, and whether the last writes from before we were registered have just ended."""
        row = await connection.fetchrow(LATEST, timeout=HEARTBEAT * 4)
        if row is None:
            raise LookupError("row_version")
        ended = self._horizon is not None and row["xmin"] >= self._horizon
        if ended:
            self._horizon = None
        return row["last_value"], ended

    async def _hear(self, connection: Connection) -> None:
        seen, ended = await self._latest(connection)
        while not self._settling.pending:
            await self._next_word()
            asked = datetime.now(UTC)
            latest, ended_now = await self._latest(connection)
            words = self._words()  # what was committed before `asked` was told before this answer
            unheard = not words and latest > max(seen, self._mirror.version)
            if unheard or ended or ended_now:
                await self._mirror.refresh(connection)  # something was written that nobody told us of
                ended = False
            await self._take(connection, words)
            seen = max(seen, latest)
            if self._horizon is None and not self._settling.pending:  # else not all was told, or not all was taken
                self._mirror.matched(asked)

    async def _next_word(self) -> None:
        """Waits for something to be told, or for a while; leaves it in the queue."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT):
                self._heard.put_nowait(await self._heard.get())

    def _words(self) -> set[str]:
        words = set()
        while not self._heard.empty():
            words.add(self._heard.get_nowait())
        return words

    async def _take(self, connection: Connection, words: set[str]) -> None:
        if any(word.partition(" ")[0] not in BY_NAME or " " not in word for word in words):
            await self._mirror.refresh(connection)  # many rows changed at once, or it is no word of ours
            return
        for word in words:
            name, _, key = word.partition(" ")
            row, version = await current_state(connection, BY_NAME[name], key)
            if not self._settling.pending:
                self._mirror.wrote(BY_NAME[name], key, row, version)
