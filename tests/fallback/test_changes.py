"""Facts about what the mirror reads of Postgres: every committed state, whatever the order in which versions commit."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random

import asyncpg
import pytest

from harness import LONGEST
from retrobus.changes.snapshots import LOOK
from retrobus.database.pooler import OwnNames
from retrobus.fallback.feed import Feed
from retrobus.fallback.mirror import Mirror
from retrobus.model.resources import ALL
from retrobus.store.opening import open_connection

SNAPSHOT = "SELECT pg_current_snapshot()::text"
Story = Callable[["Stage"], Awaitable[None]]


class Stage:
    """A mirror that is fed from a database, and the writers that a test moves step by step."""

    def __init__(self, url: str, reader: OwnNames) -> None:
        self.mirror = Mirror()
        self.feed = Feed(self.mirror)
        self.reader = reader
        self._url = url
        self._writers: list[OwnNames] = []

    async def writer(self, *statements: str) -> OwnNames:
        """A new session that has done these statements."""
        connection = await open_connection(self._url, timeout=LONGEST, statement_cache=0)
        self._writers.append(connection)
        for statement in statements:
            await connection.execute(statement)
        return connection

    async def polled(self, times: int = 1) -> set[str]:
        """The parcs that the mirror holds after so many looks."""
        for _ in range(times):
            await self.feed.poll(self.reader)
        return self.parcs()

    def parcs(self) -> set[str]:
        return {held.row["parc"] for held in self.mirror.store.memory.of(ALL[0])}

    async def check(self) -> None:
        """The mirror holds exactly what the database has, value for value."""
        for resource in ALL:
            key = resource.key
            found = await self.reader.fetch(f"SELECT {key} AS key, version FROM {resource.table.name}")
            held = {item.row[key]: item.row["version"] for item in self.mirror.store.memory.of(resource)}
            assert held == {row["key"]: row["version"] for row in found}

    def close(self) -> None:
        for connection in self._writers:
            connection.terminate()


def told(url: str, story: Story) -> None:
    """Runs a story on a mirror that was filled from the database."""

    async def run() -> None:
        reader = await open_connection(url, timeout=LONGEST, statement_cache=0)
        stage = Stage(url, reader)
        try:
            await stage.feed.fill(reader)
            await story(stage)
            await stage.polled(3)
            await stage.check()
        finally:
            stage.close()
            reader.terminate()

    asyncio.run(asyncio.wait_for(run(), 2 * LONGEST))


def insert(parc: str) -> str:
    return f"INSERT INTO vehicle (parc) VALUES ('{parc}')"


PAUSED = {
    "before its transaction id": (["BEGIN"], [insert("late")]),
    "between transaction id and version": (["BEGIN", "SELECT pg_current_xact_id()"], [insert("late")]),
    "between version and COMMIT": (["BEGIN", insert("late")], []),
    "in a subtransaction": (["BEGIN", "SAVEPOINT s", insert("late")], ["RELEASE s"]),
    "after a subtransaction that was undone": (
        ["BEGIN", "SAVEPOINT s", insert("undone"), "ROLLBACK TO s"], [insert("late")]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("begun", "rest"), PAUSED.values(), ids=PAUSED)
def test_a_writer_that_pauses_is_not_missed(database: str, begun: list[str], rest: list[str]) -> None:
    async def story(stage: Stage) -> None:
        slow = await stage.writer(*begun)
        for number in range(4):
            await stage.writer(insert(f"quick{number}"))
            await stage.polled(3)
        quick = {f"quick{number}" for number in range(4)}
        assert stage.parcs() == quick

        for statement in (*rest, "COMMIT"):
            await slow.execute(statement)

        assert await stage.polled() == quick | {"late"}

    told(database, story)


def test_a_writer_that_gives_up_holds_nothing_back(database: str) -> None:
    async def story(stage: Stage) -> None:
        slow = await stage.writer("BEGIN", insert("never"))
        await stage.writer(insert("quick"))
        await stage.polled(2)
        await slow.execute("ROLLBACK")
        assert await stage.polled(3) == {"quick"}
        drawn = await stage.reader.fetchval("SELECT last_value FROM row_version")
        assert stage.feed.watermark == drawn

    told(database, story)


def test_while_nothing_is_written_a_look_reads_nothing(database: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.writer(insert("920"))
        await stage.polled(3)
        asked: list[str] = []
        stage.reader.add_query_logger(lambda query: asked.append(query.query))
        before = await stage.reader.fetchval(SNAPSHOT)
        while True:  # other databases of the server have transactions too: a look between two of them is sought
            asked.clear()
            await stage.polled()
            after = await stage.reader.fetchval(SNAPSHOT)
            if after == before:
                break
            before = after
        assert [query for query in asked if query != SNAPSHOT] == [LOOK]

    told(database, story)


CHANGES = {
    "a renamed parc": "UPDATE vehicle SET parc = '1920' WHERE parc = '920'",
    "a deleted vehicle and its events": "DELETE FROM vehicle WHERE parc = '920'",
    "every row at once": "TRUNCATE vehicle, event",
    "the sequence set back": "SELECT setval('row_version', 1); UPDATE vehicle SET etat = 'atelier'",
    "the sequence moved far ahead": "SELECT setval('row_version', 1000000); DELETE FROM vehicle WHERE parc = '921'",
    "e-mails exchanged": (
        "UPDATE member SET email = 'x' WHERE id = 'a'; UPDATE member SET email = 'a@example.org' WHERE id = 'b';"
        "UPDATE member SET email = 'b@example.org' WHERE id = 'a'"
    ),
    "a key used again": "DELETE FROM vehicle WHERE parc = '920'; " + insert("920"),
    "another identity": (
        "SET session_replication_role = replica; DELETE FROM vehicle; SET session_replication_role = origin;"
        "UPDATE database_identity SET id = gen_random_uuid(), created_at = clock_timestamp()"
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_kind_of_change_reaches_the_mirror(database: str, change: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.writer(
            insert("920"), insert("921"),
            "INSERT INTO event (id, title, date, vehicle_id) VALUES ('e', 'Sortie', '2026-05-01', '920')",
            "INSERT INTO member (id, email) VALUES ('a', 'a@example.org'), ('b', 'b@example.org')",
        )  # fmt: skip
        await stage.polled(2)
        await stage.writer(*change.split(";"))
        await stage.polled()
        await stage.check()

    told(database, story)


def test_a_long_writer_keeps_the_others_readable(database: str) -> None:
    async def story(stage: Stage) -> None:
        long = await stage.writer("BEGIN", *(insert(f"restored{number}") for number in range(50)))
        for number in range(5):
            await stage.writer(insert(f"new{number}"), f"DELETE FROM vehicle WHERE parc = 'new{number - 1}'")
            assert await stage.polled() == {f"new{number}"}
        await long.execute("COMMIT")
        assert len(await stage.polled()) == 51

    told(database, story)


def test_a_mirror_that_is_filled_beside_a_long_writer_has_its_rows_in_the_end(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrobus.fallback.feed.AGAIN", 0.0)

    async def story(stage: Stage) -> None:
        long = await stage.writer("BEGIN", insert("late"))
        await stage.writer(insert("quick"))
        await stage.feed.fill(stage.reader)
        assert (stage.feed.watermark, stage.parcs()) == (None, {"quick"})
        await long.execute("COMMIT")
        assert await stage.polled() == {"quick", "late"}
        assert stage.feed.watermark is not None

    told(database, story)


STEPS = ("INSERT", "UPDATE", "DELETE", "COMMIT", "ROLLBACK", "POLL")


@pytest.mark.parametrize("seed", range(6))
def test_writers_in_any_order_leave_the_mirror_as_the_database(database: str, seed: int) -> None:
    random = Random(seed)

    async def story(stage: Stage) -> None:
        writers = {n: await stage.writer("BEGIN") for n in range(4)}
        for step in range(120):
            number, doing = random.choice(list(writers)), random.choice(STEPS)
            parc = f"{number}-{random.randrange(6)}"  # each writer has rows of its own: none waits for another
            if doing == "POLL":
                await stage.polled()
            elif doing in {"COMMIT", "ROLLBACK"}:
                await writers[number].execute(f"{doing}; BEGIN")
            else:
                await writers[number].execute(
                    {
                        "INSERT": f"INSERT INTO vehicle (parc) VALUES ('{parc}') ON CONFLICT DO NOTHING",
                        "UPDATE": f"UPDATE vehicle SET etat = 'état {step}' WHERE parc = '{parc}'",
                        "DELETE": f"DELETE FROM vehicle WHERE parc = '{parc}'",
                    }[doing]
                )
        for writer in writers.values():
            await writer.execute("COMMIT")

    told(database, story)


def test_what_this_process_wrote_while_the_mirror_was_filled_is_in_it(database: str) -> None:
    async def run() -> set[str]:
        reader = await open_connection(database, timeout=LONGEST, statement_cache=0)
        writer = await asyncpg.connect(database)
        mirror = Mirror()
        await writer.execute("BEGIN; LOCK TABLE member")
        filling = asyncio.create_task(Feed(mirror).fill(reader))
        while not await writer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass
        [row] = await writer.fetch(f"{insert('920')} RETURNING *")
        await writer.execute("COMMIT")
        mirror.wrote(ALL[0], "920", {c.name: row[c.name] for c in ALL[0].columns}, row["version"])
        await filling
        await writer.close()
        reader.terminate()
        return {json.loads(held.text(ALL[0], "one"))["parc"] for held in mirror.store.memory.of(ALL[0])}

    assert asyncio.run(asyncio.wait_for(run(), 2 * LONGEST)) == {"920"}
