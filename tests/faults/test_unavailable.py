"""Which errors mean that Postgres could not be asked: each one made by a real server, or by its real absence."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faults.proxy import Proxy
from harness import LONGEST, free_port, run_sql, until
from retrobus.database.errors import CannotConnect, is_unavailable
from retrobus.database.hosts import Hosts
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.store.availability import Availability
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool

pytestmark = pytest.mark.faults

LATE = 0.2
"""Seconds that a connection gets to open where none ever opens."""


async def connect(url: str, seconds: float = LONGEST) -> Connection:
    async def opening(place: Mapping[str, Any]) -> Connection:
        return await open_connection(url, timeout=seconds, statement_cache=10, place=place)

    connection, _ = await Hosts(url, opening, seconds).open()
    return connection


async def sleep_on(url: str, trouble: Callable[[int], None]) -> None:
    """Runs a long statement, and makes trouble for its backend meanwhile."""
    connection = await open_connection(url, timeout=LONGEST, statement_cache=10)
    try:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        statement = asyncio.create_task(connection.execute("SELECT pg_sleep(3600)"))
        await asyncio.sleep(0)  # the statement is sent
        await asyncio.to_thread(trouble, pid)
        await statement
    finally:
        connection.terminate()


def error_of(attempt: Coroutine[Any, Any, object]) -> BaseException:
    """The error that the attempt ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, the tests say
        asyncio.run(attempt)
    return caught.value


def reason(error: BaseException) -> str:
    """What people are told, who must not learn a password from it."""
    assert isinstance(error, CannotConnect)
    return error.reason


def state_of(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None)


