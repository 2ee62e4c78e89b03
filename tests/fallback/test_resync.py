"""Facts about resync: a journal left on disk comes in, and every write that cannot is decided by somebody, once."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness import SECRET, run_sql, served, settings_for
from retrobus.cli.program import app
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.model.resources import BY_NAME
from retrobus.model.rows import completed, content_hash, encode
from retrobus.model.wire import moment

OTHER = "00000000-0000-4000-8000-000000000000"
NAMES = {"Vehicle": "parc", "Event": "id", "Member": "id"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def run(database: str, folder: Path, *arguments: str, words: str = "") -> Result:
    """The command as an operator runs it; `words` is what they type."""
    environment = {"DATABASE_URL": database, "BACKUPS_DIR": str(folder), "JWT_SECRET": SECRET}
    return CliRunner().invoke(app, ["resync", *arguments], env=environment, input=words, catch_exceptions=False)


def entry(operation: str, resource: str, key: str, base: dict[str, Any] | None = None, **values: Any) -> Entry:
    """A write as the journal keeps it."""
    table = BY_NAME[resource]
    row = (
        None
        if operation == "delete"
        else encode(table, completed(table, {NAMES[resource]: key, "version": 0, **values}))
    )
    return Entry(0, moment(datetime.now(UTC)), resource, key, operation, row, base, "alix")


def leave(folder: Path, identity: str | None, *entries: Entry) -> Path:
    """The journal that a killed service left."""
    journal = Journal(folder / "journal.jsonl", identity)
    numbered = [replace(one, sequence=number, journal=journal.id) for number, one in enumerate(entries, start=1)]
    journal.append(*numbered)
    return folder / "journal.jsonl"


def identity(database: str) -> str:
    found: str = run_sql(database, "SELECT id::text FROM database_identity")[0][0]
    return found


def states(database: str) -> dict[str, str]:
    """The vehicles of Postgres."""
    return {row[0]: row[1] for row in run_sql(database, "SELECT parc, etat FROM vehicle ORDER BY 1")}


def resolutions(database: str) -> dict[int, str | None]:
    return {row[0]: row[1] for row in run_sql(database, "SELECT id, resolution FROM conflict ORDER BY 1")}


UPDATE = entry("update", "Vehicle", "920", etat="par l'API")
DELETE = entry("delete", "Vehicle", "920", {"version": 1})
INSERT = entry("insert", "Vehicle", "921", etat="par l'API")
PSQL = "INSERT INTO vehicle (parc, etat) VALUES ('920', 'par psql')"


@pytest.fixture
def conflicts(database: str, folder: Path) -> dict[str, int]:
    """Three open conflicts, by operation: those of a journal of another database."""
    run_sql(database, PSQL)
    leave(folder, OTHER, UPDATE, DELETE, INSERT)
    assert run(database, folder).exit_code == 0
    return {row[1]: row[0] for row in run_sql(database, "SELECT id, operation FROM conflict")}


def test_a_journal_left_on_disk_comes_in_what_fits_as_rows_and_the_rest_as_conflicts(
    database: str, folder: Path
) -> None:
    run_sql(database, PSQL)
    journal = leave(folder, identity(database), INSERT, UPDATE)

    result = run(database, folder)

    assert result.exit_code == 0
    assert "📓 Journal du disque : 1 reprise, 0 déjà là, 1 en conflit" in result.stdout
    assert any(
        line[1:2] == ["modification du véhicule 920"] and line[-1] == "la ligne a changé entre-temps"
        for line in lines_of(result.stdout)
    )
    assert "etat : par psql → par l'API" in result.stdout
    assert states(database) == {"920": "par psql", "921": "par l'API"}
    assert not journal.exists()


def test_a_journal_of_which_nothing_can_be_read_is_kept_aside(database: str, folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"0" * 50 + b"\n")

    result = run(database, folder)

    assert (result.exit_code, "✅ Aucun conflit à trancher" in result.stdout) == (0, True)
    assert [path.name[:22] for path in folder.glob("journal*")] == ["journal.jsonl.corrupt-"]


def test_list_changes_nothing(database: str, folder: Path) -> None:
    journal = leave(folder, identity(database), INSERT)
    before = journal.read_bytes()

    result = run(database, folder, "--list")

    assert result.exit_code == 0
    assert result.stderr == "📓 Sur le disque : 1 écriture à reprendre : retrobus resync\n"
    assert result.stdout == "✅ Aucun conflit à trancher\n"
    assert (states(database), journal.read_bytes()) == ({}, before)


def test_a_journal_that_a_service_holds_is_its_own_affair(database: str, folder: Path) -> None:
    with served(settings_for(database, backups_dir=folder, enable_memory_fallback=True), database):
        journal = leave(folder, identity(database), INSERT)

        result = run(database, folder)

    assert (result.exit_code, journal.exists(), states(database)) == (0, True, {})
    assert "il reprend lui-même son journal" in result.stderr


def test_an_applied_update_replaces_the_row_and_keeps_what_it_replaced(
    database: str, folder: Path, conflicts: dict[str, int]
) -> None:
    number = conflicts["update"]

    result = run(database, folder, "--apply", str(number), "--yes")

    assert result.exit_code == 0
    assert f"✅ {number} modification du véhicule 920 : appliqué" in result.stdout
    assert states(database) == {"920": "par l'API"}
    [[kept]] = run_sql(database, "SELECT entry FROM conflict WHERE resolution = 'applied'")
    assert json.loads(kept)["image"]["etat"] == "par psql"


def test_an_applied_delete_is_the_members(database: str, folder: Path, conflicts: dict[str, int]) -> None:
    result = run(database, folder, "--apply", str(conflicts["delete"]), "--yes")

    assert (result.exit_code, states(database)) == (0, {})
    [tombstone] = run_sql(database, "SELECT key, cause, actor FROM deletion")
    assert tuple(tombstone) == ("920", "api", "alix")


def test_a_discarded_write_leaves_postgres_as_it_is(database: str, folder: Path, conflicts: dict[str, int]) -> None:
    result = run(
        database, folder, "--discard", str(conflicts["delete"]), "--discard", str(conflicts["insert"]), "--yes"
    )

    assert (result.exit_code, states(database)) == (0, {"920": "par psql"})
    assert list(resolutions(database).values()) == [None, "discarded", "discarded"]


def test_apply_all_does_everything_in_order_but_brings_back_no_deleted_row(
    database: str, folder: Path, conflicts: dict[str, int]
) -> None:
    run_sql(database, "DELETE FROM vehicle")

    result = run(database, folder, "--apply-all", "--yes")
    named = run(database, folder, "--apply", str(conflicts["update"]), "--yes")

    assert result.exit_code == 1
    assert f"⚠️  {conflicts['update']} modification du véhicule 920 : laissé : la ligne a été supprimée" in result.stdout
    assert named.exit_code == 0
    assert states(database) == {"920": "par l'API", "921": "par l'API"}
    assert set(resolutions(database).values()) == {"applied"}


@pytest.mark.usefixtures("conflicts")
def test_discard_all_closes_everything_and_then_there_is_nothing_left(database: str, folder: Path) -> None:
    first = run(database, folder, "--discard-all", "--yes")
    second = run(database, folder, "--discard-all", "--yes")

    assert (first.exit_code, states(database)) == (0, {"920": "par psql"})
    assert (second.exit_code, second.stdout) == (0, "✅ Aucun conflit à trancher\n")


@pytest.mark.usefixtures("conflicts")
@pytest.mark.parametrize("words", ["", "n\n"])
def test_nothing_happens_without_a_yes(database: str, folder: Path, words: str) -> None:
    result = run(database, folder, "--apply-all", words=words)

    assert result.exit_code == 1
    assert set(resolutions(database).values()) == {None}


@pytest.mark.usefixtures("conflicts")
@pytest.mark.parametrize(
    "arguments", [("--apply", "99"), ("--apply", "1", "--discard", "1"), ("--list", "--discard-all")]
)
def test_what_makes_no_sense_is_refused_before_anything_happens(
    database: str, folder: Path, arguments: tuple[str, ...]
) -> None:
    result = run(database, folder, *arguments, "--yes")

    assert result.exit_code == 1
    assert result.stderr.startswith("❌ ")
    assert set(resolutions(database).values()) == {None}


def test_a_write_that_a_constraint_refuses_stays_open(database: str, folder: Path) -> None:
    run_sql(database, "INSERT INTO member (id, email) VALUES ('autre', 'alix@example.org')")
    leave(folder, OTHER, entry("insert", "Member", "m1", email="Alix@example.org"), INSERT)

    result = run(database, folder, "--apply-all", "--yes", "--json")

    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (len(said["done"]), len(said["left"])) == (1, 1)
    assert list(resolutions(database).values()) == [None, "applied"]
    assert states(database) == {"921": "par l'API"}


def test_json_says_field_by_field_what_differs_and_no_secret(database: str, folder: Path) -> None:
    run_sql(
        database, "INSERT INTO member (id, email, city, password_hash) VALUES ('m1', 'm1@example.org', 'Lyon', 'h')"
    )
    change = entry("update", "Member", "m1", email="m1@example.org", city="Metz", password_hash="secret", token_epoch=7)
    leave(folder, OTHER, change)

    result = run(database, folder, "--json")

    said = json.loads(result.stdout)
    [conflict] = said["conflicts"]
    assert said["replayed"] == {"replayed": 0, "already": 0, "conflicts": 1}
    assert conflict["changes"] == {"city": {"postgres": "Lyon", "journal": "Metz"}}
    assert (conflict["reason"], conflict["member"]) == ("journal d'une autre base", "alix")


def test_no_token_that_was_revoked_meanwhile_lives_again(database: str, folder: Path) -> None:
    run_sql(
        database,
        "INSERT INTO member (id, email) VALUES ('m1', 'm1@example.org')",
        "UPDATE member SET status = 'disabled'",
        "UPDATE member SET status = 'active'",
        "UPDATE member SET status = 'disabled'",
    )
    leave(folder, OTHER, entry("update", "Member", "m1", email="m1@example.org", city="Metz"))

    assert run(database, folder, "--apply-all", "--yes").exit_code == 0

    [row] = run_sql(database, "SELECT city, status, token_epoch FROM member")
    assert tuple(row) == ("Metz", "active", 4)


def test_a_chain_of_entries_keeps_its_order(database: str, folder: Path) -> None:
    table = BY_NAME["Vehicle"]
    made = completed(table, {"parc": "921", "version": 0, "etat": "un"})
    chained = {"hash": content_hash(table, made), "version": 0, "sequence": 1}
    first = entry("insert", "Vehicle", "921", etat="un")
    leave(folder, identity(database), first, entry("update", "Vehicle", "921", chained, etat="deux"))

    result = run(database, folder)

    assert (result.exit_code, states(database)) == (0, {"921": "deux"})


def test_a_delete_that_won_over_a_changed_row_is_shown_and_the_row_can_be_put_back(database: str, folder: Path) -> None:
    run_sql(database, "INSERT INTO vehicle (parc, etat) VALUES ('920', 'disponible')")
    [before] = run_sql(database, "SELECT * FROM vehicle WHERE parc = '920'")
    base = {"version": before["version"], "hash": content_hash(BY_NAME["Vehicle"], dict(before))}
    leave(folder, identity(database), entry("delete", "Vehicle", "920", base))
    run_sql(database, "UPDATE vehicle SET etat = 'en panne' WHERE parc = '920'")

    run(database, folder)
    gone = states(database)
    open_, settled = run(database, folder, "--list"), run(database, folder, "--list", "--all")
    number = run_sql(database, "SELECT id FROM conflict")[0][0]
    refused = run(database, folder, "--restore", str(number), words="n\n")
    restored = run(database, folder, "--restore", str(number), "--yes")
    again = run(database, folder, "--restore", str(number), "--yes")

    assert gone == {}
    assert "Aucun conflit" in open_.output
    assert f"ligne gardée : --restore {number}" in settled.output
    assert refused.exit_code == 1
    assert (restored.exit_code, states(database)) == (0, {"920": "en panne"})
    assert again.exit_code == 1
    assert "ne garde aucune ligne" in again.output


def test_a_script_reads_the_settled_conflicts_too(database: str, folder: Path, conflicts: dict[str, int]) -> None:
    number = conflicts["update"]
    run(database, folder, "--discard", str(number), "--yes")

    open_, all_ = (json.loads(run(database, folder, "--list", *more, "--json").stdout) for more in ([], ["--all"]))

    [settled] = all_.pop("settled")
    assert all_ == open_
    assert (settled["number"], settled["resource"], settled["key"]) == (number, "Vehicle", "920")
    assert (settled["operation"], settled["resolution"], settled["kept"]) == ("update", "discarded", False)
    assert settled["resolvedAt"].endswith("Z")


def test_what_a_restored_row_replaces_is_kept_in_its_place(
    database: str, folder: Path, conflicts: dict[str, int]
) -> None:
    number = conflicts["update"]
    before = states(database)
    run(database, folder, "--apply", str(number), "--yes")
    applied = states(database)

    run(database, folder, "--restore", str(number), "--yes")
    back = states(database)
    run(database, folder, "--restore", str(number), "--yes")

    assert applied != before
    assert back == before
    assert states(database) == applied


def test_a_refused_write_is_told_without_the_row_and_its_password_hash(database: str, folder: Path) -> None:
    refused = entry("insert", "Member", "m1", email="m1@example.org", password_hash="secret-hash", status="unknown")
    leave(folder, OTHER, refused)

    told = run(database, folder, "--apply-all", "--yes")
    document = run(database, folder, "--apply-all", "--yes", "--json")

    assert (told.exit_code, document.exit_code) == (1, 1)
    assert "member_status_check" in told.output
    assert "secret-hash" not in told.output + document.output


def lines_of(text: str) -> list[list[str]]:
    """The columns of a table as it is printed."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


