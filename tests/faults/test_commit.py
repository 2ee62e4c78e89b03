"""What became of a write whose COMMIT was cut off: the service finds out, and never claims what is not so."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from builders import Body, an_event
from faults.background import in_background
from faults.proxy import Proxy, Side
from faults.psql import ORDINARY
from harness import LONGEST, Api, Person, run_sql, served, settings_for, until
from limits import Clock, clock_of, limit_commits
from locks import held
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.store import commit

pytestmark = pytest.mark.faults

KEYED = {"Idempotency-Key": "once-and-for-all"}


@dataclass(frozen=True)
class Write:
    """One write of an event, and whether it shows in the table."""

    method: str
    path: str
    body: Body | None
    status: int
    shown_by: str

    def send(self, api: Api, who: Person) -> httpx.Response:
        return api.request(self.method, self.path, json=self.body, headers=who.headers | KEYED)

    def is_applied(self, api: Api) -> bool:
        return bool(api.sql(f"SELECT {self.shown_by}")[0][0])


WRITES = {
    "create": Write("POST", "/api/events", an_event(id="new"), 201, "EXISTS (SELECT FROM event WHERE id = 'new')"),
    "update": Write(
        "PUT", "/api/events/old", {"title": "Autre"}, 200, "EXISTS (SELECT FROM event WHERE title = 'Autre')"
    ),
    "delete": Write("DELETE", "/api/events/old", None, 200, "NOT EXISTS (SELECT FROM event WHERE id = 'old')"),
}


@pytest.fixture
def own_api(line: Proxy, postgres: EmbeddedPostgres, own_database: str) -> Iterator[Callable[..., Api]]:
    """Services behind the proxy, with no rights but to their tables, and one connection: the rest they open beside."""
    with ExitStack() as stack:

        def start(**more: Any) -> Api:
            settings = settings_for(line.url(own_database, ORDINARY), database_pool_size=1, **more)
            return stack.enter_context(served(settings, postgres.url(own_database)))

        yield start


@pytest.fixture
def api(own_api: Callable[..., Api]) -> Api:
    """A service that writes in steps and ends each write with a COMMIT, as it does behind a pooler."""
    return own_api(database_statement_cache=0)


@pytest.fixture
def plain_api(own_api: Callable[..., Api]) -> Api:
    """A service whose writes are single statements."""
    return own_api()


@pytest.fixture
def who(api: Api) -> Person:
    """A manager, beside an event that is there already."""
    api.sql("INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
    return api.person("BUREAU")


@pytest.fixture(params=WRITES)
def write(request: pytest.FixtureRequest) -> Write:
    """Each kind of write."""
    return WRITES[request.param]


def test_a_write_cut_before_its_commit_is_not_applied_and_the_answer_says_so(
    api: Api, who: Person, line: Proxy, write: Write
) -> None:
    line.cut_commit("before")

    answer = write.send(api, who)

    assert (answer.status_code, answer.json()["outcome"]) == (503, "not_applied")
    assert not write.is_applied(api)
    assert write.send(api, who).status_code == write.status
    assert write.is_applied(api)


def test_a_write_cut_after_its_commit_is_applied_and_the_answer_says_so(
    api: Api, who: Person, line: Proxy, write: Write
) -> None:
    line.cut_commit("after")

    answer = write.send(api, who)

    assert answer.status_code == write.status
    assert write.is_applied(api)
    again = write.send(api, who)
    assert (again.status_code, again.content) == (answer.status_code, answer.content)
    assert again.headers.get("ETag") == answer.headers.get("ETag")


def test_a_commit_whose_answer_does_not_come_is_not_waited_for(
    api: Api, who: Person, line: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, answered = threading.Event(), threading.Event()
    limit_commits(monkeypatch, lambda _: committed.is_set())

    def keep_the_answer() -> None:
        committed.set()
        answered.wait()

    line.cut_commit("after", keep_the_answer)

    try:
        answer = WRITES["create"].send(api, who)
    finally:
        answered.set()

    assert answer.status_code == 201


def crash_a_backend(postgres: EmbeddedPostgres) -> None:
    """The server ends every connection and recovers, under the same start time."""

    async def crash() -> None:
        other, witness = [await asyncpg.connect(postgres.url()) for _ in range(2)]
        noticed = asyncio.Event()
        witness.add_termination_listener(lambda _: noticed.set())
        os.kill(await other.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        await noticed.wait()  # until then the server takes connections, as if nothing had happened
        other.terminate()

    asyncio.run(crash())


def restart_after_kill(postgres: EmbeddedPostgres) -> None:
    postgres.kill()
    postgres.start()


@pytest.fixture(params=[crash_a_backend, restart_after_kill])
def crash(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> Callable[[], None]:
    """Each way in which a server loses what it had not written down."""
    return lambda: request.param(postgres)


@pytest.fixture
def crash_and_reuse(postgres: EmbeddedPostgres, own_database: str, crash: Callable[[], None]) -> Callable[[], None]:
    """The trap: crash while a transaction is open, then let somebody else commit under its transaction id."""
    url = postgres.url(own_database)

    def spring() -> None:
        [[lost]] = run_sql(url, "SELECT backend_xid::text FROM pg_stat_activity WHERE state = 'idle in transaction'")
        crash()
        until(lambda: _try_sql(url, "SELECT 1"), "the end of the recovery")
        run_sql(url, *(f"INSERT INTO event (id, title, date) VALUES ('other-{n}', 'x', now())" for n in range(3)))
        [[status]] = run_sql(url, f"SELECT pg_xact_status('{lost}')")
        assert status == "committed", "the trap is not set: the id was not given again"

    return spring


def _try_sql(url: str, statement: str) -> list[Any]:
    try:
        return run_sql(url, statement)
    except (OSError, asyncpg.PostgresError):
        return []


def test_a_transaction_id_that_a_crash_gave_to_somebody_else_proves_nothing(
    api: Api, who: Person, line: Proxy, write: Write, crash_and_reuse: Callable[[], None]
) -> None:
    line.cut_commit("before", crash_and_reuse)

    answer = write.send(api, who)

    assert (answer.status_code, answer.json()["outcome"]) == (503, "not_applied")
    assert not write.is_applied(api)
    assert write.send(api, who).status_code == write.status
    assert write.is_applied(api)


def test_a_commit_that_a_crash_followed_is_applied_and_the_answer_says_so(
    api: Api, who: Person, line: Proxy, write: Write, crash: Callable[[], None]
) -> None:
    line.cut_commit("after", crash)

    answer = write.send(api, who)

    assert answer.status_code == write.status
    assert write.is_applied(api)
    assert write.send(api, who).content == answer.content


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_outcome_that_nobody_can_say_is_unknown_and_a_repetition_finds_it_out(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = clock_of(monkeypatch, commit)
    settings = settings_for(line.url(own_database), database_statement_cache=0)
    write, url = WRITES["create"], postgres.url(own_database)
    with served(settings, url) as api:
        who = api.person("BUREAU")
        line.cut_commit(side, lambda: kill_and_let_time_pass(postgres, clock))

        answer = write.send(api, who)

        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert answer.json()["outcome"] == "unknown"
        postgres.start()
        again = until(lambda: _unless_503(write.send(api, who)), "the return of the service")
        assert again.status_code == 201
        assert write.is_applied(api)


def kill_and_let_time_pass(postgres: EmbeddedPostgres, clock: Clock) -> None:
    """The service finds the server gone, and its time to find out over."""
    postgres.kill()
    clock.ahead = LONGEST


def _unless_503(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 503 else answer


def test_an_outcome_that_a_later_write_hides_is_unknown_and_a_repetition_finds_it_out(
    api: Api, who: Person, line: Proxy
) -> None:
    write = WRITES["update"]
    line.cut_commit("after", lambda: api.sql("UPDATE event SET title = 'Encore' WHERE id = 'old'"))

    answer = write.send(api, who)

    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert answer.json()["outcome"] == "unknown"
    again = write.send(api, who)
    assert (again.status_code, again.json()["title"]) == (200, "Autre")
    assert api.sql("SELECT title FROM event")[0][0] == "Encore"


class Alone:
    """A write that is one statement and commits by itself."""

    def __init__(self, api: Api, write: Write, keyed: dict[str, str]) -> None:
        api.sql("INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
        self.api, self._write = api, write
        self._headers = api.person("BUREAU").headers | keyed
        api.get("/api/events/old", headers=self._headers)  # the service has seen the row's version now

    def send(self) -> httpx.Response:
        write = self._write
        return self.api.request(write.method, write.path, json=write.body, headers=self._headers)

    def is_applied(self) -> bool:
        return self._write.is_applied(self.api)


@pytest.fixture(params=[{}, KEYED], ids=["without a key", "with a key"])
def alone(plain_api: Api, write: Write, request: pytest.FixtureRequest) -> Alone:
    """Each kind of write."""
    return Alone(plain_api, write, request.param)


def test_a_single_statement_cut_before_it_is_run_is_done_once_on_a_new_line(
    alone: Alone, write: Write, line: Proxy
) -> None:
    line.cut_write("before")

    answer = alone.send()

    assert answer.status_code == write.status
    assert alone.is_applied()


def test_a_single_statement_cut_after_it_is_done_is_found_again(alone: Alone, write: Write, line: Proxy) -> None:
    line.cut_write("after")

    answer = alone.send()

    assert answer.status_code == write.status
    assert alone.is_applied()
    assert write.method == "DELETE" or answer.json()["title"] in {"Autre", an_event()["title"]}


def test_a_delete_under_if_match_is_a_single_statement_too(plain_api: Api, line: Proxy) -> None:
    plain_api.sql("INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
    headers = plain_api.person("BUREAU").headers
    etag = plain_api.get("/api/events/old", headers=headers).headers["ETag"]
    stale = plain_api.delete("/api/events/old", headers=headers | {"If-Match": '"another"'})
    cut: list[bool] = []
    line.cut_write("after", lambda: cut.append(True))

    answer = plain_api.delete("/api/events/old", headers=headers | {"If-Match": etag})

    assert (stale.status_code, answer.status_code, cut) == (412, 200, [True])
    assert plain_api.sql("SELECT cause FROM deletion WHERE key = 'old'") == [("api",)]


def test_a_single_statement_that_a_crash_followed_is_found_again(
    alone: Alone, write: Write, line: Proxy, crash: Callable[[], None]
) -> None:
    line.cut_write("after", crash)

    answer = alone.send()

    assert answer.status_code == write.status
    assert alone.is_applied()


def test_a_single_statement_whose_row_was_written_again_is_of_unknown_outcome(plain_api: Api, line: Proxy) -> None:
    alone = Alone(plain_api, WRITES["update"], {})
    line.cut_write("after", lambda: plain_api.sql("UPDATE event SET title = 'Encore' WHERE id = 'old'"))

    answer = alone.send()

    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert plain_api.sql("SELECT title FROM event")[0][0] == "Encore"


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_single_statement_whose_server_is_gone_is_of_unknown_outcome(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = clock_of(monkeypatch, commit)
    settings = settings_for(line.url(own_database))
    url = postgres.url(own_database)
    with served(settings, url) as api:
        alone = Alone(api, WRITES["update"], {})
        line.cut_write(side, lambda: kill_and_let_time_pass(postgres, clock))

        answer = alone.send()

        assert (answer.status_code, answer.json()["outcome"]) == (503, "unknown")
        postgres.start()
        assert until(lambda: _unless_503(alone.send()), "the return of the service").status_code == 200
        assert alone.is_applied()


def test_a_server_process_that_still_runs_a_single_statement_is_ended_before_its_outcome_is_told(
    plain_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    limit_commits(monkeypatch, lambda _: begun.is_set())
    alone = Alone(plain_api, WRITES["delete"], {})
    with held(plain_api.database_url, "UPDATE event SET title = 'tenu' WHERE id = 'old'") as lock:
        pending = in_background(alone.send)
        until(lock.waiting, "the statement to run")
        begun.set()
        answer = pending.result()
        running = plain_api.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH opened%' AND state = 'active'"
        )
        lock.release()

    assert (answer.status_code, answer.json()["outcome"]) == (503, "not_applied")
    assert running == [(0,)]
    assert not alone.is_applied()


def test_a_kept_answer_is_told_to_the_member_with_access_only(plain_api: Api) -> None:
    """The single statement finds the kept answer and the lost access at once: the access decides."""
    plain_api.sql("INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
    who = plain_api.person("BUREAU")
    first = WRITES["update"].send(plain_api, who)
    plain_api.sql(f"UPDATE member SET status = 'disabled' WHERE id = '{who.id}'")

    again = WRITES["update"].send(plain_api, who)

    assert (first.status_code, again.status_code) == (200, 401)
