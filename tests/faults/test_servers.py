"""Several servers in DATABASE_URL: the living one answers, the right one takes writes, whatever their order."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from faults.replicated import DATABASE, Pair, replicated
from harness import LONGEST, Api, Person, free_port, served, settings_for, until
from retrobus.cli import postgres
from retrobus.database.connection import AnyConnection
from retrobus.database.hosts import Hosts
from retrobus.database.server import Server
from retrobus.store import pool

pytestmark = pytest.mark.faults

HUNG = 5.0
"""DATABASE_TIMEOUT where a server is frozen, in seconds: it is noticed soon, and a pause of the machine is not."""

BUS = {"parc": "920", "modele": "Standard", "type": "autobus"}


def address(*ports: int | None, options: str = "") -> str:
    """Servers of this machine in this order."""
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/{DATABASE}{options}"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A leader and a standby that copies it without being waited for."""
    with replicated(tmp_path, synchronous=False) as found:
        yield found


@contextmanager
def serving(pair: Pair, url: str, **overrides: Any) -> Iterator[tuple[Api, Person]]:
    """The service at this address, and an ADMIN who is on both servers."""
    with Api("http://nowhere.example.org", pair.url()) as at_leader:
        who = at_leader.person("ADMIN")
    pair.wait_until_copied()
    with served(settings_for(url, **overrides), pair.url()) as api:
        yield api, who


def adds(api: Api, who: Person, parc: str) -> int:
    """The status of adding a bus."""
    return api.post("/api/vehicles", headers=who.headers, json=BUS | {"parc": parc}).status_code


@pytest.mark.parametrize("order", ["the leader first", "the standby first"])
def test_of_several_servers_the_one_that_takes_writes_is_used(pair: Pair, order: str) -> None:
    ports = [pair.leader.port, pair.standby.port]
    url = address(*(ports if order == "the leader first" else reversed(ports)))

    with serving(pair, url) as (api, who):
        statuses = [adds(api, who, str(number)) for number in range(10)]
        ready = api.get("/ready").json()

    assert statuses == [201] * 10
    assert (ready["database"], ready["reason"]) == ("up", None)


@pytest.mark.parametrize("options", ["", "?target_session_attrs=read-write", "?target_session_attrs=primary"])
def test_a_frozen_server_that_is_named_first_does_not_hide_its_successor(
    pair: Pair, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = address(pair.leader.port, pair.standby.port, options=options)
    with serving(pair, url, database_timeout=HUNG) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.leader.freeze()
        pair.promote()
        monkeypatch.setattr(pool, "LONGEST_USE", 1.0)  # the write that hangs on the frozen server is cut sooner

        until(lambda: adds(api, who, "2") == 201, "the successor, while the former leader is frozen")


def test_a_standby_that_is_promoted_while_a_frozen_server_is_awaited_is_found_in_the_same_search(pair: Pair) -> None:
    pair.wait_until_copied()
    pair.leader.freeze()
    url = address(pair.leader.port, pair.standby.port)
    answered: list[int] = []

    async def opened(place: Mapping[str, Any]) -> AnyConnection:
        connection: AnyConnection = await asyncpg.connect(url, **place)
        answered.append(place["port"])
        return connection

    async def search() -> Server:
        hosts = Hosts(url, opened, seconds=LONGEST)
        searching = asyncio.create_task(hosts.open())
        await asyncio.to_thread(until, lambda: "réplique" in hosts.reason, "the standby's answer")
        await asyncio.to_thread(pair.promote)
        connection, server = await searching
        connection.terminate()
        return server

    found = asyncio.run(search())

    assert (found.writable, found.timeline) == (True, 2)
    assert answered == [pair.standby.port]


def test_a_frozen_server_that_is_named_first_does_not_delay_the_start(pair: Pair) -> None:
    pair.wait_until_copied()
    pair.leader.freeze()
    pair.promote()

    settings = settings_for(address(pair.leader.port, pair.standby.port), database_timeout=HUNG)
    with served(settings, pair.standby.url(DATABASE)) as api:
        until(lambda: api.get("/ready").status_code == 200, "the living server")

        until(lambda: api.get("/public/events").headers.get("X-Data-Source") == "postgres", "its answer")


def test_a_switchover_is_followed_and_told(pair: Pair) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port)) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.leader.stop()
        pair.promote()

        until(lambda: adds(api, who, "2") == 201, "writes on the new primary")
        told = api.get("/ready").json()["failover"]

    assert told == {"timeline": 2, "lost": 0, "checked": 1}


def test_a_single_standby_answers_reads_and_says_that_it_takes_no_writes(
    pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(pair, address(pair.standby.port), log_level="info") as (api, who):
        reading = api.get("/api/vehicles", headers=who.headers).status_code
        writing = api.post("/api/vehicles", headers=who.headers, json=BUS)
        told = api.get("/ready").json()["reason"]
        figure = api.metric("retrobus_database_writable")

        pair.promote()

        until(lambda: adds(api, who, "1") == 201, "writes after the promotion")
        until(lambda: api.get("/ready").json()["reason"] is None, "the word that all is well")

    said = capfd.readouterr().err
    assert (reading, writing.status_code, writing.json()["code"]) == (200, 503, "database_read_only")
    assert told == "réplique, lectures seulement"
    assert figure == 0
    assert said.count("PostgreSQL refuse les écritures") == 1
    assert said.count("PostgreSQL accepte de nouveau les écritures") == 1


def test_the_former_leader_is_left_even_while_it_still_takes_writes(pair: Pair) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port)) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.promote()  # nobody told the former leader
        until(lambda: api.metric("retrobus_database_timeline") == 2, "the service to see the promotion")

        assert [adds(api, who, str(number)) for number in range(10, 20)] == [201] * 10
    assert pair.count("vehicle", at=pair.standby) == 11
    assert pair.count("vehicle", at=pair.leader) == 1


