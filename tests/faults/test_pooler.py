"""PgBouncer between the service and Postgres: what works there works, what cannot is refused and named."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from builders import a_vehicle, an_event
from faults.pooler import IGNORE, Pooler, pooled
from harness import LONGEST, SECRET, Api, Process, free_port, process, run_sql, until
from limits import AS_IN_THE_CODE
from retrobus.backups import catalog
from retrobus.backups.schedule import Schedule
from retrobus.database.pooler import OwnNames
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.errors import StatementLost
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool

pytestmark = pytest.mark.faults

Terminal = Callable[..., tuple[int, str, str]]
PATHS = {"vehicles": "parc", "events": "title", "members": "email"}
NAMES = "SELECT name FROM pg_prepared_statements"
OF_A_PROCESS = """
import asyncio, sys, asyncpg
from retrobus.database.pooler import OwnNames
async def names():
    connection = await asyncpg.connect(sys.argv[1], connection_class=OwnNames)
    await connection.fetch("SELECT 1")
    print(*(row["name"] for row in await connection.fetch("SELECT name FROM pg_prepared_statements")))
asyncio.run(names())
"""
TOGGLES = ("ENABLE_MEMORY_FALLBACK", "ENABLE_RUNTIME_STATE_SAVE", "LOAD_BACKUP_AT_BOOT")


@pytest.fixture
def direct(postgres: EmbeddedPostgres, own_database: str) -> str:
    """The database without a pooler, over TCP."""
    return f"postgresql://postgres@127.0.0.1:{postgres.port}/{own_database}"


@pytest.fixture(params=["", IGNORE], ids=["stock", "ignoring"])
def pooler(request: pytest.FixtureRequest, direct: str) -> Iterator[Pooler]:
    """PgBouncer in transaction mode, as it comes and with our limits in `ignore_startup_parameters`."""
    with pooled(direct, ignore=request.param) as found:
        yield found


@pytest.fixture
def stock(direct: str) -> Iterator[Pooler]:
    """PgBouncer in transaction mode, as it comes."""
    with pooled(direct, ignore="") as found:
        yield found


def refused(url: str, folder: Path, **environment: str) -> tuple[int, str]:
    """The exit code and the words of a service that must not start."""
    wanted = {"JWT_SECRET": SECRET, "APP_ENV": "test", "DATABASE_URL": url, "PORT": str(free_port())}
    running = Process(["serve"], folder, wanted | environment)
    try:
        return running.wait(), running.log
    finally:
        running.popen.kill()


def test_no_two_connections_of_any_process_share_a_name(direct: str) -> None:
    async def names() -> list[list[str]]:
        found = []
        for _ in range(2):
            connection = await asyncpg.connect(direct, connection_class=OwnNames)
            await connection.fetch("SELECT 1")
            found.append([row["name"] for row in await connection.fetch(NAMES)])
            await connection.close()
        return found

    program = [sys.executable, "-c", OF_A_PROCESS, direct]
    others = [subprocess.run(program, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    every = [*asyncio.run(names()), *others]

    assert [len(found) for found in every] == [2, 2, 2, 2]
    assert len({name for found in every for name in found}) == 8


def test_four_workers_never_give_rows_of_another_resource(pooler: Pooler, tmp_path: Path) -> None:
    with process(pooler.url, tmp_path, "--workers", "4", DATABASE_STATEMENT_CACHE="0") as (api, serving):
        api.database_url = pooler.direct
        headers = api.person("ADMIN").headers
        made = [
            api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=headers),
            api.post("/api/events", json=an_event(), headers=headers),
        ]

        def ask(number: int) -> tuple[int, bool]:
            name = list(PATHS)[number % 3]
            answer = api.get(f"/api/{name}", headers=headers)
            rows = answer.json().get(name, []) if answer.status_code == 200 else []
            return answer.status_code, bool(rows) and all(PATHS[name] in row for row in rows)

        with ThreadPoolExecutor(16) as pool:
            found = set(pool.map(ask, range(600)))

    assert [answer.status_code for answer in made] == [201, 201]
    assert found == {(200, True)}
    assert "08P01" not in serving.log


def test_kept_statements_are_refused_at_start(pooler: Pooler, tmp_path: Path) -> None:
    code, words = refused(pooler.url, tmp_path)

    assert code == 78
    assert words.startswith("❌ DATABASE_URL : un pooler (PgBouncer ou semblable) est entre le service et PostgreSQL")
    assert "DATABASE_STATEMENT_CACHE=0" in words
    assert len(words.splitlines()) == 1


def test_a_mirror_follows_through_a_pooler_and_answers_when_it_is_gone(direct: str, tmp_path: Path) -> None:
    port, toggles = free_port(), {"ENABLE_MEMORY_FALLBACK": "true", "DATABASE_STATEMENT_CACHE": "0"}
    url = f"postgresql://postgres@127.0.0.1:{port}/{direct.rpartition('/')[2]}"

    with pooled(direct, port=port) as pooler, process(url, tmp_path, **toggles) as (api, _):
        run_sql(direct, "INSERT INTO vehicle (parc, is_public) VALUES ('920', true), ('921', true)")
        run_sql(direct, "DELETE FROM vehicle WHERE parc = '921'")
        since = datetime.now(UTC)
        until(lambda: as_of(api) > since, "the mirror to have read the change")
        pooler.process.kill()
        shown = until(lambda: from_memory(api), "an answer from memory")

    assert [row["parc"] for row in shown] == ["920"]


def as_of(api: Api) -> datetime:
    """Of which instant the mirror is."""
    return datetime.fromisoformat(api.get("/ready").json()["mirror"]["asOf"])


def from_memory(api: Api) -> Any:
    """The public vehicles, once memory answers."""
    answer = api.get("/public/vehicles")
    return answer.json() if answer.headers.get("X-Data-Source") == "memory" else None


@pytest.mark.parametrize("toggle", [None, "ENABLE_MEMORY_FALLBACK"])
def test_a_pooler_that_comes_later_is_named_and_never_ready(direct: str, tmp_path: Path, toggle: str | None) -> None:
    port, environment = free_port(), {toggle: "true"} if toggle else {}
    url = f"postgresql://postgres@127.0.0.1:{port}/{direct.rpartition('/')[2]}"

    with process(url, tmp_path, **environment) as (api, _), pooled(direct, port=port):
        told = until(lambda: reason(api), "the reason in /ready")
        headers = {"Authorization": "Bearer none"}
        public = api.get("/public/vehicles", headers=headers)

    assert "un pooler (PgBouncer ou semblable)" in told
    assert public.status_code == 503


def reason(api: Api) -> str | None:
    """What /ready says of a pooler, once it says something; it is never ready meanwhile."""
    answer = api.get("/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    told: str | None = answer.json()["reason"]
    return told if told and "pooler" in told else None


def test_commands_follow_each_other(stock: Pooler, terminal: Terminal) -> None:
    environment = {
        "url": stock.url,
        "given": "correct horse battery\n",
        "DATABASE_STATEMENT_CACHE": 0,
        "JWT_SECRET": SECRET,
    }
    asks: list[list[str]] = [
        ["db", "upgrade"],
        ["db", "show", "vehicle"],
        ["member", "create-admin", "--email", "a@example.org", "--password-stdin"],
        ["member", "list"],
        ["backup", "create"],
        ["resync", "--list"],
    ]

    ended = [terminal(*ask, **environment) for ask in (*asks, *asks[3:], *asks[:2])]
    newest = catalog.entries(Path("backups"))[0].name
    ended += [terminal("restore", newest, "--apply", "--yes", **environment) for _ in range(2)]

    assert [(code, said, words) for code, said, words in ended if code] == []


def test_a_schema_is_made_through_a_pooler(stock: Pooler, terminal: Terminal) -> None:
    run_sql(stock.direct, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    ended = [terminal("db", "upgrade", url=stock.url)[0] for _ in range(2)]

    assert ended == [0, 0]
    assert run_sql(stock.direct, "SELECT count(*) FROM vehicle") == [(0,)]


def test_scheduled_backups_take_turns_and_leave_no_lock(stock: Pooler, tmp_path: Path) -> None:
    schedules = [Schedule(("03:30",), 9, 90, tmp_path, stock.url) for _ in range(2)]

    async def twice() -> None:
        for _ in range(2):
            due = datetime.now(UTC)
            await asyncio.gather(*(schedule.turn(due) for schedule in schedules))

    asyncio.run(asyncio.wait_for(twice(), 2 * LONGEST))

    assert len([entry for entry in catalog.entries(tmp_path) if entry.present]) == 2
    assert run_sql(stock.direct, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []


def test_the_doctor_names_the_pooler_and_the_limits(stock: Pooler, terminal: Terminal) -> None:
    def items(**environment: Any) -> dict[str, dict[str, str]]:
        _, said, _ = terminal("doctor", "--json", url=stock.url, JWT_SECRET=SECRET, **environment)
        return {item["name"]: item for item in json.loads(said)["items"]}

    kept, sound = items(), items(DATABASE_STATEMENT_CACHE=0, ENABLE_MEMORY_FALLBACK="true")

    assert (kept["Pooler"]["level"], sound["Pooler"]["level"]) == ("error", "ok")
    assert "DATABASE_STATEMENT_CACHE=0" in kept["Pooler"]["cure"]
    assert "ALTER ROLE \"postgres\" SET lock_timeout = '2s';" in sound["Limites de session"]["cure"]


def test_writes_keep_their_limits_behind_a_pooler(stock: Pooler, tmp_path: Path) -> None:
    with process(stock.url, tmp_path, DATABASE_STATEMENT_CACHE="0", **AS_IN_THE_CODE) as (api, _):
        api.database_url = stock.direct
        headers = api.person("ADMIN").headers
        api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=headers)

        busy = asyncio.run(_change_while_locked(stock.direct, api, headers))

    assert (busy.status_code, busy.json()["code"], busy.json()["outcome"]) == (503, "database_busy", "not_applied")


async def _change_while_locked(direct: str, api: Api, headers: dict[str, str]) -> Any:
    """The answer to a change of a row that another session keeps locked."""
    connection = await asyncpg.connect(direct)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM vehicle FOR UPDATE")
            return await asyncio.to_thread(
                api.patch, "/api/vehicles/920", json={"modele": "Saviem SC10"}, headers=headers
            )
    finally:
        await connection.close()


class _Silent:
    """Hears that Postgres goes and comes, and says nothing."""

    def lost(self, reason: str) -> None:
        """Says nothing."""

    def found(self) -> None:
        """Says nothing."""


@pytest.mark.parametrize("every", [False, True], ids=["one connection", "every connection"])
def test_a_statement_that_is_lost_is_made_again_once(direct: str, every: bool) -> None:  # noqa: FBT001 - a parameter
    async def lose() -> object:
        async def opener() -> Connection:
            return await open_connection(direct, timeout=LONGEST, statement_cache=10)

        async def work(connection: Connection) -> object:
            if every:
                await _forget(connection)
            return await connection.fetchval("SELECT 920")

        pool = Pool(opener, 1)
        availability = Availability(pool, opener, LONGEST, _Silent())
        await availability.verdict()
        first = await pool.acquire()
        await _forget(first)
        pool.release(first)
        try:
            return await Attempts(availability).run(work)
        finally:
            pool.drop()

    if every:
        with pytest.raises(StatementLost):
            asyncio.run(lose())
    else:
        assert asyncio.run(lose()) == 920


async def _forget(connection: Connection) -> None:
    """Makes the server forget a statement that the driver believes in, as a pooler's DISCARD ALL does."""
    await connection.fetchval("SELECT 920")
    await connection.execute("DEALLOCATE ALL")
