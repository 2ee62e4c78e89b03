"""Several servers in DATABASE_URL: the living one answers, the right one takes writes, whatever their order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faults.replicated import DATABASE, Pair, replicated
from harness import Api, Person, free_port, served, settings_for, until

pytestmark = pytest.mark.faults

SOON = 5.0
"""Seconds within which a server is found that answers at once."""

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
def test_a_frozen_server_that_is_named_first_does_not_hide_its_successor(pair: Pair, options: str) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port, options=options)) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.leader.freeze()
        pair.promote()

        until(lambda: adds(api, who, "2") == 201, SOON, "the successor, while the former leader is frozen")


def test_a_frozen_server_that_is_named_first_does_not_delay_the_start(pair: Pair) -> None:
    pair.wait_until_copied()
    pair.leader.freeze()
    pair.promote()

    with served(settings_for(address(pair.leader.port, pair.standby.port)), pair.standby.url(DATABASE)) as api:
        until(lambda: api.get("/ready").status_code == 200, SOON, "the living server")


def test_a_switchover_is_followed_and_told(pair: Pair) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port)) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.leader.stop()
        pair.promote()

        until(lambda: adds(api, who, "2") == 201, SOON, "writes on the new primary")


def test_a_single_standby_answers_reads_and_says_that_it_takes_no_writes(
    pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(pair, address(pair.standby.port), log_level="info") as (api, who):
        reading = api.get("/api/vehicles", headers=who.headers).status_code
        writing = api.post("/api/vehicles", headers=who.headers, json=BUS)
        told = api.get("/ready").json()["reason"]
        figure = metric(api, "retrobus_database_writable")

        pair.promote()

        until(lambda: adds(api, who, "1") == 201, SOON, "writes after the promotion")
        until(lambda: api.get("/ready").json()["reason"] is None, SOON, "the word that all is well")

    said = capfd.readouterr().err
    assert (reading, writing.status_code, writing.json()["code"]) == (200, 503, "database_read_only")
    assert told == "réplique, lectures seulement"
    assert figure == "0.0"
    assert said.count("PostgreSQL refuse les écritures") == 1
    assert said.count("PostgreSQL accepte de nouveau les écritures") == 1


def metric(api: Api, name: str) -> str | None:
    """The present value of one figure."""
    lines = api.get("/metrics").text.splitlines()
    return next((line.split()[-1] for line in lines if line.startswith(f"{name} ")), None)


def test_the_former_leader_is_left_even_while_it_still_takes_writes(pair: Pair) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port)) as (api, who):
        assert adds(api, who, "1") == 201
        pair.wait_until_copied()

        pair.promote()  # nobody told the former leader
        until(lambda: metric(api, "retrobus_database_timeline") == "2.0", SOON, "the service to see the promotion")

        assert [adds(api, who, str(number)) for number in range(10, 20)] == [201] * 10
    assert pair.count("vehicle", at=pair.standby) == 11
    assert pair.count("vehicle", at=pair.leader) == 1


def test_a_former_leader_that_answers_alone_is_no_primary(pair: Pair) -> None:
    with serving(pair, address(pair.leader.port, pair.standby.port)) as (api, who):
        pair.promote()
        until(lambda: metric(api, "retrobus_database_timeline") == "2.0", SOON, "the service to see the promotion")

        pair.standby.freeze()

        until(lambda: api.get("/ready").status_code == 503, 10, "the loss of the primary")
        refused = api.post("/api/vehicles", headers=who.headers, json=BUS)
        told = api.get("/ready").json()["reason"]

    assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
    assert told.startswith("serveur 1 : ancien primaire (ligne de temps 1, la 2 a été vue) ; serveur 2 : ")
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
