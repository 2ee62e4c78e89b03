"""Facts about `retrobus doctor`: each thing that can be wrong has its line, its level and its cure."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import SECRET, at, run_sql
from retrobus.backups import catalog
from retrobus.checklist.server import _skew
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal

Terminal = Callable[..., tuple[int, str, str]]
Doctor = Callable[..., tuple[int, dict[str, tuple[str, str]]]]
ADMIN = "INSERT INTO member (id, email, role) VALUES ('a', 'a@example.org', 'ADMIN')"
ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, None, "m1")


@pytest.fixture
def doctor(terminal: Terminal, database: str) -> Doctor:
    """Runs it on a sound installation, but for what a test changes: exit code, and (level, text) by name."""

    def run(**environment: object) -> tuple[int, dict[str, tuple[str, str]]]:
        sound = {"APP_ENV": "production", "JWT_SECRET": SECRET, "DATABASE_URL": database}
        code, said, _ = terminal("doctor", "--json", **(sound | environment))
        found = json.loads(said)
        assert found["ok"] is (code == 0)
        return code, {item["name"]: (item["level"], f"{item['found']} → {item['cure']}") for item in found["items"]}

    return run


@pytest.fixture
def folder() -> Path:
    """The folder of backups."""
    folder = Path("backups")
    folder.mkdir(mode=0o700)
    return folder


def errors(items: dict[str, tuple[str, str]]) -> list[str]:
    """The errors, but for what is true of the server of the tests: it may run without fsync to be quick."""
    return [name for name, (level, _) in items.items() if level == "error" and name != "Durabilité"]


def test_a_sound_installation_passes(doctor: Doctor, terminal: Terminal, database: str) -> None:
    run_sql(database, ADMIN)
    terminal("backup", "create", url=database)

    _, items = doctor()

    assert errors(items) == []
    assert items["Vérification du dernier backup"] == ("ok", "sommes vérifiées → ")
    assert items["Migrations"][0] == items["Administrateur actif"][0] == items["Horloge du serveur"][0] == "ok"


def test_the_operator_reads_one_line_for_each_check_with_its_cure(terminal: Terminal, database: str) -> None:
    code, said, _ = terminal("doctor", url=database, JWT_SECRET=SECRET)

    assert code == 1
    assert (
        "❌ Administrateur actif : aucun → retrobus member create-admin --email … (voir docs/operations.md#comptes)\n"
        in said
    )
    assert "✅ LOAD_BACKUP_AT_BOOT : false\n" in said
    assert "✅ BACKUP_SCHEDULE : aucun backup automatique\n" in said
    assert "⚠️  Dossier des backups : backups n'existe pas encore → retrobus backup create (voir docs/" in said


@pytest.mark.parametrize(
    ("change", "name", "level"),
    [
        ({"JWT_SECRET": ""}, "JWT_SECRET", "error"),
        ({"JWT_SECRET": "ab" * 20}, "JWT_SECRET", "warning"),
        ({"APP_ENV": "development"}, "APP_ENV", "warning"),
        ({"LOAD_BACKUP_AT_BOOT": "true"}, "LOAD_BACKUP_AT_BOOT", "warning"),
        ({"ENABLE_MEMORY_FALLBACK": "true"}, "ENABLE_MEMORY_FALLBACK", "warning"),
        ({"ENABLE_RUNTIME_STATE_SAVE": "true"}, "ENABLE_RUNTIME_STATE_SAVE", "warning"),
        ({"DATABASE_URL": ""}, "DATABASE_URL", "error"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "DATABASE_URL", "error"),
        ({"DATABASE_URL": "mysql://x/y"}, "Réglages", "error"),
        ({"CORS_ORIGIN": "https://bus.example.org"}, "CORS_ORIGIN", "warning"),
        ({"DATABASE_POOL_SIZE": "200"}, "Connexions", "error"),
    ],
)
def test_a_setting_that_is_wrong_has_its_line(
    doctor: Doctor, database: str, change: dict[str, str], name: str, level: str
) -> None:
    run_sql(database, ADMIN)

    _, items = doctor(**change)

    assert items[name][0] == level
    assert errors(items) == ([name] if level == "error" else [])


@pytest.mark.parametrize(("clock", "skew"), [(7.0, -3.0), (10.0, 0.0), (14.0, 0.0), (20.0, 0.0), (25.0, 5.0)])
def test_only_what_a_late_answer_does_not_explain_is_a_difference_of_the_clocks(clock: float, skew: float) -> None:
    assert _skew(10.0, clock, 20.0) == skew


def test_a_point_to_mend_names_the_page_that_explains_it(terminal: Terminal, database: str) -> None:
    run_sql(database, "SET session_replication_role = replica", "UPDATE database_identity SET created_at = created_at")

    _, said, _ = terminal("doctor", url=database, JWT_SECRET=SECRET)
    _, document, _ = terminal("doctor", "--json", url=database, JWT_SECRET=SECRET)

    [line] = [line for line in said.splitlines() if "Identité de la base" in line]
    pages = {item["name"]: item["page"] for item in json.loads(document)["items"]}
    assert line.endswith(" → retrobus db repair (voir docs/operations.md#réparer)")
    assert pages["Identité de la base"] == "docs/operations.md#réparer"
    assert pages["Encodage de la base"] is None


def test_a_database_without_schema_is_not_asked_for_more(doctor: Doctor, server: str) -> None:
    name = f"retrobus_empty_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    try:
        code, items = doctor(DATABASE_URL=at(server, name))
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")

    assert code == 1
    assert items["Migrations"][1].endswith("→ retrobus db upgrade")
    assert "Administrateur actif" not in items


def test_a_database_that_loses_accents_is_refused_and_told(doctor: Doctor, terminal: Terminal, server: str) -> None:
    name = f"retrobus_ascii_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    url = at(server, name)
    try:
        code, _, said = terminal("db", "upgrade", url=url)
        _, items = doctor(DATABASE_URL=url)
        revision = run_sql(url, "SELECT to_regclass('alembic_version')::text")
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")

    assert code == 1
    assert said.startswith("❌ Migration impossible : la base est en SQL_ASCII")
    assert revision == [(None,)]
    assert items["Encodage de la base"][0] == "error"


def leave_selection(folder: Path) -> None:
    (folder / "backup_x").mkdir()
    catalog.select(folder, "backup_x", "essai")


def break_selection(folder: Path) -> None:
    (folder / "restore-info.json").write_text("{")


def leave_snapshot(folder: Path) -> None:
    (folder / "runtime-state.json").write_text("{}")


def leave_journal(folder: Path) -> None:
    Journal(folder / "journal.jsonl").append(ENTRY)


def break_journal(folder: Path) -> None:
    (folder / "journal.jsonl").write_text("x\n")


def open_folder(folder: Path) -> None:
    folder.chmod(0o755)


def damage_backup(folder: Path) -> None:
    (folder / "backup_2026-01-01T00-00-00").mkdir()
    (folder / "backup_2026-01-01T00-00-00" / "data.json").write_text("{")


def set_aside(folder: Path) -> None:
    (folder / "journal.jsonl.corrupt-20260101T000000Z").write_text("x")


@pytest.mark.parametrize(
    ("spoil", "name", "level"),
    [
        (leave_selection, "Sélection (restore-info.json)", "warning"),
        (break_selection, "Sélection (restore-info.json)", "error"),
        (leave_snapshot, "Instantané (runtime-state.json)", "warning"),
        (leave_journal, "Journal (journal.jsonl)", "error"),
        (break_journal, "Journal (journal.jsonl)", "error"),
        (open_folder, "Dossier des backups", "error"),
        (damage_backup, "Vérification du dernier backup", "error"),
        (set_aside, "Fichiers endommagés mis de côté", "warning"),
    ],
)
def test_what_is_left_in_the_folder_has_its_line(
    doctor: Doctor, folder: Path, spoil: Callable[[Path], Any], name: str, level: str
) -> None:
    spoil(folder)

    _, items = doctor()

    assert items[name][0] == level
    assert not items[name][1].endswith("→ ")


def test_a_server_that_may_lose_what_it_committed_is_an_error(doctor: Doctor, database: str) -> None:
    fsync = run_sql(database, "SHOW fsync")[0][0]
    run_sql(
        database,
        "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END$$",
    )

    _, items = doctor()

    assert items["Durabilité"][0] == "error"
    assert items["Durabilité"][1].startswith(f"fsync={fsync}, full_page_writes=on, synchronous_commit=off")


def test_an_old_backup_and_open_conflicts_are_told(doctor: Doctor, folder: Path, database: str) -> None:
    (folder / "backup_2020-01-01T00-00-00").mkdir()
    (folder / "backup_2020-01-01T00-00-00" / "data.json").write_text('{"Vehicle": []}')
    (folder / "backup_2020-01-01T00-00-00" / "manifest.json").write_text('{"timestamp": "2020-01-01T00:00:00.000Z"}')
    run_sql(
        database,
        "INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason)"
        " VALUES (gen_random_uuid(), 1, 'Vehicle', '920', 'update', '{}', 'x')",
    )

    _, items = doctor()

    assert items["Dernier backup"][0] == "warning"
    assert items["Conflits à trancher"] == ("warning", "1 → retrobus resync --list")


@pytest.fixture
def service_role(server: str, database: str, terminal: Terminal) -> Iterator[tuple[str, str]]:
    """Name and URL of a role with the rights that `retrobus db grant` gives."""
    role = f"service_{os.urandom(5).hex()}"
    run_sql(database, f"CREATE ROLE {role} LOGIN PASSWORD 'x'", ADMIN)
    assert terminal("db", "grant", "--role", role, url=database)[0] == 0
    rest = database.partition("://")[2].partition("@")
    yield role, f"postgresql://{role}:x@{rest[2] or rest[0]}"
    run_sql(database, f"DROP OWNED BY {role}")
    run_sql(server, f"DROP ROLE {role}")


def test_the_role_of_the_service_may_not_forget_deletions(doctor: Doctor, service_role: tuple[str, str]) -> None:
    _, as_service = doctor(DATABASE_URL=service_role[1])
    _, as_owner = doctor()

    assert as_service["Rôle de DATABASE_URL"][0] == "ok"
    assert as_owner["Rôle de DATABASE_URL"][0] == "warning"
    assert "Droits" not in as_service


def test_the_role_of_the_service_sees_what_is_to_be_repaired(
    doctor: Doctor, database: str, service_role: tuple[str, str]
) -> None:
    run_sql(
        database,
        "SET session_replication_role = replica",
        "UPDATE member SET notes = 'x'",
        "UPDATE database_identity SET created_at = created_at",
    )

    _, items = doctor(DATABASE_URL=service_role[1])

    assert {name for name, item in items.items() if item[1].endswith("→ retrobus db repair")} == {
        "Identité de la base", "Lignes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("revoked", "named"),
    [
        ("SELECT ON SEQUENCE row_version", "SELECT ON SEQUENCE row_version"),
        ("UPDATE ON vehicle", "UPDATE ON vehicle"),
        ("SELECT, INSERT ON deletion", "SELECT ON deletion, INSERT ON deletion"),
    ],
)
def test_a_missing_right_is_named_with_the_command_that_gives_it(
    doctor: Doctor, database: str, service_role: tuple[str, str], revoked: str, named: str
) -> None:
    role, url = service_role
    run_sql(database, f"REVOKE {revoked} FROM {role}")

    code, items = doctor(DATABASE_URL=url)

    assert code == 1
    cure = f"avec le rôle propriétaire : retrobus db grant --role {role}"
    assert items["Droits"] == ("error", f"il manque à {role} : {named} → {cure}")


def test_a_closed_schema_is_told_as_a_missing_right_and_not_as_a_missing_migration(
    doctor: Doctor, database: str, service_role: tuple[str, str]
) -> None:
    run_sql(
        database, "REVOKE USAGE ON SCHEMA public FROM PUBLIC", f"REVOKE USAGE ON SCHEMA public FROM {service_role[0]}"
    )

    _, items = doctor(DATABASE_URL=service_role[1])

    assert items["Droits"][1].startswith(f"il manque à {service_role[0]} : USAGE ON SCHEMA public")
    assert "Migrations" not in items


def test_the_grants_can_be_read_before_they_are_given(terminal: Terminal, database: str) -> None:
    code, said, _ = terminal("db", "grant", "--role", "O'Hara", "--print", url=database)

    assert code == 0
    assert 'GRANT SELECT ON SEQUENCE row_version TO "O\'Hara";' in said.splitlines()


def test_it_says_what_emptying_the_folder_by_hand_would_take_along(
    doctor: Doctor, terminal: Terminal, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "contents"
    for command in (["backup", "create"], ["db", "clean", "--table", "event", "--yes"]):
        assert terminal(*command, url=database, BACKUPS_DIR=folder)[0] == 0
    leave_selection(folder)
    leave_journal(folder)

    _, items = doctor(BACKUPS_DIR=folder)

    held = "2 backups, 1 backup de sécurité, la sélection, 1 écriture acquittée"
    assert items["Contenu"] == ("ok", f"{held} ; rm -rf {folder}/* supprimerait tout cela pour toujours → ")


def test_a_backup_that_was_removed_by_hand_is_told(doctor: Doctor, terminal: Terminal, database: str) -> None:
    folder = Path("removed").absolute()
    name = json.loads(terminal("backup", "create", "--json", url=database, BACKUPS_DIR=folder)[1])["name"]
    shutil.rmtree(folder / name)

    _, items = doctor(BACKUPS_DIR=folder)

    assert items["Index"] == ("warning", f"{name} : dossier supprimé à la main → retrobus backup list")
