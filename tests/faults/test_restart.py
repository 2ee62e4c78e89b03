"""The service ends and starts again while Postgres is away: what it acknowledged is still there, once."""

from pathlib import Path

import httpx
import pytest

from builders import a_vehicle, an_event
from faults.outage import a_person, outage, outage_of_a_process
from faults.proxy import Proxy
from faults.replay_hold import LAST_PASS_WAITS
from harness import Person, until
from locks import held
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

KEY = {"Idempotency-Key": "une-demande"}


@pytest.fixture
def url(postgres: EmbeddedPostgres, own_database: str) -> str:
    return postgres.url(own_database)


@pytest.fixture
def who(url: str) -> Person:
    return a_person(url)


def test_what_memory_took_is_there_after_a_restart_with_the_journal_on_disk(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as before:
        before.done("POST", "vehicles", a_vehicle(parc="920"))
        before.done("POST", "events", an_event(id="sortie", vehicleId="920"))
        before.cut()
        changed = before.done("PATCH", "vehicles/920", {"etat": "en panne"}, **KEY)
        made = before.done("POST", "events", an_event(), **KEY)
        shown = before.send("GET", "vehicles/920")
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as after:
        again = after.send("GET", "vehicles/920")
        repeats = [
            after.send("PATCH", "vehicles/920", {"etat": "en panne"}, **KEY),
            after.send("POST", "events", an_event(), **KEY),
        ]
        after.done("DELETE", "vehicles/920")
        released = after.send("GET", "events/sortie").json()["vehicleId"]
        after.heal()
        rows = after.api.sql("SELECT id, vehicle_id FROM event ORDER BY id = 'sortie'")

    assert (again.json(), again.headers["ETag"]) == (shown.json(), shown.headers["ETag"])
    assert again.headers["X-Data-Origin"] == "snapshot"
    assert [one.status_code for one in repeats] == [202, 202]
    assert [said(one) for one in repeats] == [said(changed), said(made)]
    assert released is None
    assert [tuple(row) for row in rows] == [(made.json()["id"], None), ("sortie", None)]


def said(answer: httpx.Response) -> tuple[object, ...]:
    return answer.json(), answer.headers["ETag"], answer.headers["X-Durability"]


def test_a_deleted_vehicle_leaves_its_events_after_a_restart_too(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as before:
        before.done("POST", "vehicles", a_vehicle(parc="920"))
        before.done("POST", "events", an_event(id="sortie", vehicleId="920"))
        before.cut()
    snapshot = (tmp_path / "runtime-state.json").read_bytes()
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as killed:
        killed.done("DELETE", "vehicles/920")
    (tmp_path / "runtime-state.json").write_bytes(snapshot)  # as if it had been killed before the next one
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as after:
        after.done("PATCH", "events/sortie", {"title": "Autre"})
        shown = after.send("GET", "events/sortie").json()
        after.heal()

        assert (shown["vehicleId"], shown["title"]) == (None, "Autre")
        assert after.conflicts() == []
        assert after.send("GET", "events/sortie").json()["title"] == "Autre"


def test_a_killed_service_lost_nothing_that_its_journal_had(line: Proxy, url: str, who: Person, tmp_path: Path) -> None:
    save = {"ENABLE_RUNTIME_STATE_SAVE": "true"}
    with outage_of_a_process(line, url, tmp_path, who, **save) as (before, running):
        before.done("POST", "vehicles", a_vehicle(parc="920"))
        before.cut()
        for number in range(5):
            before.done("POST", "vehicles", a_vehicle(parc=f"93{number}"))
        before.done("DELETE", "vehicles/920")
        until((before.folder / "runtime-state.json").exists, "the first snapshot")
        running.popen.kill()
    with outage_of_a_process(line, url, tmp_path, who, **save) as (after, running):
        listed = after.send("GET", "vehicles")
        after.heal()

    assert listed.headers["X-Data-Source"] == "memory"
    assert [row["parc"] for row in listed.json()["vehicles"]] == ["930", "931", "932", "933", "934"]
    assert [row[0] for row in after.api.sql("SELECT parc FROM vehicle ORDER BY 1")] == [
        "930",
        "931",
        "932",
        "933",
        "934",
    ]
    assert "🧠 Vehicle supprimé en mémoire: 920" in running.log


@pytest.mark.parametrize("part", ["before its commit", "after its first commit"])
def test_a_replay_in_which_the_service_is_killed_is_done_once(
    line: Proxy, url: str, who: Person, tmp_path: Path, part: str
) -> None:
    save = {"ENABLE_RUNTIME_STATE_SAVE": "true"}
    blocking = "LOCK TABLE event" if part == "before its commit" else "SELECT pg_advisory_xact_lock(42)"
    with outage_of_a_process(line, url, tmp_path, who, **save) as (before, running):
        before.api.sql(*LAST_PASS_WAITS)
        before.done("POST", "vehicles", a_vehicle(parc="910"))
        before.cut()
        before.done("POST", "vehicles", a_vehicle(parc="920"))
        before.done("PATCH", "vehicles/910", {"etat": "par l'API"})
        with held(url, blocking) as lock:
            line.become("pass")
            until(lock.waiting, "the replay")
            running.popen.kill()
            running.wait()
    if part == "after its first commit":
        before.api.sql("DELETE FROM vehicle WHERE parc = '920'", "UPDATE vehicle SET etat = 'par psql'")
    with outage_of_a_process(line, url, tmp_path, who, **save) as (after, running):
        until(after.is_over, "the return to Postgres")
        rows = [tuple(row) for row in after.api.sql("SELECT parc, etat FROM vehicle ORDER BY 1")]

        assert after.conflicts() == []
    expected = {
        "before its commit": [("910", "par l'API"), ("920", "disponible")],
        "after its first commit": [("910", "par psql")],
    }
    assert rows == expected[part]
    assert not (tmp_path / "backups" / "journal.jsonl").exists()


def test_without_the_journal_on_disk_a_restart_forgets_as_its_answers_said(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    with outage(line, url, tmp_path, who) as before:
        before.cut()
        taken = before.done("POST", "vehicles", a_vehicle(parc="920"))
    with outage(line, url, tmp_path, who) as after:
        listed, public = after.send("GET", "vehicles"), after.api.get("/public/vehicles")
        after.heal()
        rows = after.api.sql("SELECT parc FROM vehicle")

    assert taken.headers["X-Durability"] == "memory"
    assert [(one.status_code, one.json()["code"]) for one in (listed, public)] == [(503, "memory_unavailable")] * 2
    assert rows == []
    assert [path.name for path in tmp_path.iterdir()] == ["service.lock"]


@pytest.mark.parametrize("snapshot", ["that has the row", "from before the row"])
def test_a_repeat_after_a_restart_creates_no_second_row_whatever_memory_knows_of_the_first(
    line: Proxy, url: str, who: Person, tmp_path: Path, snapshot: str
) -> None:
    state = tmp_path / "runtime-state.json"
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True):
        pass
    older = state.read_bytes()
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as before:
        first = before.done("POST", "events", an_event(), **KEY)
        before.cut()
    if snapshot == "from before the row":
        state.write_bytes(older)
    with outage(line, url, tmp_path, who, enable_runtime_state_save=True) as after:
        repeat = after.send("POST", "events", an_event(), **KEY)
        after.heal()
        later = after.send("POST", "events", an_event(), **KEY)

        assert repeat.status_code == (409 if snapshot == "that has the row" else 202)
        assert (later.status_code, later.json()["id"]) == (201, first.json()["id"])
        assert (len(after.api.sql("SELECT FROM event")), after.conflicts()) == (1, [])
