"""A disk that is full, read-only or gone: nothing half written, nothing pretended, nobody answered 500."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit
from typing import Any

import pytest

from builders import a_vehicle
from faults.outage import Outage, a_person, outage, outage_of_a_process
from faults.proxy import Proxy
from harness import Person, Process, until
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

SAVE = {"ENABLE_RUNTIME_STATE_SAVE": "true", "RUNTIME_STATE_DEBOUNCE": "0.01"}
LARGEST_FILE = 1 << 20
IMAGE = "data:image/png;base64," + "A" * (2 * LARGEST_FILE)


@pytest.fixture
def url(postgres: EmbeddedPostgres, own_database: str) -> str:
    return postgres.url(own_database)


@pytest.fixture
def who(url: str) -> Person:
    return a_person(url)


def limit_files(running: Process, size: int) -> None:
    """No file of this process may grow beyond so many bytes: what a full disk says, without filling one."""
    prlimit(running.popen.pid, RLIMIT_FSIZE, (size, RLIM_INFINITY))


def snapshot(found: Outage) -> dict[str, Any]:
    """What /ready says of the snapshot."""
    said: dict[str, Any] = found.ready()["snapshot"]
    return said


def test_a_write_that_the_disk_does_not_take_is_refused_and_leaves_nothing(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    with outage_of_a_process(line, url, tmp_path, who, **SAVE) as (found, running):
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.cut()
        found.done("PATCH", "vehicles/920", {"etat": "en panne"})
        journal = found.folder / "journal.jsonl"
        before = journal.read_bytes()
        limit_files(running, LARGEST_FILE)

        refused = found.send("PATCH", "vehicles/920", {"backgroundImage": IMAGE}, **{"Idempotency-Key": "demande"})
        shown = found.send("GET", "vehicles/920").json()
        left = journal.read_bytes()
        small = found.send("PATCH", "vehicles/920", {"etat": "réparé"})
        limit_files(running, RLIM_INFINITY)
        repeated = found.send("PATCH", "vehicles/920", {"backgroundImage": IMAGE}, **{"Idempotency-Key": "demande"})
        found.heal()

        body = refused.json()
        assert (refused.status_code, body["code"], body["outcome"]) == (503, "journal_unavailable", "not_applied")
        assert refused.headers["Retry-After"]
        assert (shown["etat"], shown["backgroundImage"], left) == ("en panne", None, before)
        assert (small.status_code, repeated.status_code) == (202, 202)
        row = found.send("GET", "vehicles/920").json()
        assert (row["etat"], row["backgroundImage"] == IMAGE, found.conflicts()) == ("réparé", True, [])


def test_a_snapshot_that_the_disk_does_not_take_is_told_and_hurts_nobody(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    with outage_of_a_process(line, url, tmp_path, who, **SAVE) as (found, running):
        until((found.folder / "runtime-state.json").exists, "the first snapshot")
        limit_files(running, LARGEST_FILE)

        answer = found.send("POST", "vehicles", a_vehicle(parc="920", backgroundImage=IMAGE))
        until(lambda: snapshot(found)["errors"] > 0, "the failure in /ready")
        ready, read = found.api.get("/ready"), found.send("GET", "vehicles/920")
        left = json.loads((found.folder / "runtime-state.json").read_bytes())
        limit_files(running, RLIM_INFINITY)
        until(lambda: len((found.folder / "runtime-state.json").read_bytes()) > len(IMAGE), "the snapshot")

        assert [one.status_code for one in (answer, ready, read)] == [201, 200, 200]
        assert left["state"]["vehicles"] == []
        assert "retrobus_snapshot_errors" in found.api.get("/metrics").text
        assert running.log.count("💾 Instantané non écrit") == 1
        assert f"{found.folder}/runtime-state.json : fichier trop grand" in running.log
        until(lambda: not list(found.folder.glob(".*.tmp")), "no file to be half written")


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """While open, this file belongs to a disk that takes no writes."""
    until(file.exists, file.name)
    try:
        subprocess.run(["mount", "--bind", file, file], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", file], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", file], check=True)


def test_a_disk_that_turns_read_only_refuses_what_needs_it_and_nothing_else(saving: Outage) -> None:
    saving.done("POST", "vehicles", a_vehicle(parc="920"))
    saving.cut()
    saving.done("PATCH", "vehicles/920", {"etat": "en panne"})
    with read_only(saving.folder / "journal.jsonl"):
        refused, read = saving.send("PATCH", "vehicles/920", {"etat": "réparé"}), saving.send("GET", "vehicles/920")
    accepted = saving.send("PATCH", "vehicles/920", {"mileage": 12})
    saving.heal()
    with read_only(saving.folder / "runtime-state.json"):
        written = saving.send("PATCH", "vehicles/920", {"fuel": 50})
        until(lambda: snapshot(saving)["errors"] > 0, "the failure in /ready")

    assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied")
    assert (read.status_code, read.json()["etat"]) == (200, "en panne")
    assert [one.status_code for one in (accepted, written)] == [202, 200]
    row = saving.send("GET", "vehicles/920").json()
    assert (row["etat"], row["mileage"], row["fuel"]) == ("en panne", 12, 50)


def test_what_a_killed_writer_left_half_written_is_swept(line: Proxy, url: str, who: Person, tmp_path: Path) -> None:
    leftover = tmp_path / ".runtime-state.json.0123456789ab.tmp"
    leftover.write_bytes(b"{")

    with outage(line, url, tmp_path, who, enable_runtime_state_save=True):
        assert not leftover.exists()


def test_a_mirror_that_never_held_anything_overwrites_no_snapshot(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    """The schema is missing: Postgres answers, and there is nothing to fill the mirror with."""
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
    before = (tmp_path / "runtime-state.json").read_bytes()

    found.api.sql("ALTER TABLE vehicle RENAME TO hidden")
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as without:
        answer = without.send("GET", "vehicles")
    found.api.sql("ALTER TABLE hidden RENAME TO vehicle")

    assert (answer.status_code, answer.json()["code"]) == (503, "schema_outdated")
    assert (tmp_path / "runtime-state.json").read_bytes() == before
