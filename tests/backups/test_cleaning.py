"""Facts about `retrobus db reset`, `clean` and `show`: said first, all or nothing, and a restore brings it back."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from builders import an_event
from harness import LONGEST, Api, Person, run_sql, served, settings_for
from retrobus.backups import catalog
from retrobus.backups.restore import MAINTENANCE, lock_tables
from retrobus.store import opening

Terminal = Callable[..., tuple[int, str, str]]
FILL = (
    "INSERT INTO vehicle (parc) VALUES ('920'), ('921')",
    "INSERT INTO event (id, title, date, vehicle_id) VALUES ('e1', 'x', '2026-05-01', '920')",
    "INSERT INTO member (id, email, password_hash) VALUES ('m1', 'm1@example.org', 'secret-hash')",
)
COUNTS = "SELECT (SELECT count(*) FROM vehicle), (SELECT count(*) FROM event), (SELECT count(*) FROM member)"
IDENTITY = "SELECT id::text FROM database_identity"
CAUSES = "SELECT resource, key, cause FROM deletion ORDER BY resource, key"


@pytest.fixture
def filled(database: str) -> str:
    """A database with two vehicles, an event and a member."""
    run_sql(database, *FILL)
    return database


@pytest.fixture
def name(filled: str) -> str:
    """Its name, which confirms."""
    found: str = run_sql(filled, "SELECT current_database()")[0][0]
    return found


def test_a_reset_empties_everything_and_gives_a_new_identity(terminal: Terminal, filled: str, name: str) -> None:
    before = run_sql(filled, IDENTITY)

    code, said, _ = terminal("db", "reset", given=f"{name}\n", url=filled)

    assert code == 0
    assert "Supprimés : 2 véhicules, 1 événement, 1 membre" in said
    assert "retrobus member create-admin" in said
    assert run_sql(filled, COUNTS) == [(0, 0, 0)]
    assert run_sql(filled, IDENTITY) != before
    assert run_sql(filled, CAUSES) == [
        ("Event", "e1", "reset"), ("Member", "m1", "reset"), ("Vehicle", "920", "reset"), ("Vehicle", "921", "reset")
    ]  # fmt: skip


def test_a_clean_of_one_table_leaves_the_others_and_says_what_they_lose(terminal: Terminal, filled: str) -> None:
    before = run_sql(filled, IDENTITY)

    _, said, _ = terminal("db", "clean", "--table", "Vehicle", "--yes", url=filled)

    assert "1 événement perd son véhicule" in said
    assert run_sql(filled, COUNTS) == [(0, 1, 1)]
    assert run_sql(filled, "SELECT vehicle_id FROM event") == [(None,)]
    assert {cause for _, _, cause in run_sql(filled, CAUSES)} == {"clean"}
    assert run_sql(filled, IDENTITY) != before


def test_what_was_cleaned_comes_back_from_its_safety_backup_which_no_boot_chooses(
    terminal: Terminal, filled: str
) -> None:
    _, said, _ = terminal("db", "clean", "--yes", "--json", url=filled)
    safety = json.loads(said)["safety"]

    code, _, _ = terminal("restore", safety, "--apply", "--yes", url=filled)

    assert code == 0
    assert run_sql(filled, COUNTS) == [(2, 1, 1)]
    assert catalog.choose(Path("backups")) is None


@pytest.mark.parametrize("command", ["reset", "clean"])
def test_a_dry_run_counts_and_changes_nothing(terminal: Terminal, filled: str, command: str) -> None:
    code, said, _ = terminal("db", command, "--dry-run", "--json", url=filled)

    assert (code, json.loads(said)["counts"]) == (0, {"Vehicle": 2, "Event": 1, "Member": 1})
    assert run_sql(filled, COUNTS) == [(2, 1, 1)]
    assert not Path("backups").exists()


@pytest.mark.parametrize("given", ["", "oui\n", "retrobus\n"])
def test_anything_but_the_name_of_the_database_changes_nothing(terminal: Terminal, filled: str, given: str) -> None:
    code, _, _ = terminal("db", "reset", given=given, url=filled)

    assert code == 1
    assert run_sql(filled, COUNTS) == [(2, 1, 1)]


def test_a_table_that_is_none_of_ours_is_one_sentence(terminal: Terminal, filled: str) -> None:
    ended = terminal("db", "clean", "--table", "alembic_version", "--yes", url=filled)

    assert ended == (1, "", "❌ table inconnue : alembic_version (vehicle, event, member)\n")


def test_a_cleaning_waits_for_no_other_maintenance(terminal: Terminal, filled: str) -> None:
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        async def run() -> None:
            connection = await asyncpg.connect(filled)
            await connection.execute(f"SELECT pg_advisory_lock(hashtextextended('{MAINTENANCE}', 0))")
            held.set()
            await asyncio.to_thread(done.wait)
            await connection.close()

        asyncio.run(run())

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(LONGEST)
    code, _, said = terminal("db", "clean", "--yes", url=filled)
    done.set()
    thread.join()

    assert (code, "est en cours" in said) == (1, True)
    assert run_sql(filled, COUNTS) == [(2, 1, 1)]


def test_a_service_writes_meanwhile_are_answered_503_and_reads_go_on(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SESSION", opening.SESSION | {"lock_timeout": "200ms"})
    with served(settings_for(database), database) as api:
        manager = api.person("BUREAU")
        found = asyncio.run(asked_beside_a_cleaning(api, manager))
        afterwards = api.post("/api/events", json=an_event(), headers=manager.headers)

    assert found == (503, "database_busy", 200)
    assert afterwards.status_code == 201


async def asked_beside_a_cleaning(api: Api, manager: Person) -> tuple[int, str, int]:
    """Status and code of a write, and the status of a read, while another transaction holds the tables."""
    connection = await asyncpg.connect(api.database_url)
    try:
        async with connection.transaction():
            await lock_tables(connection)
            write = await asyncio.to_thread(api.post, "/api/events", json=an_event(), headers=manager.headers)
            read = await asyncio.to_thread(api.get, "/api/events", headers=manager.headers)
    finally:
        await connection.close()
    return write.status_code, write.json()["code"], read.status_code


def test_the_runbooks_own_sql_works_and_counts_as_a_decision(filled: str) -> None:
    run_sql(filled, "DELETE FROM Vehicle;", "DELETE FROM Event;", "DELETE FROM member;")

    assert run_sql(filled, "SELECT COUNT(*) FROM Vehicle") == [(0,)]
    assert {cause for _, _, cause in run_sql(filled, CAUSES)} == {"sql"}


def test_show_tells_count_last_changes_and_last_deletions(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DELETE FROM vehicle WHERE parc = '921'")

    _, said, _ = terminal("db", "show", "Vehicle", url=filled)
    _, document, _ = terminal("db", "show", "vehicle", "--json", url=filled)

    found = json.loads(document)
    assert said.startswith("vehicle : 1 ligne\n")
    assert (found["count"], [row["key"] for row in found["changes"]]) == (1, ["920"])
    assert [(row["key"], row["cause"]) for row in found["deletions"]] == [("921", "sql")]


def test_show_names_the_members_who_changed_and_deleted_and_keeps_the_id_of_one_who_is_gone(
    terminal: Terminal, filled: str
) -> None:
    run_sql(
        filled,
        "UPDATE member SET first_name = 'Léa', last_name = 'Exemple' WHERE id = 'm1'",
        "SET retrobus.actor = 'm1'",
        "UPDATE vehicle SET etat = 'atelier' WHERE parc = '920'",
        "DELETE FROM event WHERE id = 'e1'",
        "SET retrobus.actor = 'partie'",
        "DELETE FROM vehicle WHERE parc = '921'",
    )

    _, table, _ = terminal("db", "show", "vehicle", url=filled)
    _, row, _ = terminal("db", "show", "vehicle", "920", url=filled)
    _, gone, _ = terminal("db", "show", "event", "e1", url=filled)
    _, document, _ = terminal("db", "show", "vehicle", "920", "--json", url=filled)

    lines = [line.split() for line in table.splitlines()]
    assert ["Quand", "Version", "Clé", "Par"] in lines
    assert ["Quand", "Version", "Clé", "Cause", "Par"] in lines
    assert [line[-3:] for line in lines if "920" in line] == [["920", "Léa", "Exemple"]]
    assert [line[-3:] for line in lines if "921" in line] == [["921", "sql", "partie"]]
    assert ["updated_by", "Léa", "Exemple"] in [line.split() for line in row.splitlines()]
    assert " par Léa Exemple (sql, batch:" in gone
    found = json.loads(document)
    assert (found["row"]["updated_by"], found["names"]) == ("m1", {"m1": "Léa Exemple"})


def test_show_gives_one_row_without_its_password(terminal: Terminal, filled: str) -> None:
    code, said, _ = terminal("db", "show", "member", "m1", url=filled)
    _, document, _ = terminal("db", "show", "member", "m1", "--json", url=filled)

    assert code == 0
    assert "m1@example.org" in said
    assert "secret-hash" not in said + document
    assert json.loads(document)["row"]["email"] == "m1@example.org"


@pytest.mark.parametrize("key", ["M1@EXAMPLE.org", " rb-1 ", "m1"])
def test_show_finds_a_member_by_address_matricule_or_id(terminal: Terminal, filled: str, key: str) -> None:
    run_sql(filled, "UPDATE member SET matricule = 'RB-1' WHERE id = 'm1'")

    code, document, _ = terminal("db", "show", "member", key, "--json", url=filled)

    assert (code, json.loads(document)["row"]["id"]) == (0, "m1")


def test_show_does_not_choose_between_two_members(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "INSERT INTO member (id, email, matricule) VALUES ('m7', 'm7@example.org', 'm1')")

    ended = terminal("db", "show", "member", "m1", url=filled)

    assert ended == (1, "", "❌ plusieurs membres portent ce nom : m1, m7 ; donnez ce qu'un seul porte\n")


def test_show_lists_as_many_changes_and_deletions_as_asked(terminal: Terminal, filled: str) -> None:
    run_sql(
        filled,
        "INSERT INTO event (id, title, date) SELECT 'n' || n, 'x', now() FROM generate_series(1, 30) AS n",
        "DELETE FROM event WHERE id IN (SELECT 'n' || n FROM generate_series(1, 12) AS n)",
    )

    asked = [[], ["--limit", "1"], ["--limit", "15"]]
    found = [json.loads(terminal("db", "show", "event", *more, "--json", url=filled)[1]) for more in asked]
    code, _, error = terminal("db", "show", "event", "--limit", "0", url=filled)

    assert [(len(one["changes"]), len(one["deletions"])) for one in found] == [(10, 10), (1, 1), (15, 12)]
    assert (code, "--limit : au moins 1" in error) == (2, True)


def test_show_of_a_row_that_was_deleted_says_when_and_why(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DELETE FROM event")

    code, said, error = terminal("db", "show", "event", "e1", url=filled)

    assert (code, error) == (1, "❌ aucune ligne e1\n")
    assert "(sql, batch:" in said
