"""What was acknowledged survives the loss of the leader: the standby has it before any answer says that it is done."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

import httpx
import pytest

from builders import Body, an_event
from faults.background import at_once, in_background
from faults.outage import a_person
from faults.replicated import Pair, replicated
from harness import SECRET, Api, Person, run_sql, served, settings_for, until
from limits import limit_commits, usual, waiting_for_a_standby

pytestmark = pytest.mark.faults


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A leader whose COMMIT waits for its standby."""
    with replicated(tmp_path) as found:
        yield found


@pytest.fixture
def api(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The service on the leader; a COMMIT is cut off as soon as it waits for the standby."""
    limit_commits(monkeypatch, waiting_for_a_standby(pair.url()))
    with served(settings_for(pair.url()), pair.url()) as found:
        yield found


@pytest.fixture
def who(pair: Pair) -> Person:
    """A manager, beside an event that both servers have."""
    run_sql(pair.url(), "INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
    return a_person(pair.url(), "BUREAU")


@dataclass(frozen=True)
class Write:
    """A write, what it is answered when all is there already, and what is there then."""

    method: str
    path: str
    body: Body | None
    again: int
    holds: str
    keyed: bool = False
    match: bool = False

    def send(self, api: Api, who: Person, etag: str) -> httpx.Response:
        headers = who.headers
        headers |= {"Idempotency-Key": self.path} if self.keyed else {}
        headers |= {"If-Match": etag} if self.match else {}
        return api.request(self.method, f"/api/{self.path}", json=self.body, headers=headers)


def created(title: str, again: int, *, keyed: bool = False, **values: object) -> Write:
    holds = f"(SELECT count(*) FROM event WHERE title = '{title}') = 1"
    return Write("POST", "events", an_event(title=title, **values), again, holds, keyed)


def changed(key: str, again: int, *, keyed: bool = False, match: bool = False) -> Write:
    holds = f"EXISTS (SELECT FROM event WHERE id = '{key}' AND title = 'Autre')"
    return Write("PUT", f"events/{key}", {"title": "Autre"}, again, holds, keyed, match)


def deleted(key: str, again: int, *, keyed: bool = False, match: bool = False) -> Write:
    holds = f"NOT EXISTS (SELECT FROM event WHERE id = '{key}')"
    return Write("DELETE", f"events/{key}", None, again, holds, keyed, match)


WRITES = {
    "the kept answer of a POST": created("Foire", 201, keyed=True),
    "a POST of an id that is taken": created("Visite", 409, id="new"),
    "a DELETE of what is gone": deleted("a", 404),
    "the kept answer of a DELETE": deleted("b", 200, keyed=True),
    "a DELETE of a state that is gone": deleted("c", 404, match=True),
    "a PUT that changes nothing": changed("d", 200),
    "the kept answer of a PUT": changed("e", 200, keyed=True),
    "a PUT of a state that is gone": changed("f", 412, match=True),
}


def unknown(answer: httpx.Response) -> bool:
    found = answer.json()
    return (answer.status_code, found.get("code"), found.get("outcome")) == (503, "outcome_unknown", "unknown")


def test_what_is_done_already_is_told_only_when_the_standby_has_it(pair: Pair, api: Api, who: Person) -> None:
    api.sql(
        "INSERT INTO event (id, title, date) SELECT key, 'Sortie', now() FROM unnest('{a,b,c,d,e,f}'::text[]) AS key"
    )
    etags = {
        name: api.get(f"/api/{write.path}", headers=who.headers).headers.get("ETag", "")
        for name, write in WRITES.items()
    }
    pair.standby.freeze()

    silent = at_once(partial(sent_three_times, write, api, who, etags[name]) for name, write in WRITES.items())

    assert [[answer.status_code for answer in answers if not unknown(answer)] for answers in silent] == [[]] * 8
    pair.standby.thaw()
    answers = {name: until(partial(told, write, api, who, etags[name]), name) for name, write in WRITES.items()}
    assert answers == {name: write.again for name, write in WRITES.items()}
    pair.leader.kill()
    promoted = pair.promote()
    assert [name for name, write in WRITES.items() if not run_sql(promoted, f"SELECT {write.holds}")[0][0]] == []


def sent_three_times(write: Write, api: Api, who: Person, etag: str) -> list[httpx.Response]:
    return [write.send(api, who, etag) for _ in range(3)]


def told(write: Write, api: Api, who: Person, etag: str) -> int | None:
    """The answer's status, once it is no 503."""
    status = write.send(api, who, etag).status_code
    return None if status == 503 else status


def test_a_commit_that_waits_leaves_no_connection_behind_on_the_server(pair: Pair, api: Api, who: Person) -> None:
    pair.standby.freeze()

    answers = [api.delete("/api/events/nothing", headers=who.headers) for _ in range(3)]

    assert all(map(unknown, answers))
    assert api.sql("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == []


def test_reads_go_on_while_more_writers_than_connections_wait_for_the_standby(
    pair: Pair, who: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, waiting = Event(), waiting_for_a_standby(pair.url())
    limit_commits(monkeypatch, lambda pid: looked.is_set() and waiting(pid))
    usual(monkeypatch, "store.pool.ACQUIRE_TIMEOUT", "store.pool.LATE")
    with served(settings_for(pair.url(), database_pool_size=4), pair.url()) as api:
        pair.standby.freeze()
        writers = [
            in_background(lambda: api.post("/api/events", json=an_event(), headers=who.headers)) for _ in range(16)
        ]
        until(lambda: api.metric("retrobus_commits_waiting") == 3, "all slots for writes to wait")

        reads = [api.get("/api/events/old", headers=who.headers) for _ in range(20)]
        ready = api.get("/ready")

        assert {answer.status_code for answer in reads} == {200}
        assert (ready.status_code, ready.json()["ready"], ready.json()["database"]) == (503, False, "up")
        assert ready.json()["durability"]["waiting"] == 3
        assert ready.json()["durability"]["reason"] == "3 COMMIT en attente de la réplique synchrone"
        until(lambda: any(writer.done() for writer in writers), "a writer to be sent away without a turn")
        looked.set()
        answers = [writer.result().json() for writer in writers]
        assert {(found["code"], found["outcome"]) for found in answers} == {
            ("outcome_unknown", "unknown"),
            ("database_busy", "not_applied"),
        }
        assert api.metric("retrobus_commits_unconfirmed") == sum(one["outcome"] == "unknown" for one in answers)
        pair.standby.thaw()
        until(lambda: api.get("/ready").status_code == 200, "readiness")


def test_a_leader_that_no_standby_follows_is_red_while_it_waits_for_one(
    pair: Pair, api: Api, who: Person, terminal: Callable[..., tuple[int, str, str]]
) -> None:
    assert api.get("/ready").json()["durability"]["attached"] == 1
    pair.standby.stop("immediate")

    until(lambda: api.get("/ready").status_code == 503, "the end of the standby to be told")

    found = api.get("/ready").json()["durability"]
    assert found["reason"] == (
        "aucune réplique attachée (synchronous_standby_names = *) : les écritures ne sont pas confirmées"
    )
    assert api.get("/api/events/old", headers=who.headers).status_code == 200
    _, said, _ = terminal("doctor", "--json", url=pair.url(), JWT_SECRET=SECRET)
    [item] = [item for item in json.loads(said)["items"] if item["name"] == "Répliques"]
    assert (item["level"], item["found"]) == ("error", found["reason"])
    pair.set("synchronous_standby_names", "")
    until(lambda: api.get("/ready").status_code == 200, "a leader that waits for no standby to be well")


def test_a_leader_without_a_standby_of_its_own_waits_for_none(pair: Pair, api: Api, who: Person) -> None:
    pair.set("synchronous_standby_names", "")
    pair.standby.freeze()

    found = [api.delete("/api/events/old", headers=who.headers).status_code for _ in range(2)]

    assert found == [200, 404]
