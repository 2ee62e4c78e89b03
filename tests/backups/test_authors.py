"""Facts about restores and who changed a row last: what the backup says, else `restore`; no difference by itself."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from backups.test_restore import another_database, apply, back_up, counts, plan_of
from harness import run_sql
from retrobus.backups.manifest import read_manifest

AUTHORS = "SELECT parc, updated_by FROM vehicle ORDER BY parc"
STAMPS = "SELECT parc, updated_at FROM vehicle ORDER BY parc"


@pytest.fixture
def written(database: str) -> str:
    """Vehicles that a member, psql and nobody known changed last."""
    run_sql(
        database,
        "INSERT INTO member (id, email, role) VALUES ('alix', 'alix@example.org', 'ADMIN')",
        "INSERT INTO vehicle (parc, etat) VALUES ('psql', 'bon')",
        "SET retrobus.stamps = 'given'",
        "INSERT INTO vehicle (parc, etat, updated_at) VALUES ('unknown', 'bon', '2020-01-02')",
        "RESET retrobus.stamps",
        "SET retrobus.actor = 'alix'",
        "INSERT INTO vehicle (parc, etat, updated_at) VALUES ('member', 'bon', '2020-01-02')",
    )
    return database


def authors(url: str) -> dict[str, str | None]:
    return dict(map(tuple, run_sql(url, AUTHORS)))


def without_authors(path: Path) -> None:
    """Makes the backup one of an older schema, which did not know who changed a row."""
    data = path / "data.json"
    data.write_bytes(re.sub(rb'"updatedBy":(?:null|"[^"]*"),?', b"", data.read_bytes()).replace(b",}", b"}"))
    manifest = read_manifest(path.parent, path.name)
    assert manifest is not None
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    older = replace(manifest, sha256=digest, size=data.stat().st_size, revision="0010")
    (path / "manifest.json").write_bytes(older.written())


def test_restored_rows_say_who_changed_them_as_the_backup_does_and_else_that_they_were_restored(
    written: str, server: str, template: str, tmp_path: Path
) -> None:
    path, stamps = back_up(written, tmp_path), run_sql(written, STAMPS)
    with another_database(server, template) as other:
        apply(other, path, tmp_path)
        again = plan_of(other, path, replace=True)

        assert authors(other) == {"member": "alix", "psql": "sql", "unknown": "restore"}
        assert run_sql(other, STAMPS) == stamps
        assert counts(again, "Vehicle") == {"same": 3}


def test_rows_of_today_do_not_differ_because_another_wrote_the_same(written: str, tmp_path: Path) -> None:
    path = back_up(written, tmp_path)
    run_sql(written, "SET retrobus.stamps = 'given'", "UPDATE vehicle SET updated_by = 'other'")

    apply(written, path, tmp_path, replace=True)

    assert set(authors(written).values()) == {"other"}, "a row that says the same is not written"
    assert counts(plan_of(written, path), "Vehicle") == {"same": 3}


def test_a_replaced_row_says_again_who_had_changed_it_also_if_it_is_the_same_member(
    written: str, tmp_path: Path
) -> None:
    path, stamps = back_up(written, tmp_path), run_sql(written, STAMPS)
    run_sql(
        written,
        "UPDATE vehicle SET etat = 'vendu' WHERE parc <> 'member'",
        "SET retrobus.actor = 'alix'",
        "UPDATE vehicle SET etat = 'vendu' WHERE parc = 'member'",
    )

    apply(written, path, tmp_path, replace=True)

    assert authors(written) == {"member": "alix", "psql": "sql", "unknown": "restore"}
    assert run_sql(written, STAMPS) == stamps


def test_a_backup_of_an_older_schema_restores_and_makes_no_row_differ(written: str, tmp_path: Path) -> None:
    path = back_up(written, tmp_path)
    without_authors(path)
    before = authors(written)

    same = plan_of(written, path, replace=True)
    run_sql(written, "UPDATE vehicle SET etat = 'vendu' WHERE parc = 'psql'")
    apply(written, path, tmp_path, replace=True)

    assert counts(same, "Vehicle") == {"same": 3}
    assert before["psql"] == "sql"
    assert authors(written) == before | {"psql": "restore"}
    assert run_sql(written, "SELECT etat FROM vehicle WHERE parc = 'psql'") == [("bon",)]


def test_events_that_lose_their_vehicle_to_a_restore_say_so(written: str, tmp_path: Path) -> None:
    path = back_up(written, tmp_path)
    run_sql(
        written,
        "INSERT INTO vehicle (parc) VALUES ('later')",
        "INSERT INTO event (id, title, date, vehicle_id) VALUES ('e', 'Fête', '2026-05-01', 'later')",
    )

    apply(written, path, tmp_path, replace=True, scope=("Vehicle",))

    assert [tuple(row) for row in run_sql(written, "SELECT vehicle_id, updated_by FROM event")] == [(None, "restore")]
