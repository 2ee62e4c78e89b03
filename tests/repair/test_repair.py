"""Facts about `retrobus db repair`: what came in past the triggers is found by doctor, told, and mended."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from harness import SECRET, at, run_sql, served, settings_for, until
from retrobus.development.postgres_programs import find_programs
from retrobus.model.resources import ALL
from retrobus.repair import parts

Terminal = Callable[..., tuple[int, str, str]]
Levels = Callable[[str], dict[str, str]]
LINES = ("Identité de la base", "Déclencheurs", "Séquences", "Lignes", "Suppressions")
FILL = (
    "INSERT INTO member (id, email, role) VALUES ('a', 'a@example.org', 'ADMIN'), ('m', 'm@example.org', 'MEMBER')",
    "INSERT INTO vehicle (parc, etat, fuel) VALUES ('920', 'disponible', 33.333333333333336), ('921', 'vendu', 0.1)",
    "INSERT INTO event (id, title, date, vehicle_id) VALUES ('fete', 'Fête', '2026-05-01T00:00:00Z', '920')",
)
OFF = "SET session_replication_role = replica"
AT_HOME = "SELECT retrobus_is_at_home()"


@pytest.fixture
def filled(database: str) -> str:
    """A database with two vehicles, an event and two members."""
    run_sql(database, *FILL)
    return database


@pytest.fixture
def levels(terminal: Terminal) -> Levels:
    """What doctor says of a database: the level of each line that is about repairs."""

    def ask(url: str) -> dict[str, str]:
        _, said, _ = terminal("doctor", "--json", url=url, APP_ENV="production", JWT_SECRET=SECRET)
        return {item["name"]: item["level"] for item in json.loads(said)["items"] if item["name"] in LINES}

    return ask


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """URL of an empty database without schema."""
    name = f"retrobus_restored_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    yield at(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def programs(name: str, *arguments: str) -> None:
    """Runs a program of Postgres, as an operator does."""
    subprocess.run([str(find_programs().folder / name), *arguments], check=True, capture_output=True)


def dumped(url: str, folder: Path, *options: str) -> str:
    """The file of a dump."""
    path = str(folder / "retrobus.dump")
    programs("pg_dump", "--format=custom", f"--file={path}", *options, url)
    return path


def mend(terminal: Terminal, url: str, *options: str) -> tuple[int, str]:
    """Runs the command for good: exit code and output."""
    code, said, _ = terminal("db", "repair", "--yes", *options, url=url)
    return code, said


def assert_sound(levels: Levels, url: str) -> None:
    """Doctor finds nothing to repair."""
    assert levels(url) == dict.fromkeys(LINES, "ok")


def test_a_sound_database_has_nothing_to_repair(terminal: Terminal, levels: Levels, filled: str) -> None:
    code, said, _ = terminal("db", "repair", url=filled)

    assert (code, said.splitlines()[-1].endswith(": rien à réparer")) == (0, True)
    assert_sound(levels, filled)


def test_a_row_that_was_written_without_triggers_no_longer_names_the_member_before(
    terminal: Terminal, filled: str
) -> None:
    run_sql(filled, "SET retrobus.actor = 'm'", "UPDATE vehicle SET etat = 'réparé'")
    run_sql(filled, OFF, "UPDATE vehicle SET etat = 'en panne' WHERE parc = '920'")

    mend(terminal, filled)

    found = run_sql(filled, "SELECT parc, updated_by FROM vehicle ORDER BY parc")
    assert [tuple(row) for row in found] == [("920", "sql"), ("921", "m")]


@pytest.mark.parametrize(
    ("off", "named"),
    [
        (("ALTER TABLE event DISABLE TRIGGER USER", "ALTER TABLE vehicle DISABLE TRIGGER USER"), "vehicle_stamp"),
        ((OFF,), None),
        (("DROP TRIGGER event_stamp ON event", "DROP TRIGGER vehicle_stamp ON vehicle"), "event_stamp"),
        (("DROP FUNCTION vehicle_stamp() CASCADE", "DROP FUNCTION event_stamp() CASCADE"), "event_stamp"),
        (("CREATE OR REPLACE FUNCTION vehicle_stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
          "ALTER TABLE event DISABLE TRIGGER event_stamp"), "event_stamp"),
    ],
)  # fmt: skip
def test_rows_written_without_triggers_are_found_and_served_as_they_are(
    off: tuple[str, ...], named: str | None, terminal: Terminal, levels: Levels, filled: str
) -> None:
    with served(settings_for(filled), filled) as api:
        manager = api.person("BUREAU").headers
        before = api.get("/api/vehicles/920", headers=manager)
        run_sql(filled, *off, "UPDATE vehicle SET etat = 'en panne' WHERE parc = '920'", "UPDATE event SET title = 'T'")

        found = levels(filled)
        code, planned, _ = terminal("db", "repair", "--dry-run", url=filled)
        stale = api.get("/api/vehicles/920", headers=manager)
        mended, _ = mend(terminal, filled)
        seen = api.get("/api/vehicles/920", headers=manager | {"If-None-Match": before.headers["ETag"]})
        changed = api.patch("/api/vehicles/921", json={"etat": "revenu"}, headers=manager)

    assert found["Lignes"] == "error"
    assert found["Déclencheurs"] == ("ok" if named is None else "error")
    assert code == mended == 0
    assert "1 véhicule (920) ; 1 événement (fete)" in planned
    assert named is None or named in planned
    assert stale.json()["etat"] == "disponible"
    assert (seen.status_code, seen.json()["etat"]) == (200, "en panne")
    assert seen.json()["version"] > before.json()["version"]
    assert (changed.json()["etat"], changed.json()["fuel"]) == ("revenu", 0.1)
    assert run_sql(filled, "SELECT wire_public FROM event")[0][0].startswith('{"id":"fete","title":"T",')
    assert_sound(levels, filled)


@pytest.mark.parametrize("name", sorted(parts.TRIGGERS))
def test_each_missing_trigger_is_found_and_made_again(
    name: str, terminal: Terminal, levels: Levels, filled: str
) -> None:
    query = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    before = run_sql(filled, query)
    run_sql(filled, f"DROP TRIGGER {name} ON {parts.TRIGGERS[name].told}")

    found = levels(filled)
    mend(terminal, filled)

    assert found["Déclencheurs"] == "error"
    assert run_sql(filled, query) == before


def test_a_data_only_dump_that_was_restored_without_triggers_is_told_from_what_was_created(
    terminal: Terminal, levels: Levels, filled: str, tmp_path: Path
) -> None:
    path = dumped(filled, tmp_path, "--data-only", "--table=vehicle", "--table=event")
    run_sql(filled, "DELETE FROM event", "DELETE FROM vehicle WHERE parc = '920'", "TRUNCATE vehicle CASCADE")

    programs("pg_restore", "--data-only", "--disable-triggers", f"--dbname={filled}", path)
    found = levels(filled)
    undecided, said = mend(terminal, filled)
    still = levels(filled)
    kept, _ = mend(terminal, filled, "--returned", "keep")

    assert found["Suppressions"] == still["Suppressions"] == "error"
    assert (undecided, kept) == (3, 0)
    assert "2 véhicules (920, 921) ; 1 événement (fete)" in said
    assert len(run_sql(filled, "SELECT FROM vehicle")) == 2
    assert_sound(levels, filled)


def test_rows_that_were_deleted_and_came_back_can_be_deleted_again(
    terminal: Terminal, levels: Levels, filled: str
) -> None:
    run_sql(filled, "CREATE TABLE old AS TABLE event", "DELETE FROM event", OFF, "INSERT INTO event TABLE old")

    code, _ = mend(terminal, filled, "--returned", "drop")

    assert code == 0
    assert run_sql(filled, "SELECT FROM event") == []
    assert_sound(levels, filled)


def test_an_erased_member_whom_a_dump_brings_back_is_erased_again_and_in_no_new_backup(
    terminal: Terminal, levels: Levels, filled: str, tmp_path: Path
) -> None:
    path = dumped(filled, tmp_path, "--data-only", "--table=member")
    terminal("member", "erase", "m", "--yes", url=filled)
    run_sql(filled, "DELETE FROM member")
    programs("pg_restore", "--data-only", "--disable-triggers", f"--dbname={filled}", path)

    found = levels(filled)
    code, said = mend(terminal, filled, "--returned", "keep")

    assert found["Suppressions"] == "error"
    assert code == 0
    assert "Membres effacés et revenus, à effacer à nouveau : m" in said
    assert [row["id"] for row in run_sql(filled, "SELECT id FROM member")] == ["a"]
    assert all("m@example.org" not in data.read_text() for data in Path("backups").glob("*/data.json"))
    assert_sound(levels, filled)


def test_a_person_who_joins_again_after_being_erased_is_no_ghost(
    terminal: Terminal, levels: Levels, filled: str
) -> None:
    terminal("member", "erase", "m", "--yes", url=filled)
    run_sql(filled, "INSERT INTO member (id, email) VALUES ('m', 'm@example.org')")

    assert_sound(levels, filled)


def test_sequences_behind_their_tables_are_told_and_advanced(terminal: Terminal, levels: Levels, filled: str) -> None:
    run_sql(
        filled,
        "SELECT setval('row_version', 1, false), setval('vehicle_id_seq', 1, false)",
        """INSERT INTO conflict (id, journal, sequence, resource, key, operation, entry, reason)
        VALUES (7, gen_random_uuid(), 1, 'Vehicle', '920', 'update', '{}', 'x')""",
    )

    found = levels(filled)
    code, said = mend(terminal, filled)

    assert found["Séquences"] == "warning"
    assert code == 0
    assert "à avancer : row_version, vehicle_id_seq, conflict_id_seq" in said
    assert_sound(levels, filled)


def restored(source: str, target: str, folder: Path) -> None:
    """A whole dump, put into another database."""
    programs("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={target}", dumped(source, folder))


def test_a_dump_that_was_restored_elsewhere_is_not_ready_until_it_is_repaired(
    terminal: Terminal, levels: Levels, filled: str, empty: str, tmp_path: Path
) -> None:
    restored(filled, empty, tmp_path)
    found = levels(empty)
    with served(settings_for(empty), empty) as api:
        token = api.person("ADMIN").headers
        before = api.get("/ready")
        code, said = mend(terminal, empty)
        until(lambda: api.get("/ready").status_code == 200, "a ready service")
        after = api.get("/ready").json()
        seen = api.get("/api/members/me", headers=token)

    assert (before.status_code, before.json()["ready"]) == (503, False)
    assert before.json()["reason"].endswith("lancez retrobus db repair")
    assert found["Identité de la base"] == "error"
    assert (code, after["reason"]) == (0, None)
    assert "nouvelle identité, tous les membres se connectent à nouveau" in said
    assert seen.status_code == 401
    ids = [run_sql(url, "SELECT id FROM database_identity")[0][0] for url in (filled, empty)]
    assert ids[0] != ids[1]
    assert_sound(levels, empty)
    assert_sound(levels, filled)


def test_what_was_deleted_and_erased_after_the_dump_is_known_from_a_later_backup(
    terminal: Terminal, levels: Levels, filled: str, empty: str, tmp_path: Path
) -> None:
    run_sql(filled, "INSERT INTO vehicle (parc) VALUES ('rebut')")
    path = dumped(filled, tmp_path)
    terminal("member", "erase", "m", "--yes", url=filled)
    run_sql(filled, "DELETE FROM vehicle WHERE parc IN ('921', 'rebut')", "INSERT INTO vehicle (parc) VALUES ('922')")
    terminal("backup", "create", url=filled)
    programs("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={empty}", path)

    found = levels(empty)
    _, told, _ = terminal("db", "repair", "--dry-run", url=empty)
    undecided, _, refusal = terminal("db", "repair", "--yes", url=empty)
    untouched = run_sql(empty, AT_HOME)[0][0]
    code, _ = mend(terminal, empty, "--returned", "drop")

    assert found["Suppressions"] == "error"
    assert "à effacer à nouveau : m" in told
    assert "2 véhicules (921, rebut)" in told
    assert (undecided, untouched) == (1, False)
    assert "--returned keep ou --returned drop d'abord" in refusal
    assert code == 0
    assert [row["parc"] for row in run_sql(empty, "SELECT parc FROM vehicle ORDER BY 1")] == ["920"]
    assert [row["id"] for row in run_sql(empty, "SELECT id FROM member")] == ["a"]
    assert_sound(levels, empty)


def test_a_damaged_backup_is_passed_over_for_an_older_one(
    terminal: Terminal, levels: Levels, filled: str, empty: str, tmp_path: Path
) -> None:
    path = dumped(filled, tmp_path)
    run_sql(filled, "DELETE FROM vehicle WHERE parc = '921'")
    for _ in range(2):
        terminal("backup", "create", url=filled)
    [*_, newest] = sorted(Path("backups").glob("backup_*/data.json"))
    newest.write_text(newest.read_text() + " ")
    programs("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={empty}", path)

    assert levels(empty)["Suppressions"] == "error"


def test_foreign_keys_that_were_off_are_on_again_and_events_lose_a_vehicle_that_is_not_there(
    terminal: Terminal, levels: Levels, filled: str
) -> None:
    run_sql(
        filled, "ALTER TABLE event DISABLE TRIGGER ALL", "UPDATE event SET vehicle_id = 'absent', version = version + 1"
    )

    found = levels(filled)
    code, said = mend(terminal, filled)

    assert (found["Lignes"], found["Déclencheurs"], code) == ("error", "error", 0)
    assert "clés étrangères de event" in said
    assert run_sql(filled, "SELECT vehicle_id FROM event")[0][0] is None
    assert_sound(levels, filled)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        run_sql(filled, "UPDATE event SET vehicle_id = 'absent'")


def test_a_repaired_copy_that_is_dumped_and_restored_is_recognised_again(
    terminal: Terminal, filled: str, empty: str, tmp_path: Path
) -> None:
    restored(filled, empty, tmp_path)
    mend(terminal, empty)
    path = dumped(empty, tmp_path)

    programs("pg_restore", "--clean", "--no-owner", "--exit-on-error", f"--dbname={empty}", path)

    assert run_sql(empty, AT_HOME)[0][0] is False


def test_a_copy_of_the_database_on_the_same_server_is_recognised(filled: str, server: str) -> None:
    name = f"retrobus_copy_{os.urandom(5).hex()}"
    source = filled.partition("?")[0].rpartition("/")[2]
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {source}")
    try:
        assert run_sql(at(server, name), AT_HOME)[0][0] is False
        run_sql(at(server, name), "UPDATE database_identity SET id = gen_random_uuid()")
        assert run_sql(at(server, name), AT_HOME)[0][0] is False
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    "act",
    [
        ("db", "reset", "--yes"),
        ("db", "clean", "--table", "event", "--yes"),
        ("restore", "{backup}", "--replace", "--apply", "--yes"),
        ("db", "repair", "--restored", "--yes"),
        ("db", "upgrade"),
    ],
)
def test_commands_that_renew_the_identity_leave_the_database_at_home(
    act: tuple[str, ...], terminal: Terminal, levels: Levels, filled: str
) -> None:
    terminal("backup", "create", url=filled)
    [backup] = [path.name for path in Path("backups").glob("backup_*")]

    code, said, errors = terminal(*(word.format(backup=backup) for word in act), url=filled)

    assert code == 0, said + errors
    assert_sound(levels, filled)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE database_identity SET id = gen_random_uuid()",
        "VACUUM FULL database_identity",
        "VACUUM FREEZE database_identity",
        "CLUSTER database_identity USING database_identity_pkey",
        "REINDEX TABLE database_identity",
    ],
)
def test_maintenance_of_a_database_leaves_it_at_home(statement: str, filled: str) -> None:
    run_sql(filled, statement)

    assert run_sql(filled, AT_HOME)[0][0] is True


@pytest.mark.parametrize(("major", "at_home"), [("server_major - 1", True), ("server_major", False)])
def test_a_database_stays_at_home_after_pg_upgrade(major: str, at_home: bool, filled: str) -> None:  # noqa: FBT001 - a parameter of the test
    run_sql(
        filled,
        OFF,  # pg_upgrade keeps row and database, and makes a server with another identifier and version
        f"UPDATE database_identity SET system_identifier = 1, server_major = {major}, "
        "written_by = pg_current_xact_id()::xid::text::bigint",
    )

    assert run_sql(filled, AT_HOME)[0][0] is at_home


def test_nothing_is_repaired_before_the_name_of_the_base_was_typed(terminal: Terminal, filled: str) -> None:
    run_sql(filled, OFF, "UPDATE event SET title = 'T'")

    code, _, errors = terminal("db", "repair", url=filled, given="non\n")

    assert (code, "rien n'a été changé" in errors) == (1, True)
    assert '"title":"Fête"' in run_sql(filled, "SELECT wire_public FROM event")[0][0]


def test_a_repair_says_in_json_what_it_found_and_what_is_left(terminal: Terminal, filled: str) -> None:
    run_sql(filled, OFF, "UPDATE event SET title = 'T'")

    code, said, _ = terminal("db", "repair", "--yes", "--json", url=filled)

    told = json.loads(said)
    assert (code, told["done"], told["found"]["stale"], told["left"]["stale"]) == (0, True, {"Event": ["fete"]}, {})
    assert (Path("backups") / told["safety"] / "data.json").is_file()


def test_a_schema_that_is_behind_is_upgraded_first(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "UPDATE alembic_version SET version_num = '0001'")

    code, _, errors = terminal("db", "repair", "--yes", url=filled)

    assert (code, errors.strip().endswith("retrobus db upgrade")) == (1, True)


def test_every_function_and_trigger_of_the_tables_is_watched(database: str) -> None:
    functions = run_sql(database, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    triggers = run_sql(database, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
    apart = {"retrobus_name_key", "retrobus_parc_key", "retrobus_fingerprints", "retrobus_is_erased"}

    assert {row[0] for row in functions} - apart == set(parts.FUNCTIONS)
    assert {row[0] for row in triggers} == set(parts.TRIGGERS)
    assert len(ALL) == 3
