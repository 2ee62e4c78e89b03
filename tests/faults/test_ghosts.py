"""The predecessor's ghosts, each by its name: none appears in the service, each is caught when its bug is planted."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from typing import Any

import pytest

from builders import a_vehicle
from faults import planted
from faults.backup_folder import as_member, put_backup
from faults.outage import Outage, a_person, outage, source
from faults.proxy import Proxy
from harness import TOKENS, Person, served, settings_for, until
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

SAVE = {"enable_runtime_state_save": True}
STARVED = 8.0
"""Seconds of changes after which none is on the disk because of the changes, and not because the disk is slow."""


class Ghost(Exception):
    """What was gone is back, what is there is not shown, or what is shown is not told to be old."""


@dataclass(frozen=True)
class House:
    """Where a service can be started again and again: its database, its folder, and who uses it."""

    line: Proxy
    url: str
    folder: Path
    who: Person

    def service(self, **toggles: Any) -> Any:
        """The service, for the time of a block."""
        return outage(self.line, self.url, self.folder, self.who, **toggles)


@pytest.fixture
def house(line: Proxy, postgres: EmbeddedPostgres, own_database: str, tmp_path: Path) -> House:
    url = postgres.url(own_database)
    return House(line, url, tmp_path / "backups", a_person(url))


def parcs(found: Outage) -> list[str]:
    """The vehicles that the service shows."""
    return [row["parc"] for row in found.send("GET", "vehicles").json()["vehicles"]]


def a_delete_acknowledged_in_memory_only(house: House) -> None:
    with house.service(**SAVE) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.cut()
        found.done("DELETE", "vehicles/920")
        found.heal()
        if found.send("GET", "vehicles/920").status_code != 404 or parcs(found):
            raise Ghost("the deleted vehicle is back")
    with house.service(**SAVE) as again:
        if parcs(again) or again.api.sql("SELECT FROM vehicle"):
            raise Ghost("the deleted vehicle is back after a restart")


def an_update_acknowledged_in_memory_only(house: House) -> None:
    with house.service(**SAVE) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.cut()
        found.done("PATCH", "vehicles/920", {"etat": "en panne"})
        found.heal()
        if found.send("GET", "vehicles/920").json()["etat"] != "en panne":
            raise Ghost("the old state is back")


def an_error_taken_for_an_empty_collection(house: House) -> None:
    with house.service() as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
    house.line.become("refuse")
    with house.service() as found:
        answer = found.send("GET", "vehicles")
        if answer.status_code != 503:
            raise Ghost(f"nobody knows what there is, and the answer is {answer.text}")


def a_snapshot_preferred_to_postgres_at_boot(house: House) -> None:
    with house.service(**SAVE) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
    found.api.sql("DELETE FROM vehicle")
    with house.service(**SAVE) as again:
        answer = again.send("GET", "vehicles")
        if source(answer) != "postgres" or answer.json()["vehicles"]:
            raise Ghost("the snapshot speaks though Postgres answers")
        if again.api.sql("SELECT FROM vehicle"):
            raise Ghost("the snapshot was written into Postgres")


def the_newest_backup_merged_whatever_its_age(house: House) -> None:
    put_backup(house.folder, Vehicle=[{"parc": "910"}], Event=[], members=[as_member(house.who.id)])
    with house.service(load_backup_at_boot=True) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        shown = [parcs(found)]
        found.cut()
        shown.append(parcs(found))
        found.heal()
        shown.append(parcs(found))
        if shown != [["920"]] * 3 or len(found.api.sql("SELECT FROM vehicle")) != 1:
            raise Ghost(f"a vehicle of the old backup is among {shown}")


def a_half_written_file(house: House) -> None:
    with house.service(**SAVE, runtime_state_debounce=0.01) as found:
        state = house.folder / "runtime-state.json"
        until(state.exists, "the first snapshot")
        with a_full_disk(1 << 20):
            found.done("POST", "vehicles", a_vehicle(backgroundImage="data:image/png;base64," + "A" * (2 << 20)))
            until(lambda: found.ready()["snapshot"]["errors"], "the disk to refuse the next snapshot")
            if not planted.whole(state):
                raise Ghost("half of a snapshot is on the disk")


@contextmanager
def a_full_disk(room: int) -> Iterator[None]:
    """While open, no file may grow beyond so many bytes."""
    usual = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (room, usual[1]))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, usual)


def a_debounce_that_starves(house: House) -> None:
    """Each change comes within three seconds of the one before, also if the machine pauses meanwhile."""
    with house.service(**SAVE, runtime_state_debounce=60.0, runtime_state_max_delay=3.0) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        end = time.monotonic() + STARVED
        for number in count():
            found.done("PATCH", "vehicles/920", {"mileage": number})
            if saved(house.folder / "runtime-state.json"):
                return
            if time.monotonic() > end:
                break
    raise Ghost(f"{number} changes in a row, and none of them is on the disk")


def saved(state: Path) -> bool:
    """Whether the vehicle is in the snapshot."""
    return state.exists() and bool(json.loads(state.read_bytes())["state"]["vehicles"])


def defaults_merged_twice(house: House) -> None:
    admin = Person("admin", TOKENS.issue({"id": "admin", "role": "ADMIN", "token_epoch": 0})[0])
    toggles = {"enable_memory_fallback": True, "app_env": "development", "backups_dir": house.folder, **SAVE}
    with served(settings_for(None, **toggles), "") as api:
        before = [row["parc"] for row in api.get("/api/vehicles", headers=admin.headers).json()["vehicles"]]
        assert api.delete(f"/api/vehicles/{before[0]}", headers=admin.headers).status_code == 202
    with served(settings_for(None, **toggles), "") as api:
        after = [row["parc"] for row in api.get("/api/vehicles", headers=admin.headers).json()["vehicles"]]
    if after != before[1:]:
        raise Ghost(f"{before[0]} was deleted, and there is {after}")


GHOSTS = {
    a_delete_acknowledged_in_memory_only: planted.forgotten("delete"),
    an_update_acknowledged_in_memory_only: planted.forgotten("update"),
    an_error_taken_for_an_empty_collection: planted.error_taken_for_empty,
    a_snapshot_preferred_to_postgres_at_boot: planted.snapshot_preferred,
    the_newest_backup_merged_whatever_its_age: planted.backup_merged,
    a_half_written_file: planted.half_written,
    a_debounce_that_starves: planted.starving,
    defaults_merged_twice: planted.defaults_merged,
}
"""Each checker, and the bug that it must be able to see."""

names = [check.__name__ for check in GHOSTS]


@pytest.mark.parametrize("check", GHOSTS, ids=names)
def test_the_service_knows_no(check: Any, house: House) -> None:
    check(house)


@pytest.mark.parametrize(("check", "plant"), GHOSTS.items(), ids=names)
def test_with_its_bug_planted_the_checker_catches(
    check: Any, plant: planted.Plant, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, house.folder)

    with pytest.raises(Ghost):
        check(house)
