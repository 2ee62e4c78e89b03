"""The pool and the breaker in what only an unlucky moment shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from faults.proxy import Proxy
from harness import LONGEST, until
from limits import ENDLESS
from retrobus.background import Background
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.store import pool as pools
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool, PoolExhausted

pytestmark = pytest.mark.faults

SIZE = 2


class Broken:
    """Is told that Postgres goes and comes, and cannot write it down."""

    def lost(self, reason: str) -> None:
        raise OSError(28, reason)

    def found(self) -> None:
        raise OSError(28)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Pool, Availability]]:
    async def opener() -> Connection:
        return await open_connection(url, timeout=ENDLESS, statement_cache=10)

    pool = Pool(opener, SIZE)
    yield pool, Availability(pool, opener, 5.0, Broken())
    pool.drop()


async def fails(waiting: "asyncio.Task[Connection]") -> type:
    """How it ends; it has to end soon."""
    done, _ = await asyncio.wait({waiting}, timeout=LONGEST)
    assert done, "it hangs"
    return type(waiting.exception())


def test_a_dropped_pool_sends_away_who_waits_for_a_connection_to_open(line: Proxy) -> None:
    async def drop() -> type:
        async with opened(line.url("postgres")) as (pool, _):
            line.become("black hole")
            opening = asyncio.create_task(pool.acquire())
            await asyncio.to_thread(until, lambda: line.arrivals)
            pool.drop()
            return await fails(opening)

    assert asyncio.run(drop()) is ConnectionResetError


def test_a_dropped_pool_sends_away_who_waits_for_a_turn(postgres: EmbeddedPostgres) -> None:
    async def drop() -> type:
        async with opened(postgres.url()) as (pool, _):
            used = [await pool.acquire() for _ in range(SIZE)]
            waiting = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
            pool.drop()
            for connection in used:
                pool.release(connection)
            return await fails(waiting)

    assert asyncio.run(drop()) is ConnectionResetError


def test_who_gives_up_while_waiting_takes_nothing_from_the_pool(line: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_TIMEOUT", 0.05)

    async def give_up() -> tuple[int, int]:
        async with opened(line.url("postgres")) as (pool, _):
            line.become("black hole")
            opening = [asyncio.create_task(pool.acquire()) for _ in range(SIZE)]
            await asyncio.to_thread(until, lambda: line.arrivals == SIZE)
            with pytest.raises(PoolExhausted):
                await pool.acquire()
            for task in opening:
                task.cancel()
            await asyncio.wait(opening)
            line.become("pass")
            for connection in [await pool.acquire() for _ in range(SIZE)]:
                pool.release(connection)
            return pool.in_use, pool.idle

    assert asyncio.run(give_up()) == (0, SIZE)


def test_once_turns_come_late_who_finds_others_waiting_is_sent_away_at_once(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_TIMEOUT", 3600)
    monkeypatch.setattr(pools, "LATE", 0.0)

    async def overload() -> tuple[type, int]:
        async with opened(postgres.url()) as (pool, _):
            used = [await pool.acquire() for _ in range(SIZE)]
            late = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
            pool.release(used.pop())
            used.append(await late)
            waits = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
            refused = await fails(asyncio.create_task(pool.acquire()))
            pool.release(used.pop())
            used.append(await waits)
            for connection in used:
                pool.release(connection)
            for connection in [await pool.acquire() for _ in range(SIZE)]:
                pool.release(connection)
            return refused, pool.idle

    assert asyncio.run(overload()) == (PoolExhausted, SIZE)


def test_a_connection_that_is_left_in_a_transaction_serves_nobody_else(postgres: EmbeddedPostgres) -> None:
    async def leave() -> bool:
        async with opened(postgres.url()) as (pool, _):
            connection = await pool.acquire()
            await connection.execute("BEGIN")
            pool.release(connection)
            return connection.is_closed() and await pool.acquire() is not connection

    assert asyncio.run(leave())


def test_whatever_the_driver_says_of_a_connection_that_was_cut_the_work_is_done_on_another(
    postgres: EmbeddedPostgres,
) -> None:
    async def run() -> list[Connection]:
        used: list[Connection] = []

        async def work(connection: Connection) -> list[Connection]:
            used.append(connection)
            if len(used) == 1:
                connection.terminate()  # as when the pool is dropped between two steps of a statement
                connection.is_in_transaction()  # AttributeError
            await connection.fetchval("SELECT 1")
            return used

        async with opened(postgres.url()) as (_, availability):
            availability.up = True
            return await Attempts(availability).run(work)

    first, second = asyncio.run(run())
    assert first is not second


def test_a_log_that_cannot_be_written_does_not_hide_the_return_of_postgres(postgres: EmbeddedPostgres) -> None:
    async def watch() -> None:
        counted: list[str] = []
        async with (
            opened(postgres.url()) as (_, availability),
            Background(counted.append).running("watch", availability.watch),
        ):
            await asyncio.to_thread(until, lambda: availability.up)
            availability.enter()  # a statement that Postgres will not answer
            await asyncio.to_thread(postgres.stop)
            await asyncio.to_thread(until, lambda: not availability.up)

            await asyncio.to_thread(postgres.start)

            await asyncio.to_thread(until, lambda: availability.up)
        assert counted

    asyncio.run(watch())