@pytest.fixture
def named(database: str, folder: Path) -> int:
    """The number of a conflict of Alix: she changed the state of a bus whose base is known; psql changed it since."""
    run_sql(
        database,
        "INSERT INTO member (id, email, first_name, last_name) VALUES ('alix', 'alix@example.org', 'Alix', 'Exemple')",
        PSQL,
    )
    base = {"version": 3, "hash": "x", "values": {"etat": "disponible"}}
    change = entry("update", "Vehicle", "920", base, etat="par l'API", fuel=12.5)
    leave(folder, identity(database), change)
    assert run(database, folder).exit_code == 0
    number: int = run_sql(database, "SELECT id FROM conflict")[0][0]
    return number


def test_the_list_has_headings_and_says_who_wrote(database: str, folder: Path, named: int) -> None:
    listed = lines_of(run(database, folder, "--list").stdout)
    document = json.loads(run(database, folder, "--list", "--json").stdout)
    run(database, folder, "--discard", str(named), "--yes")
    settled = lines_of(run(database, folder, "--list", "--all").stdout)

    assert listed[0] == ["N°", "Écriture", "Par", "Écrite le (UTC)", "Raison"]
    assert listed[1][:3] == [str(named), "modification du véhicule 920", "Alix Exemple"]
    assert ["etat : par psql → par l'API"] in listed
    assert [(one["member"], one["name"]) for one in document["conflicts"]] == [("alix", "Alix Exemple")]
    assert settled[1][:3] == ["N°", "Écriture", "Par"]
    assert settled[2][:3] == [str(named), "modification du véhicule 920", "Alix Exemple"]
    assert settled[2][3].startswith("abandonné le ")


