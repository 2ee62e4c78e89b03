"""Facts about `restore --only`: it brings back or mends the rows that the operator names, and touches nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import run_sql

Ended = tuple[int, str, str]
Terminal = Callable[..., Ended]
Restore = Callable[..., Ended]
STATE = """SELECT 'v' || parc, modele FROM vehicle UNION ALL SELECT 'e' || id, title || coalesce(vehicle_id, '')
FROM event UNION ALL SELECT 'm' || id, coalesce(city, '') FROM member
UNION ALL SELECT 'i', id::text FROM database_identity"""


def state(url: str) -> dict[str, str]:
    return dict(run_sql(url, STATE))


@pytest.fixture
def restore(terminal: Terminal, database: str) -> Restore:
    """Runs `retrobus restore` with the backup of five vehicles, three events and three members."""
    run_sql(
        database,
        "INSERT INTO vehicle (parc, modele) SELECT '92' || n, 'PR100' FROM generate_series(0, 4) AS n",
        """INSERT INTO event (id, title, date, vehicle_id)
        SELECT 'e' || n, 'Sortie', '2026-06-01', '920' FROM generate_series(1, 3) AS n""",
        """INSERT INTO member (id, email, city, role) SELECT 'm' || n, n || '@example.org', 'Lyon', 'ADMIN'
        FROM generate_series(1, 3) AS n""",
    )
    code, said, _ = terminal("backup", "create", "--json", url=database)
    assert code == 0
    name = json.loads(said)["name"]
    return lambda *options, **more: terminal("restore", name, *options, url=database, **more)


def test_a_deleted_row_comes_back_alone_and_the_plan_says_that_it_was_deleted(restore: Restore, database: str) -> None:
    run_sql(database, "DELETE FROM vehicle WHERE parc IN ('920', '921')", "UPDATE vehicle SET modele = 'autre'")
    before = state(database)

    planned, plan, _ = restore("--only", "vehicle:920")
    untouched = state(database)
    done, said, _ = restore("--only", "vehicle:920", "--apply", "--yes")

    assert (planned, done, untouched) == (0, 0, before)
    assert "↩️  véhicule 920 supprimé depuis (sql, " in plan
    assert "↩️  véhicule 920 supprimé depuis (sql, " in said
    assert "🛟 Avant la restauration : " in said
    assert state(database) == before | {"v920": "PR100"}


def test_the_events_of_a_vehicle_that_comes_back_are_named_with_the_option_that_mends_them(
    restore: Restore, database: str
) -> None:
    run_sql(database, "DELETE FROM vehicle WHERE parc = '920'", "DELETE FROM event WHERE id = 'e3'")

    _, said, _ = restore("--only", "vehicle:920", "--apply", "--yes")
    mended, _, _ = restore("--only", "event:e1", "--replace", "--apply", "--yes")

    assert "2 événements du backup avec le véhicule 920, et sans véhicule ici" in said
    assert "--only event:e1 --replace" in said
    assert mended == 0
    assert {key: title for key, title in state(database).items() if key[0] == "e"} == {
        "ee1": "Sortie920",
        "ee2": "Sortie",
    }


def test_a_row_that_differs_is_replaced_only_on_request_and_nothing_is_deleted(restore: Restore, database: str) -> None:
    run_sql(database, "UPDATE vehicle SET modele = 'autre'", "INSERT INTO vehicle (parc, modele) VALUES ('new', 'x')")
    before = state(database)

    unchanged, plain, _ = restore("--only", "vehicle:922", "--apply", "--yes")
    _, plan, _ = restore("--only", "vehicle:922")
    kept = state(database)
    code, _, _ = restore("--only", "vehicle:922", "--replace", "--apply", "--yes")

    assert unchanged == 0
    assert "1 différente, laissée" in plain
    assert "🛟" not in plain
    assert plan.splitlines()[-1] == "Rien n'a été changé. Pour remplacer la ligne par celle du backup : --replace"
    assert kept == before
    assert (code, state(database)) == (0, before | {"v922": "PR100"})


def test_several_rows_of_several_resources_are_named_at_once(restore: Restore, database: str) -> None:
    run_sql(database, "DELETE FROM vehicle", "DELETE FROM event", "DELETE FROM member WHERE id <> 'm1'")
    before = state(database)

    code, _, _ = restore("--only", "vehicle:920", "--only", "event:e2", "--only", "member:m2", "--apply", "--yes")

    assert code == 0
    assert state(database) == before | {"v920": "PR100", "ee2": "Sortie920", "mm2": "Lyon"}


def test_an_event_whose_vehicle_is_gone_comes_back_without_it_and_that_is_said(restore: Restore, database: str) -> None:
    run_sql(database, "DELETE FROM vehicle WHERE parc = '920'", "DELETE FROM event WHERE id = 'e1'")

    code, said, _ = restore("--only", "event:e1", "--apply", "--yes")

    assert code == 0
    assert "Event : vehicleId inconnu, mis à null (1)" in said
    assert state(database)["ee1"] == "Sortie"


def test_an_erased_member_comes_back_by_no_option(restore: Restore, database: str, terminal: Terminal) -> None:
    assert terminal("member", "erase", "m2", "--yes", url=database)[0] == 0

    code, said, _ = restore("--only", "member:m2", "--apply", "--yes")

    assert code == 3
    assert "membre m2 effacé : ne revient jamais" in said
    assert "mm2" not in state(database)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "bus:920"], "--only bus:920 : vehicle:CLÉ, event:CLÉ, member:CLÉ attendu"),
        (["--only", "920"], "--only 920 : vehicle:CLÉ, event:CLÉ, member:CLÉ attendu"),
        (["--only", "vehicle:"], "--only vehicle: : vehicle:CLÉ, event:CLÉ, member:CLÉ attendu"),
        (["--only", "vehicle:999"], "--only vehicle:999 : backup_"),
        (["--only", "event:920"], "n'a aucune ligne de Event dont id est 920"),
        (["--only", "vehicle:920", "--only", "member:920"], "--only member:920 : backup_"),
        (["--only", "vehicle:920", "--table", "event"], "retirez --table"),
        (["--only", "vehicle:920", "--include-deleted", "e1"], "retirez --include-deleted"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_the_option_in_the_text(
    restore: Restore, database: str, options: list[str], said: str
) -> None:
    run_sql(database, "DELETE FROM vehicle")
    before = state(database)

    code, _, error = restore(*options, "--apply", "--yes")

    assert code == 1
    assert said in error
    assert state(database) == before


def test_a_row_of_the_backup_that_fits_no_table_is_refused_with_its_reason(
    terminal: Terminal, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "old.json"
    file.write_text('{"members": [{"id": "m1", "lastName": "x"}], "Event": []}')

    code, _, error = terminal("restore", str(file), "--only", "member:m1", url=database)

    assert code == 1
    assert "--only member:m1 : la ligne de old.json ne convient pas : email : " in error


def test_members_who_come_back_or_are_mended_must_log_in_again_and_no_other(restore: Restore, database: str) -> None:
    run_sql(database, "DELETE FROM member WHERE id = 'm2'", "UPDATE member SET city = 'Dijon' WHERE id = 'm1'")
    [before] = run_sql(database, "SELECT max(token_epoch) FROM member")[0]

    restore("--only", "member:m1", "--only", "member:m2", "--replace", "--apply", "--yes")

    revoked = run_sql(database, f"SELECT id, token_epoch > {before} FROM member ORDER BY id")
    assert [tuple(row) for row in revoked] == [("m1", True), ("m2", True), ("m3", False)]
