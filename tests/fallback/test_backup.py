"""Facts about `retrobus backup create --from-snapshot`: what the service last knew, backed up without Postgres."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import run_sql, served, settings_for
from retrobus.backups import catalog
from retrobus.backups.formats import read_backup
from retrobus.backups.manifest import read_manifest
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.model.resources import EVENT
from retrobus.model.rows import encode
from retrobus.model.tables import REVISION

Terminal = Callable[..., tuple[int, str, str]]
FOLDER = Path("backups")
NOWHERE = "postgresql://127.0.0.1:1/x"
ROWS = """
INSERT INTO vehicle (parc, modele, gallery, fuel, is_public)
  VALUES ('920', 'Citaro ♿ "C1"', '["/a.jpg", 1.10]', 49.5, true);
INSERT INTO event (id, title, date, vehicle_id, adult_price, extras)
  VALUES ('e1', E'Fête\\tdu dépôt', '2025-09-20', '920', 12.50, '{"isVisible": true, "x": 1.00000000000000000001}');
INSERT INTO member (id, email, password_hash, permissions) VALUES ('m1', 'm1@example.org', '$argon2id$x', '["A"]')
"""


@pytest.fixture
def stopped(database: str) -> str:
    """A database, and the snapshot that a service on it left when it stopped."""
    run_sql(database, *ROWS.split(";\n"))
    with served(settings_for(database, enable_runtime_state_save=True, backups_dir=FOLDER), database):
        pass
    return database


def newest() -> Path:
    return FOLDER / catalog.entries(FOLDER)[0].name


def rows() -> dict[str, list[dict[str, Any]]]:
    return read_backup(newest()).rows


def test_a_backup_of_the_snapshot_holds_what_a_backup_of_the_database_holds(terminal: Terminal, stopped: str) -> None:
    terminal("backup", "create", url=stopped)
    wanted = rows()

    code, _, said = terminal("backup", "create", "--from-snapshot", url=NOWHERE)

    assert (code, said) == (0, "")
    assert rows() == wanted
    assert terminal("backup", "verify")[0] == 0


def test_it_says_in_its_manifest_where_it_comes_from(terminal: Terminal, stopped: str) -> None:
    terminal("backup", "create", "--from-snapshot", "--note", "panne", url=NOWHERE)

    made = read_manifest(FOLDER, newest().name)
    assert made is not None
    assert (made.ours, made.kind, made.revision) == (True, "normal", REVISION)
    assert made.note == "panne (sans PostgreSQL, de l'instantané et du journal)"
    assert (made.position["source"], made.position["journalEntries"]) == ("runtime-state.json", 0)
    assert made.identity == run_sql(stopped, "SELECT id::text FROM database_identity")[0][0]


def test_writes_that_only_the_journal_has_are_in_it(terminal: Terminal, stopped: str) -> None:
    terminal("backup", "create", url=stopped)
    [row] = rows()["Event"]
    changed, at = encode(EVENT, row | {"title": "Fête reportée", "vehicle_id": None}), "2026-01-31T14:00:00.000Z"
    base = {"version": row["version"], "hash": "x"}
    Journal(FOLDER / "journal.jsonl").append(*[
        Entry(1, at, "Event", "e1", "update", changed, base, "m1"),
        Entry(2, at, "Vehicle", "920", "delete", None, base, "m1"),
    ])  # fmt: skip

    terminal("backup", "create", "--from-snapshot", url=NOWHERE)

    assert [row["title"] for row in rows()["Event"]] == ["Fête reportée"]
    assert rows()["Vehicle"] == []
    assert [row["id"] for row in rows()["Member"]] == ["m1"]


def test_a_row_from_the_snapshot_is_restored_as_it_was(terminal: Terminal, stopped: str) -> None:
    terminal("backup", "create", "--from-snapshot", url=NOWHERE)
    name = newest().name
    terminal("db", "reset", "--yes", url=stopped)

    code, said, _ = terminal("restore", name, "--apply", "--yes", "--json", url=stopped)

    assert (code, json.loads(said)["applied"]) == (0, True)
    assert run_sql(stopped, "SELECT extras->>'x', adult_price::text FROM event") == [
        ("1.00000000000000000001", "12.50")
    ]


@pytest.mark.parametrize("content", [None, "{"])
def test_without_a_sound_snapshot_there_is_no_backup(terminal: Terminal, content: str | None) -> None:
    FOLDER.mkdir()
    if content is not None:
        (FOLDER / "runtime-state.json").write_text(content)

    code, _, said = terminal("backup", "create", "--from-snapshot", url=NOWHERE)

    said = said.splitlines()[-1]
    assert (code, "rien à sauvegarder sans PostgreSQL" in said) == (1, True)
    assert catalog.entries(FOLDER) == []