def test_one_conflict_is_shown_field_by_field_and_nothing_changes(database: str, folder: Path, named: int) -> None:
    told = run(database, folder, "--show", str(named))
    document = json.loads(run(database, folder, "--show", str(named), "--json").stdout)

    lines = lines_of(told.stdout)
    assert told.exit_code == 0
    assert lines[0] == [f"Conflit {named} : modification du véhicule 920"]
    assert ["Champ", "Journal", "Aujourd'hui", "Base"] in lines
    assert ["etat", "par l'API", "par psql", "disponible"] in lines
    assert ["fuel", "12.5", "rien", "?"] in lines
    assert any(line[0] == "aujourd'hui" and line[1].endswith(" par sql") for line in lines)
    assert ["base", "version 3"] in lines
    assert document["fields"]["etat"] == {"journal": "par l'API", "postgres": "par psql", "base": "disponible"}
    assert document["fields"]["fuel"] == {"journal": 12.5, "postgres": None}
    assert (document["names"], document["postgres"]["updatedBy"]) == ({"alix": "Alix Exemple"}, "sql")
    assert resolutions(database) == {named: None}


def test_a_settled_conflict_is_shown_too_and_an_unknown_number_is_refused(
    database: str, folder: Path, named: int
) -> None:
    run(database, folder, "--apply", str(named), "--yes")

    told = run(database, folder, "--show", str(named))
    unknown = run(database, folder, "--show", str(named + 1))

    assert re.search(r"  décision      appliqué le [0-9/: ]+ UTC par cli\n", told.stdout)
    assert f"retrobus resync --restore {named}" in told.stdout
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert f"aucun conflit ne porte le numéro {named + 1}" in unknown.stderr