def test_a_port_that_nobody_listens_on_is_unavailable() -> None:
    error = error_of(connect(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"))

    assert reason(error) == "aucun serveur n'écoute à cette adresse (ConnectionRefusedError)"
    assert is_unavailable(error)


def test_a_socket_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    error = error_of(connect(f"postgresql://postgres@/postgres?host={tmp_path}"))

    assert reason(error) == "la socket du serveur ou un fichier de la connexion manque (FileNotFoundError)"
    assert is_unavailable(error)


def test_a_host_whose_name_means_nothing_is_unavailable() -> None:
    error = error_of(connect("postgresql://postgres@[fe80::1%25nowhere]/postgres"))  # refused without asking a resolver

    assert reason(error) == "le nom d'hôte est inconnu (gaierror)"
    assert is_unavailable(error)


def test_a_line_that_is_reset_in_mid_statement_is_unavailable(line: Proxy) -> None:
    error = error_of(sleep_on(line.url("postgres"), lambda _: line.become("reset")))

    assert is_unavailable(error)


def test_a_black_hole_is_unavailable(line: Proxy) -> None:
    line.become("black hole")

    error = error_of(connect(line.url("postgres"), LATE))

    assert reason(error) == "aucune réponse à temps (TimeoutError)"
    assert is_unavailable(error)


def test_a_server_that_hangs_is_unavailable(postgres: EmbeddedPostgres) -> None:
    postgres.freeze()

    error = error_of(connect(postgres.url(), LATE))

    assert reason(error) == "aucune réponse à temps (TimeoutError)"
    assert is_unavailable(error)


def test_a_terminated_backend_is_unavailable_in_mid_statement(postgres: EmbeddedPostgres) -> None:
    def terminate(pid: int) -> None:
        run_sql(postgres.url(), f"SELECT pg_terminate_backend({pid})")

    error = error_of(sleep_on(postgres.url(), terminate))

    assert "administrator" in str(error)
    assert is_unavailable(error)


def test_a_terminated_backend_is_unavailable_to_the_next_statement(postgres: EmbeddedPostgres) -> None:
    async def use() -> None:
        connection = await connect(postgres.url())
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        await asyncio.to_thread(run_sql, postgres.url(), f"SELECT pg_terminate_backend({pid}, 90000)")
        await connection.fetchval("SELECT 1")

    assert is_unavailable(error_of(use()))


def test_the_crash_of_another_backend_is_unavailable(postgres: EmbeddedPostgres) -> None:
    async def crash() -> None:
        other = await asyncpg.connect(postgres.url())
        os.kill(await other.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        other.terminate()

    error = error_of(sleep_on(postgres.url(), lambda _: asyncio.run(crash())))

    assert is_unavailable(error)
    until(lambda: answers(postgres), "the end of the recovery")


def test_an_immediate_stop_is_unavailable(postgres: EmbeddedPostgres) -> None:
    error = error_of(sleep_on(postgres.url(), lambda _: postgres.stop("immediate")))

    assert is_unavailable(error)


def test_a_server_that_is_shutting_down_is_unavailable(postgres: EmbeddedPostgres) -> None:
    """A backend that hangs keeps the server in this state for as long as we like."""

    async def stop_and_connect() -> None:
        held = await asyncpg.connect(postgres.url())
        pid = await held.fetchval("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            os.kill(postgres.pid, signal.SIGINT)
            while True:
                (await connect(postgres.url())).terminate()
        finally:
            os.kill(pid, signal.SIGCONT)
            held.terminate()

    error = error_of(stop_and_connect())

    postgres.stop()
    assert reason(error) == "le serveur démarre ou s'arrête (57P03)"
    assert is_unavailable(error)


@asynccontextmanager
async def crowded(url: str) -> AsyncIterator[None]:
    """While open, every connection that the server allows is taken."""
    taken = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(url))
    try:
        yield
    finally:
        for connection in taken:
            connection.terminate()


class Quiet:
    """Is told that Postgres goes and comes, and keeps it to itself."""

    def lost(self, reason: str) -> None:
        assert reason

    def found(self) -> None:
        pass


def pooled(url: str) -> tuple[Pool, Availability]:
    async def opener() -> Connection:
        return await connect(url)

    pool = Pool(opener, 2)
    return pool, Availability(pool, opener, LONGEST, Quiet())


def test_a_full_server_is_unavailable_to_who_has_no_connection(postgres: EmbeddedPostgres) -> None:
    async def ask() -> bool:
        async with crowded(postgres.url()):
            return await pooled(postgres.url())[1].verdict()

    assert not asyncio.run(ask())


def test_a_full_server_is_not_away_for_who_has_a_connection(postgres: EmbeddedPostgres) -> None:
    async def ask() -> bool:
        pool, availability = pooled(postgres.url())
        assert await availability.verdict()
        pool.release(await pool.acquire())
        async with crowded(postgres.url()):
            alive = await availability.verdict()
        pool.drop()
        return alive

    assert asyncio.run(ask())


REFUSALS = {
    "23505": ("CREATE TEMP TABLE once (n int PRIMARY KEY)", "INSERT INTO once VALUES (1), (1)"),
    "23503": (
        "CREATE TEMP TABLE one (n int PRIMARY KEY)",
        "CREATE TEMP TABLE two (n int REFERENCES one)",
        "INSERT INTO two VALUES (1)",
    ),
    "22P02": ("SELECT 'much'::text::int",),
    "22003": ("SELECT 99999999999::int",),
    "22012": ("SELECT 1 / 0",),
    "57014": ("SET statement_timeout = 1", "SELECT pg_sleep(60)"),
    "42501": ("SET ROLE pg_monitor", "CREATE TABLE public.mine (n int)"),
    "25006": ("SET default_transaction_read_only = on", "CREATE TABLE mine (n int)"),
    "42P01": ("SELECT FROM nowhere",),
    "40001": ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$",),
}


@pytest.mark.parametrize("state", REFUSALS)
def test_a_server_that_says_no_is_not_unavailable(state: str, postgres: EmbeddedPostgres) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(postgres.url())
        try:
            for statement in REFUSALS[state]:
                await connection.execute(statement)
        finally:
            connection.terminate()

    error = error_of(run())

    assert state_of(error) == state
    assert not is_unavailable(error)


def test_a_lock_that_somebody_holds_is_not_unavailable(postgres: EmbeddedPostgres, own_database: str) -> None:
    async def wait() -> None:
        holder, waiter = [await asyncpg.connect(postgres.url(own_database)) for _ in range(2)]
        try:
            await holder.execute("BEGIN; LOCK TABLE event")
            await waiter.execute("SET lock_timeout = 1; SELECT FROM event")
        finally:
            holder.terminate()
            waiter.terminate()

    error = error_of(wait())

    assert state_of(error) == "55P03"
    assert not is_unavailable(error)


def test_a_bug_of_ours_is_not_unavailable() -> None:
    assert not any(is_unavailable(bug) for bug in (KeyError("x"), TypeError("x"), asyncpg.DataError("x"), ValueError()))


def answers(postgres: EmbeddedPostgres) -> bool:
    try:
        return bool(run_sql(postgres.url(), "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
