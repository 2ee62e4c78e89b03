"""`retrobus db new-migration`: the file that it writes takes a real database to what the code says, and back."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from harness import at, run_sql
from retrobus.database import migrate
from schemas import schema, seen

ROOT = Path(__file__).parents[2]
SAMPLE = (
    "INSERT INTO vehicle (parc, modele) VALUES ('920', 'Citaro')",
    "INSERT INTO event (id, title, date) VALUES ('e', 'Fête', '2026-05-01')",
    "INSERT INTO member (id, email) VALUES ('m', 'm@example.org')",
)
ROWS = "SELECT version, updated_at, {wire} FROM {table}"


def changed_program(table: str, *arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    """Runs `retrobus` with a nullable text column `sponsor` in the model of this table."""
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("with_sponsor.py")), table, *arguments],
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def models(server: str) -> Iterator[str]:
    """An empty database."""
    name = f"retrobus_sponsor_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    yield at(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def migrations(folder: Path, drafted: str, url: str) -> Config:
    """The migrations and after them the drafted one, for Alembic."""
    shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations/versions/9999_add_sponsor.py").write_text(drafted, encoding="utf-8")
    config = Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


@pytest.mark.parametrize(("table", "wire"), [("vehicle", "wire_public"), ("event", "wire_public"), ("member", "wire")])
def test_a_new_text_column_needs_nothing_but_the_drafted_migration(
    table: str, wire: str, database: str, models: str, tmp_path: Path
) -> None:
    run_sql(database, *SAMPLE)
    before = schema(database)
    [(version, changed_at, _)] = seen(database, ROWS.format(table=table, wire=wire))

    drafted = changed_program(table, "db", "new-migration", "add sponsor", "--print", url=database)
    config = migrations(tmp_path, drafted.stdout, database)
    command.upgrade(config, "head")
    changed_program(table, "build", models, url=database)

    assert schema(database) == schema(models)
    assert "compatible = True" in drafted.stdout
    [(later, still, text)] = seen(database, ROWS.format(table=table, wire=wire))
    assert json.loads(text.removesuffix("}") + "}")["sponsor"] is None
    assert later > version, "the JSON of the row has changed"
    assert still == changed_at, "no client changed the row"
    run_sql(database, f"UPDATE {table} SET sponsor = 'Le Dépôt'")
    [(_, _, text)] = seen(database, ROWS.format(table=table, wire=wire))
    assert json.loads(text.removesuffix("}") + "}")["sponsor"] == "Le Dépôt"

    command.downgrade(config, migrate.head())

    assert schema(database) == before
    [(_, _, text)] = seen(database, ROWS.format(table=table, wire=wire))
    assert "sponsor" not in text


def test_without_a_database_an_embedded_one_is_migrated_and_the_file_takes_the_next_number(
    terminal: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrate, "_folder", lambda: tmp_path / "migrations")
    following = f"{int(migrate.head()) + 1:04}"

    code, said, remarks = terminal("db", "new-migration", "count-the seats")

    path = tmp_path / f"migrations/versions/{following}_count_the_seats.py"
    assert (code, said) == (0, f"✅ {path}\n")
    assert f'REVISION = "{following}"' in remarks
    assert "le code ne dit rien de plus que le schéma" in remarks
    assert re.search(r"UPGRADE = \[\]\n", path.read_text(encoding="utf-8"))
    assert migrate.head() == following


def test_what_needs_a_decision_is_told_and_the_code_before_counts_as_incompatible(
    terminal: Callable[..., tuple[int, str, str]], database: str
) -> None:
    run_sql(
        database,
        "ALTER TABLE event ADD COLUMN forgotten text, DROP CONSTRAINT event_rules_check, DROP COLUMN layout",
        "ALTER TABLE event ADD CONSTRAINT event_old_check CHECK (title <> 'x')",
        "ALTER TABLE vehicle DROP COLUMN is_public",
        "DROP TRIGGER vehicle_stamp ON vehicle",
        "DROP FUNCTION retrobus_digits",
        "ALTER TABLE member ALTER COLUMN phone TYPE text",
    )

    code, drafted, remarks = terminal("db", "new-migration", "mend", "--print", url=database)

    assert code == 0
    assert "compatible = False" in drafted
    for statement in (
        "ALTER TABLE event DROP COLUMN forgotten",
        "ALTER TABLE event ADD COLUMN layout ",
        "ALTER TABLE event ADD CONSTRAINT event_rules_check CHECK (public.event_rules(event))",
        "ALTER TABLE event DROP CONSTRAINT IF EXISTS event_old_check",
        "ALTER TABLE vehicle ADD COLUMN is_public BOOLEAN DEFAULT false NOT NULL",
        "CREATE TRIGGER vehicle_stamp BEFORE INSERT OR UPDATE ON vehicle",
        "CREATE OR REPLACE FUNCTION public.retrobus_digits(",
        "ALTER TABLE member ALTER COLUMN phone TYPE VARCHAR(",
    ):
        assert statement in drafted
    for remark in ("remove_column", "modify_type", "règle event_old_check"):
        assert remark in remarks


def test_a_database_of_an_older_revision_is_no_ground_to_compare_with(
    terminal: Callable[..., tuple[int, str, str]], database: str
) -> None:
    run_sql(database, "UPDATE alembic_version SET version_num = '0001'")

    code, _, said = terminal("db", "new-migration", "too early", "--print", url=database)

    assert (code, said) == (1, "❌ le schéma de DATABASE_URL n'est pas à jour : retrobus db upgrade\n")
