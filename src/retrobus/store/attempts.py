"""Runs work on a connection of the pool, and runs it again after an error that proves that nothing was done."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from retrobus import logbook
from retrobus.database import rights
from retrobus.database.errors import FAILURES, READ_ONLY, STALE, Meaning, is_unavailable, meaning_of, state_of
from retrobus.store.availability import Availability
from retrobus.store.errors import (
    Busy,
    MissingRight,
    SchemaOutdated,
    StoreError,
    Unavailable,
)
from retrobus.store.pool import ACQUIRE_TIMEOUT, Connection, PoolExhausted
from retrobus.store.refusals import translate

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

RETRIES = 3


class Attempts:
    """Promise: the work is done once, or it is not done and one of the contract's errors says why.

    This holds because the COMMIT is the last step of every work, and `Commits` turns each error after it into one that
    tells the outcome.
    """

    def __init__(self, availability: Availability, away: type[Unavailable] = Unavailable) -> None:
        """`away` is raised while PostgreSQL is away: NoAnswer for work in whose place memory answers other requests."""
        self._availability = availability
        self.away = away
        self._pool = availability.pool

    async def run(self, work: Work[T], *, writes: bool = False) -> T:
        """The result of the work. With `writes` it never takes the last connections, which are for reads."""
        fresh = demoted = False
        for left in range(RETRIES, -1, -1):
            try:
                result = await self._try(work, fresh=fresh, writes=writes)
            except StoreError as error:
                raise self._told(error) from error.__cause__
            except Exception as error:
                if left == 0 or not self._may_pass(error, fresh=fresh):
                    raise await self._refusal(error) from error
                fresh, demoted = meaning_of(error) is not Meaning.AGAIN, state_of(error) == READ_ONLY
            else:
                if demoted:
                    self._pool.drop_idle()  # they lead to the former primary
                return result
        raise AssertionError("the last try either answers or raises")

    def _told(self, error: StoreError) -> StoreError:
        """The same error, as `away` if PostgreSQL is."""
        return self.away(error.outcome, error.sent, error.nonce) if type(error) is Unavailable else error

    async def _try(self, work: Work[T], *, fresh: bool, writes: bool) -> T:
        mark = self._availability.enter()
        try:
            connection = await self._pool.acquire(fresh=fresh, writes=writes)
            try:
                return await work(connection)
            except StoreError:
                raise
            except Exception as error:
                if connection.is_closed():  # the line was cut: the driver raises anything, even AttributeError
                    raise ConnectionResetError from error
                if meaning_of(error) is Meaning.STATEMENT_LOST:
                    logbook.statement_lost(state_of(error))
                    connection.terminate()  # the other statements of this connection are lost too
                raise
            finally:
                try:
                    await _leave(connection)
                finally:
                    self._pool.release(connection)
        finally:
            self._availability.leave(mark)

    def _may_pass(self, error: Exception, *, fresh: bool) -> bool:
        """Whether another try may succeed: again on any connection, or once on a new one."""
        if meaning_of(error) is Meaning.AGAIN:
            return True
        if fresh or not self._availability.up or isinstance(error, TimeoutError | PoolExhausted):
            return False  # a second wait would cost a second deadline
        elsewhere = isinstance(error, STALE) or state_of(error) == READ_ONLY
        return elsewhere or meaning_of(error) is Meaning.STATEMENT_LOST or is_unavailable(error)

    async def _refusal(self, error: Exception) -> Exception:
        """The error of the contract for a driver's error."""
        exhausted = isinstance(error, PoolExhausted)
        if not exhausted and not is_unavailable(error):
            return await self._explained(translate(error))
        recent = ACQUIRE_TIMEOUT if exhausted else 0.0
        return Busy() if self._availability.up and await self._availability.verdict(recent) else self.away()

    async def _explained(self, error: Exception) -> Exception:
        """The same error, or the missing right that caused it; the log names the right and its object."""
        if isinstance(error, SchemaOutdated) and await self._is_locked_out():
            error = MissingRight(f"USAGE ON SCHEMA {rights.SCHEMA}")
        if isinstance(error, MissingRight):
            logbook.right_missing(str(error))
        return error

    async def _is_locked_out(self) -> bool:
        try:
            return await self._try(rights.is_locked_out, fresh=False, writes=False)
        except Exception:  # noqa: BLE001 - whatever it was, the first error stays the answer
            return False


async def _leave(connection: Connection) -> None:
    """Ends a transaction that its work did not finish."""
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("ROLLBACK")
    except FAILURES:
        connection.terminate()