def test_a_former_leader_that_answers_alone_is_no_primary(pair: Pair) -> None:
    told = "serveur 1 : ancien primaire (ligne de temps 1, la 2 a été vue) ; serveur 2 : "
    with serving(pair, address(pair.leader.port, pair.standby.port), database_timeout=HUNG) as (api, who):
        pair.promote()
        until(lambda: api.metric("retrobus_database_timeline") == 2, "the service to see the promotion")

        pair.standby.freeze()

        until(lambda: (api.get("/ready").json()["reason"] or "").startswith(told), "the loss of the primary")
        refused = api.post("/api/vehicles", headers=who.headers, json=BUS)

    assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
    assert pair.count("vehicle", at=pair.leader) == 0


def test_a_replica_is_used_where_one_is_asked_for(pair: Pair) -> None:
    url = address(pair.leader.port, pair.standby.port, options="?target_session_attrs=prefer-standby")

    with serving(pair, url) as (api, who):
        refused = api.post("/api/vehicles", headers=who.headers, json=BUS)

    assert refused.json()["code"] == "database_read_only"


def test_no_server_that_suits_is_told_with_what_each_has_against_it(pair: Pair) -> None:
    with served(settings_for(address(free_port(), pair.standby.port)), pair.url()) as api:
        ready = api.get("/ready")

    assert ready.status_code == 503
    assert ready.json()["reason"] == (
        "serveur 1 : aucun serveur n'écoute à cette adresse (ConnectionRefusedError)"
        " ; serveur 2 : réplique, lectures seulement"
    )


def test_a_failover_that_lost_acknowledged_writes_is_told(pair: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port), log_level="info") as (api, who):
        assert [adds(api, who, parc) for parc in ("1", "2", "3")] == [201] * 3
        pair.wait_until_copied()
        pair.stop_copying()
        assert adds(api, who, "4") == 201
        assert api.patch("/api/vehicles/2", headers=who.headers, json={"modele": "PCM"}).status_code == 200
        assert api.delete("/api/vehicles/3", headers=who.headers).status_code == 200

        pair.leader.kill()
        pair.promote()

        until(lambda: adds(api, who, "5") == 201, "writes on the new primary")
        told, figure = api.get("/ready").json()["failover"], api.metric("retrobus_failover_lost_writes")

    line = next(line for line in capfd.readouterr().err.splitlines() if "La bascule a perdu" in line)
    assert told == {"timeline": 2, "lost": 3, "checked": 4}
    assert figure == 3
    assert all(f"Vehicle {parc}" in line for parc in ("2", "3", "4"))


def test_a_journal_waits_for_the_primary_that_was_promoted_and_goes_into_no_former_one(
    pair: Pair, tmp_path: Path
) -> None:
    url, folder = address(pair.leader.port, pair.standby.port), tmp_path / "backups"
    toggles: dict[str, Any] = {"enable_memory_fallback": True, "enable_runtime_state_save": True, "backups_dir": folder}
    toggles["database_timeout"] = HUNG
    with serving(pair, url, **toggles) as (api, who):
        pair.promote()
        until(lambda: api.metric("retrobus_database_timeline") == 2, "the service to see the promotion")
        until(lambda: api.get("/public/vehicles").headers["X-Data-Source"] == "postgres", "the mirror")
        pair.standby.freeze()
        until(lambda: adds(api, who, "1") == 202, "memory to take over")
        until(lambda: "ancien primaire" in waiting(api), "the reason why the journal waits")

    with served(settings_for(url, **toggles), pair.url()) as api:
        until(lambda: "ancien primaire" in waiting(api), "the same reason after a restart")
        assert adds(api, who, "2") == 202

        pair.standby.thaw()

        until(lambda: api.get("/ready").json()["journal"]["entries"] == 0, "the replay")
        assert waiting(api) == ""
    assert pair.count("vehicle", at=pair.standby) == 2
    assert pair.count("vehicle", at=pair.leader) == 0


def waiting(api: Api) -> str:
    """Why the journal waits."""
    return api.get("/ready").json()["journal"]["waiting"] or ""


def test_the_operator_is_told_what_asynchronous_replicas_may_lose(
    pair: Pair, terminal: Callable[..., tuple[int, str, str]]
) -> None:
    _, said, _ = terminal("doctor", url=address(pair.standby.port, pair.leader.port))
    _, of_one, _ = terminal("doctor", url=address(pair.standby.port))
    pair.set("synchronous_standby_names", "*")
    _, synchronous, _ = terminal("doctor", url=pair.url())

    assert "⚠️  Répliques : 1 réplique asynchrone : une bascule peut perdre les dernières écritures acquittées" in said
    assert "❌ Répliques : ce serveur est une réplique : aucune écriture" in of_one
    assert "✅ Répliques : *" in synchronous


def test_a_command_does_not_wait_for_a_frozen_server(
    pair: Pair, terminal: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TIMEOUT", LONGEST)
    pair.wait_until_copied()
    pair.leader.freeze()
    pair.promote()
    began = time.monotonic()

    code, _, complaints = terminal("db", "upgrade", url=address(pair.leader.port, pair.standby.port))

    assert (code, complaints) == (0, "")
    assert time.monotonic() - began < LONGEST, "the frozen server was waited for"
