"""Facts about the stories of followers: each way to build a feed wrong is planted, and one story shows it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from harness import LONGEST, Api, run_sql, until
from retrobus.changes import feed, snapshots, statements
from retrobus.changes.cursor import Cursor
from retrobus.changes.snapshots import Look

pytestmark = pytest.mark.faults
Plant = Callable[[pytest.MonkeyPatch, Api], object]
SHOWN = "INSERT INTO vehicle (parc, is_public) VALUES ('{}', true)"
LOCK = "SELECT pg_advisory_lock(4711)"

NO_ROWS = "SELECT NULL::text AS resource, NULL::text AS key, 0::bigint AS version, NULL::bytea AS json WHERE false"

NEXT = "public.retrobus_next_version(before bigint)"
VERSION_FIRST = f"""CREATE OR REPLACE FUNCTION {NEXT} RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE drawn bigint := nextval('public.row_version');
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN drawn; END $$"""
ID_FIRST = f"""CREATE OR REPLACE FUNCTION {NEXT} RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE here xid8 := pg_current_xact_id(); drawn bigint := nextval('public.row_version');
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN drawn; END $$"""


@pytest.fixture(autouse=True)
def _own_statements() -> Iterator[None]:
    """No test takes statements that another one planted."""
    statements.page.cache_clear()
    yield
    statements.page.cache_clear()


@asynccontextmanager
async def session(api: Api) -> AsyncIterator[asyncpg.Connection]:
    """A connection beside the service."""
    connection = await asyncpg.connect(api.database_url)
    try:
        yield connection
    finally:
        await connection.close()


def read(api: Api, cursor: str | None, copy: dict[str, int]) -> str:
    """Reads until there is no more, as every client does."""
    more = True
    while more:
        page = api.get("/public/changes", params={} if cursor is None else {"since": cursor}).json()
        for item in page["changes"]:
            copy.pop(item["key"], None)
            if not item["deleted"]:
                copy[item["key"]] = item["version"]
        cursor, more = page["cursor"], page["more"]
    assert cursor is not None
    return cursor


async def late_writer(api: Api, copy: dict[str, int]) -> None:
    """A writer pauses between its version and its COMMIT, while a follower reads."""
    async with session(api) as slow:
        cursor = await asyncio.to_thread(read, api, None, copy)
        await slow.execute(f"BEGIN; {SHOWN.format('late')}")
        cursor = await asyncio.to_thread(read, api, cursor, copy)
        await slow.execute("COMMIT")
    await asyncio.to_thread(read, api, cursor, copy)


async def overtaken_writer(api: Api, copy: dict[str, int]) -> None:
    """The same, and another writer overtakes the first."""
    async with session(api) as slow:
        await slow.execute(f"BEGIN; {SHOWN.format('late')}")
        cursor = await asyncio.to_thread(read, api, None, copy)
        await asyncio.to_thread(run_sql, api.database_url, SHOWN.format("quick"))
        cursor = await asyncio.to_thread(read, api, cursor, copy)
        await slow.execute("COMMIT")
    await asyncio.to_thread(read, api, cursor, copy)


async def deleter(api: Api, copy: dict[str, int]) -> None:
    """A row goes that the follower holds."""
    await asyncio.to_thread(run_sql, api.database_url, SHOWN.format("gone"))
    cursor = await asyncio.to_thread(read, api, None, copy)
    await asyncio.to_thread(run_sql, api.database_url, "DELETE FROM vehicle")
    await asyncio.to_thread(read, api, cursor, copy)


async def writer_held_at_its_version(api: Api, copy: dict[str, int]) -> None:
    """A writer has drawn its version and waits, inside of the function that draws it."""
    waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with session(api) as slow, session(api) as holder:
        await slow.execute(SHOWN.format("first"))  # a sequence that logs gives an id: the next draws log nothing
        await holder.execute(LOCK)
        cursor = await asyncio.to_thread(read, api, None, copy)
        writing = asyncio.create_task(slow.execute(SHOWN.format("late")))
        await asyncio.to_thread(until, lambda: run_sql(api.database_url, waits))
        cursor = await asyncio.to_thread(read, api, cursor, copy)
        await holder.execute("SELECT pg_advisory_unlock(4711)")
        await writing
    await asyncio.to_thread(read, api, cursor, copy)


def no_tombstones(patch: pytest.MonkeyPatch, _: Api) -> None:
    patch.setattr(statements, "_tombstones", lambda *_, **__: NO_ROWS)


def no_late_transactions(patch: pytest.MonkeyPatch, _: Api) -> None:
    patch.setattr(feed, "_aim", lambda at, highest, *_: Cursor(at.origin, highest, {}, None, at.first))


def end_of_the_snapshot(patch: pytest.MonkeyPatch, _: Api) -> None:
    """No id of its own: what is not in the snapshot is taken for ended, up to the snapshot's end."""

    async def none(_: Any) -> int:
        return 2**62

    patch.setattr(feed, "transaction_id", none)


def clock(patch: pytest.MonkeyPatch, _: Api) -> None:
    """What was changed since an instant, instead of since a version."""
    rows, seen = statements._rows, snapshots.look  # noqa: SLF001 - the part in which the fault is planted
    micros = "(extract(epoch FROM {}) * 1000000)::bigint"

    def by_clock(*arguments: Any, **named: Any) -> str:
        return rows(*arguments, **named).replace("public_version", micros.format("updated_at"))

    async def later(connection: Any, **named: Any) -> Look:
        now = await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        return replace(await seen(connection, **named), highest=now)

    patch.setattr(statements, "_rows", by_clock)
    patch.setattr(statements, "_tombstones", lambda *_, **__: NO_ROWS)
    patch.setattr(feed, "look", later)
    patch.setattr(feed, "_aim", lambda at, highest, *_: Cursor(at.origin, highest, {}, None, at.first))


def version_before_id(_: pytest.MonkeyPatch, api: Api) -> None:
    api.sql(VERSION_FIRST)


def id_before_version(_: pytest.MonkeyPatch, api: Api) -> None:
    api.sql(ID_FIRST)


def nothing(_: pytest.MonkeyPatch, __: Api) -> None:
    """As it is built."""


STORIES = {
    "tombstones left out": (deleter, no_tombstones),
    "no late transactions": (overtaken_writer, no_late_transactions),
    "the snapshot's end instead of an id of its own": (late_writer, end_of_the_snapshot),
    "clock instead of version": (late_writer, clock),
    "version before id": (writer_held_at_its_version, version_before_id),
}


def told(api: Api, story: Callable[..., Any]) -> tuple[set[str], set[str]]:
    """What the follower holds after the story, and what the list holds."""
    copy: dict[str, int] = {}
    asyncio.run(asyncio.wait_for(story(api, copy), 2 * LONGEST))
    return set(copy), {row["parc"] for row in api.get("/public/vehicles").json()}


@pytest.mark.parametrize(("story", "plant"), STORIES.values(), ids=STORIES)
def test_each_planted_fault_leaves_another_copy(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch, story: Callable[..., Any], plant: Plant
) -> None:
    plant(monkeypatch, fresh_api)

    held, listed = told(fresh_api, story)

    assert held != listed


@pytest.mark.parametrize(
    ("story", "plant"),
    [(story, id_before_version if plant is version_before_id else nothing) for story, plant in STORIES.values()],
    ids=STORIES,
)
def test_without_a_fault_the_copy_is_the_list(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch, story: Callable[..., Any], plant: Plant
) -> None:
    plant(monkeypatch, fresh_api)

    held, listed = told(fresh_api, story)

    assert held == listed
