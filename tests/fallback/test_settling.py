"""Facts about the end of an outage: what is replayed beside the writes, and what operators and clients are told."""

import asyncio
from datetime import UTC, datetime
from typing import Self

import asyncpg
import pytest

from harness import LONGEST, run_sql, until
from retrobus.database.errors import CannotConnect
from retrobus.database.pooler import OwnNames
from retrobus.database.server import facts_of
from retrobus.database.session import connect_for_command
from retrobus.fallback import replay, settling
from retrobus.fallback.entries import Entry
from retrobus.fallback.feed import Feed
from retrobus.fallback.journal import Journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore, Serving
from retrobus.fallback.settling import Settling
from retrobus.model.resources import VEHICLE
from retrobus.model.rows import completed, encode
from retrobus.model.wire import moment
from retrobus.store.availability import Availability
from retrobus.store.contract import Delete, Terms
from retrobus.store.errors import NotFound
from retrobus.store.failover import Acknowledged
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool

LOCK = "BEGIN; LOCK TABLE vehicle IN SHARE MODE"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'vehicle'::regclass"
"""How many sessions wait for the table, the replay among them."""


class Quiet:
    """Is told that Postgres goes and comes, and keeps it to itself."""

    def lost(self, reason: str) -> None:
        assert reason

    def found(self) -> None:
        pass


async def closed() -> Connection:
    raise CannotConnect("fermé")


def an_outage(database: str) -> tuple[Settling, Journal]:
    """The end of an outage, before it begins, and its empty journal."""
    mirror = Mirror()
    journal = Journal(None, run_sql(database, "SELECT id::text FROM database_identity")[0][0], "postgres")
    return Settling(Availability(Pool(closed, 2), closed, 5, Quiet()), mirror, Feed(mirror), journal), journal


def write(journal: Journal, count: int) -> None:
    """Clients create so many vehicles."""
    for number in range(journal.last + 1, journal.last + 1 + count):
        row = encode(VEHICLE, completed(VEHICLE, {"parc": f"V{number}", "version": 0}))
        at = moment(datetime.now(UTC))
        journal.append(Entry(number, at, "Vehicle", f"V{number}", "insert", row, None, None, None, journal.id))


class Passes:
    """Holds each pass of a replay by a lock, until it is let go."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._held: asyncpg.Connection[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        self._held = await asyncpg.connect(self._database, timeout=LONGEST)
        await self._held.execute(LOCK)
        return self

    async def let_one_go(self) -> None:
        """Lets the pass that waits go on to its end, and holds the next one."""
        later = await asyncpg.connect(self._database, timeout=LONGEST)
        locking = asyncio.create_task(later.execute(LOCK))
        await waiting(self._database, 2)
        await self._release()
        await locking
        self._held = later
        await waiting(self._database, 1)

    async def _release(self) -> None:
        assert self._held is not None
        await self._held.close()

    async def __aexit__(self, *_: object) -> None:
        await self._release()


async def waiting(database: str, count: int) -> None:
    await asyncio.to_thread(until, lambda: run_sql(database, WAITING)[0][0] == count, f"{count} waiting sessions")


@pytest.mark.parametrize(("come", "writes_wait", "replayed"), [(20, False, 60), (30, True, 50)])
def test_entries_that_come_during_the_replay_make_writes_wait_only_if_they_come_about_as_fast(
    *, come: int, writes_wait: bool, replayed: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some come while 40 are replayed: the second pass takes all of these, or ten of them while writes wait."""
    monkeypatch.setattr(settling, "HOLD", 0)
    monkeypatch.setattr(replay, "ALONE", replay.ALONE.replace("lock_timeout = '5s'", "lock_timeout = '0'"))

    async def run() -> tuple[bool, int]:
        connection = await connect_for_command(database, LONGEST, "essai")
        outage, journal = an_outage(database)
        write(journal, 40)
        async with Passes(database) as passes:
            end = asyncio.create_task(outage.settle(connection))
            await waiting(database, 1)
            write(journal, come)
            await passes.let_one_go()
            second_waits = outage.turn.locked()
            await passes.let_one_go()
            after_two = run_sql(database, "SELECT count(*) FROM vehicle")[0][0]
        await end
        await connection.close()
        return second_waits, after_two

    assert asyncio.run(run()) == (writes_wait, replayed)
    assert run_sql(database, "SELECT count(*) FROM vehicle")[0][0] == 40 + come


def test_a_write_that_waited_for_the_end_of_an_outage_is_refused_by_postgres_and_not_by_memory(database: str) -> None:
    async def opener() -> Connection:
        connection = await open_connection(database, timeout=LONGEST, statement_cache=0)
        connection.server = await facts_of(connection)
        return connection

    async def run() -> NotFound:
        availability = Availability(Pool(opener, 2), opener, LONGEST, Quiet())
        assert await availability.verdict()
        store = MirroredStore(
            availability, opener, Acknowledged(), Mirror(), Journal(None), Serving(fallback=True, when_empty=True)
        )
        write(store.journal, 1)
        await store.settling.turn.acquire()
        waits = asyncio.create_task(store.write(Delete(VEHICLE, "inconnu", Terms(None))))
        for _ in range(10):  # turns of the loop, until the write waits
            await asyncio.sleep(0)
        store.journal.settle(store.journal.last)
        store.settling.turn.release()
        with pytest.raises(NotFound) as refused:
            await waits
        availability.pool.drop()
        return refused.value

    refusal = asyncio.run(run())

    assert refusal.origin is None


async def reason(outage: Settling, connection: OwnNames) -> str | None:
    """Why the journal waits after an attempt that fails."""
    with pytest.raises(asyncpg.PostgresError):
        await outage.settle(connection)
    return outage.waiting


def test_the_reason_why_a_journal_waits_is_that_of_the_last_attempt(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "ALONE", replay.ALONE.replace("lock_timeout = '5s'", "lock_timeout = '10ms'"))

    async def run() -> list[str | None]:
        connection = await connect_for_command(database, LONGEST, "essai")
        other = await asyncpg.connect(database, timeout=LONGEST)
        outage, journal = an_outage(database)
        write(journal, 1)
        await other.execute(LOCK)
        reasons = [await reason(outage, connection)]
        await other.execute("ROLLBACK")
        await connection.execute("SET default_transaction_read_only = on")
        reasons.append(await reason(outage, connection))
        await connection.execute("SET default_transaction_read_only = off")
        await outage.settle(connection)
        await asyncio.gather(connection.close(), other.close())
        return [*reasons, outage.waiting]

    reasons = asyncio.run(run())

    assert reasons == [
        "une autre transaction tient les tables (55P03)",
        "ce serveur refuse les écritures (25006)",
        None,
    ]