def test_a_write_of_a_deleted_row_shows_no_row_of_today(database: str, folder: Path) -> None:
    leave(folder, identity(database), UPDATE)
    run(database, folder)
    number = run_sql(database, "SELECT id FROM conflict")[0][0]

    lines = lines_of(run(database, folder, "--show", str(number)).stdout)

    assert ["aujourd'hui", "aucune ligne"] in lines
    assert ["base", "inconnue"] in lines


def test_no_view_of_a_conflict_holds_a_secret(database: str, folder: Path) -> None:
    run_sql(
        database,
        "INSERT INTO member (id, email, created_by, password_hash) VALUES ('m1', 'm1@example.org', 'm1', 'hash-here')",
    )
    change = entry(
        "update", "Member", "m1", {"version": 1, "hash": "x"}, email="new@example.org", password_hash="hash-there"
    )
    leave(folder, OTHER, change)
    run(database, folder)
    number = str(run_sql(database, "SELECT id FROM conflict")[0][0])

    told = run(database, folder, "--show", number).stdout + run(database, folder, "--show", number, "--json").stdout

    assert "hash-" not in told
    assert "new@example.org" in told
    assert ["createdBy", "rien", "m1@example.org", "?"] in lines_of(told)


def test_an_applied_write_is_its_member_s_and_a_row_that_is_put_back_is_whose_it_was(
    database: str, folder: Path, named: int
) -> None:
    author = "SELECT updated_by FROM vehicle"
    run(database, folder, "--apply", str(named), "--yes")
    [applied] = run_sql(database, author)
    run(database, folder, "--restore", str(named), "--yes")
    [back] = run_sql(database, author)

    assert (applied[0], back[0]) == ("alix", "sql")


def test_a_journal_of_an_older_version_has_no_author_in_its_rows_and_comes_in(database: str, folder: Path) -> None:
    old = replace(INSERT, row={name: value for name, value in (INSERT.row or {}).items() if name != "updated_by"})
    leave(folder, identity(database), old)

    assert run(database, folder).exit_code == 0

    assert [tuple(row) for row in run_sql(database, "SELECT parc, updated_by FROM vehicle")] == [("921", "alix")]


@pytest.mark.parametrize("option", ["--show", "--apply", "--discard", "--restore"])
def test_a_number_that_no_conflict_can_have_is_refused_by_its_option(database: str, folder: Path, option: str) -> None:
    refused = run(database, folder, option, str(2**31))

    assert refused.exit_code == 2
    assert option in refused.output
    assert "2147483647" in refused.output
