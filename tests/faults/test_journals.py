"""A journal that may not be replayed by itself: nothing of it is applied, nothing of it is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders import a_vehicle
from faults.backup_folder import NAME, as_member, put_backup
from faults.outage import Outage, a_person, outage
from faults.proxy import Proxy
from harness import Person, until
from operations import PASSWORD, caller_password_hash
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

INSERT = ("Vehicle", "921", "insert")
SAVE = {"enable_runtime_state_save": True}


@pytest.fixture
def url(postgres: EmbeddedPostgres, own_database: str) -> str:
    return postgres.url(own_database)


@pytest.fixture
def who(url: str) -> Person:
    return a_person(url)


def parcs(outage: Outage) -> list[str]:
    """The vehicles that Postgres has."""
    return [row[0] for row in outage.api.sql("SELECT parc FROM vehicle ORDER BY 1")]


def leave_a_journal(line: Proxy, url: str, who: Person, folder: Path, **more: Any) -> None:
    """Vehicle 920 in Postgres; in the journal that a service left, its deletion and a new 921."""
    with outage(line, url, folder, who, **SAVE, **more) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.cut()
        found.done("DELETE", "vehicles/920")
        found.done("POST", "vehicles", a_vehicle(parc="921"))


def assert_all_in_conflict(found: Outage, reason: str) -> None:
    found.heal()
    assert parcs(found) == ["920"]
    assert found.conflicts() == [("Vehicle", "920", "delete"), INSERT]
    assert {row[0] for row in found.api.sql("SELECT reason FROM conflict")} == {reason}
    until(lambda: found.ready()["conflicts"] == 2, "/ready to tell of the conflicts")


def test_a_journal_of_another_database_is_not_replayed(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.cut()
    fallback.done("DELETE", "vehicles/920")
    fallback.done("POST", "vehicles", a_vehicle(parc="921"))
    fallback.api.sql("UPDATE database_identity SET id = gen_random_uuid()")

    assert_all_in_conflict(fallback, "journal d'une autre base")


def test_a_journal_is_not_replayed_into_a_dump_of_its_own_database(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.cut()
    fallback.done("DELETE", "vehicles/920")
    fallback.done("POST", "vehicles", a_vehicle(parc="921"))
    fallback.api.sql(
        "SET session_replication_role = replica",  # pg_restore too writes the row before triggers are there
        "UPDATE database_identity SET created_at = created_at",
    )

    assert_all_in_conflict(fallback, "base restaurée ou copiée depuis")


def test_a_journal_that_is_too_old_at_the_start_is_not_replayed(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    leave_a_journal(line, url, who, tmp_path)

    with outage(line, url, tmp_path, who, **SAVE, journal_max_age=1e-9) as found:
        assert_all_in_conflict(found, "journal trop ancien")

    assert not (tmp_path / "journal.jsonl").exists()


def test_a_journal_with_a_damaged_line_is_not_replayed_and_the_file_is_kept(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    leave_a_journal(line, url, who, tmp_path)
    journal = tmp_path / "journal.jsonl"
    header, *entries = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([header.replace(b"postgres", b"POSTGRES"), *entries]))

    with outage(line, url, tmp_path, who, **SAVE) as found:
        assert_all_in_conflict(found, "journal endommagé")

    assert not journal.exists()
    assert len(list(tmp_path.glob("journal.jsonl.corrupt-*"))) == 1


def test_a_journal_without_a_readable_entry_is_set_aside_at_the_start(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"0" * 100 + b"\n")

    with outage(line, url, tmp_path, who, **SAVE) as found:
        found.cut()
        found.done("POST", "vehicles", a_vehicle(parc="921"))
        found.heal()

        assert (parcs(found), found.conflicts()) == (["921"], [])
    assert len(list(tmp_path.glob("journal.jsonl.corrupt-*"))) == 1


def test_a_line_that_was_never_finished_is_no_entry_and_hurts_no_other(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    leave_a_journal(line, url, who, tmp_path)
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1].replace(b'"921"', b'"999"')[:-20])

    with outage(line, url, tmp_path, who, **SAVE) as found:
        found.done("POST", "vehicles", a_vehicle(parc="922"))
        lines = journal.read_bytes().splitlines(keepends=True)
        found.heal()

        assert (parcs(found), found.conflicts()) == (["921", "922"], [])
    assert (b"".join(lines[:3]), len(lines)) == (whole, 4)


def test_a_member_whom_a_backup_shows_as_active_works_with_it_and_nobody_logs_in(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    put_backup(tmp_path, Vehicle=[{"parc": "920"}], Event=[], members=[
        as_member(who.id, role="ADMIN", status="active", password_hash=caller_password_hash()),
        as_member("parti", status="disabled"),
    ])  # fmt: skip
    line.become("refuse")
    with outage(line, url, tmp_path, who, load_backup_at_boot=True) as found:
        listed = found.send("GET", "vehicles")
        login = found.api.post("/api/auth/login", json={"email": f"{who.id}@example.org", "password": PASSWORD})

    assert [row["parc"] for row in listed.json()["vehicles"]] == ["920"]
    told = {name: listed.headers[f"X-Data-{name}"] for name in ("Source", "Origin", "As-Of")}
    assert told == {"Source": "memory", "Origin": f"backup:{NAME}", "As-Of": "2025-12-01T14:00:00.000Z"}
    assert (login.status_code, login.json()["code"]) == (503, "memory_unavailable")


@pytest.mark.parametrize("when", ["at once", "after a restart"])
def test_what_was_written_over_a_backup_is_not_replayed(
    line: Proxy, url: str, who: Person, tmp_path: Path, when: str
) -> None:
    put_backup(tmp_path, Vehicle=[{"parc": "920"}], Event=[], members=[as_member(who.id, role="ADMIN")])
    toggles = {**SAVE, "load_backup_at_boot": True}
    line.become("refuse")
    with outage(line, url, tmp_path, who, **toggles) as found:
        found.api.sql("INSERT INTO vehicle (parc) VALUES ('920')")
        found.done("DELETE", "vehicles/920")
        found.done("POST", "vehicles", a_vehicle(parc="921"))
        if when == "at once":
            assert_all_in_conflict(found, f"journal sans base connue (origine backup:{NAME})")
            return
    with outage(line, url, tmp_path, who, **toggles) as found:
        listed = found.send("GET", "vehicles")
        assert listed.headers["X-Data-Origin"] == f"backup:{NAME}"
        assert [row["parc"] for row in listed.json()["vehicles"]] == ["921"]
        assert_all_in_conflict(found, f"journal sans base connue (origine backup:{NAME})")


def test_a_journal_without_its_snapshot_is_replayed_but_is_no_collection_to_show(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    leave_a_journal(line, url, who, tmp_path)
    (tmp_path / "runtime-state.json").unlink()

    with outage(line, url, tmp_path, who, **SAVE) as found:
        public = found.api.get("/public/vehicles")
        found.heal()

        assert (public.status_code, public.json()["code"]) == (503, "memory_unavailable")
        assert (parcs(found), found.conflicts()) == (["921"], [])


def test_a_damaged_snapshot_is_set_aside_and_not_taken_for_an_empty_collection(
    line: Proxy, url: str, who: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with outage(line, url, tmp_path, who, **SAVE):
        line.become("refuse")
    snapshot = tmp_path / "runtime-state.json"
    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[: len(whole) // 2])

    with outage(line, url, tmp_path, who, **SAVE) as found:
        answer = found.send("GET", "vehicles")

    [aside] = tmp_path.glob("runtime-state.json.corrupt-*")
    assert (answer.status_code, answer.json()["code"]) == (503, "memory_unavailable")
    assert (aside.read_bytes(), snapshot.exists()) == (whole[: len(whole) // 2], False)
    assert "🧯 Fichier endommagé mis de côté" in capsys.readouterr().err


def test_a_snapshot_says_whose_picture_it_is(line: Proxy, url: str, who: Person, tmp_path: Path) -> None:
    with outage(line, url, tmp_path, who, **SAVE) as found:
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.cut()
    said = json.loads((tmp_path / "runtime-state.json").read_text())

    with outage(line, url, tmp_path, who, **SAVE) as found:
        answer = found.send("GET", "vehicles")

    [[identity]] = found.api.sql("SELECT id::text FROM database_identity")
    assert (said["origin"], said["identity"]) == ("postgres", identity)
    assert answer.headers["X-Data-Origin"] == "snapshot"
    assert answer.headers["X-Data-As-Of"] == said["asOf"]
    assert (tmp_path / "runtime-state.json").stat().st_mode & 0o777 == 0o600
