"""Facts about restores: the plan says it first, one transaction does it, what was deleted since stays deleted."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from harness import Api, Process, copy_database, run_sql
from retrobus.accounts.passwords import check_password
from retrobus.backups import BadBackup, catalog, create
from retrobus.backups.draft import Draft
from retrobus.backups.plan import Plan
from retrobus.backups.restore import MAINTENANCE, Request, Restored, lock_tables, planned, restore
from retrobus.backups.rules import Rules, read_included
from retrobus.files import folder as files
from retrobus.store import opening

LEGACY = Path(__file__).parents[1] / "data" / "legacy-backups"
COLUMNS = {
    "vehicle": "parc, type, modele, etat, caracteristiques, gallery, is_public, fuel, mileage, created_at, updated_at",
    "event": "id, title, date, vehicle_id, status, extras, adult_price, created_at, updated_at",
    "member": "id, email, matricule, member_number, password_hash, role, status, created_at, updated_at",
}


def connected(url: str, work: Callable[[Any], Any]) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def back_up(url: str, folder: Path) -> Path:
    made = connected(url, lambda connection: create.create(connection, folder))
    return folder / str(made.name)


def a_request(path: Path, *, included: tuple[str, ...] = (), **rules: Any) -> Request:
    return Request(path, Rules(included=tuple(map(read_included, included)), **rules))


def plan_of(url: str, path: Path, **rules: Any) -> Plan:
    draft: Draft = connected(url, lambda connection: planned(connection, a_request(path, **rules)))
    return draft.plan


def apply(url: str, path: Path, folder: Path, *, empty: bool = False, public: bool = False, **rules: Any) -> Restored:
    request = replace(a_request(path, **rules), public_when_missing=public, empty=empty)
    done: Restored = connected(url, lambda connection: restore(connection, request, folder))
    return done


def content(url: str) -> dict[str, list[Any]]:
    return {
        table: [tuple(r) for r in run_sql(url, f"SELECT {c} FROM {table} ORDER BY 1")] for table, c in COLUMNS.items()
    }


def counts(plan: Plan, resource: str) -> dict[str, int]:
    return {verdict: count for verdict, count in plan.counts[resource].items() if count}


@pytest.fixture
def filled(database: str) -> str:
    run_sql(
        database,
        """INSERT INTO vehicle (parc, modele, gallery, fuel, is_public)
        SELECT 'P' || n, 'modèle ♿ ' || n, '["/a.jpg", 1.10]', n / 7.0, n % 2 = 0 FROM generate_series(1, 5) AS n""",
        """INSERT INTO event (id, title, date, vehicle_id, adult_price, extras) SELECT 'e' || n, 'Fête ' || n,
        '2025-09-20', 'P' || n, n + 0.5, '{"x": 1.00000000000000000001}' FROM generate_series(1, 4) AS n""",
        """INSERT INTO member (id, email, matricule, member_number, role, password_hash)
        SELECT 'm' || n, n || '@example.org', 'mat' || n, n::text, CASE n WHEN 1 THEN 'ADMIN' ELSE 'MEMBER' END, 'h'
        FROM generate_series(1, 4) AS n""",
    )
    return database


def test_a_restore_into_an_empty_database_gives_back_every_value(
    filled: str, server: str, template: str, tmp_path: Path
) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    with another_database(server, template) as other:
        done = apply(other, path, tmp_path)

        assert content(other) == before
        assert counts(done.plan, "Vehicle") == {"insert": 5}
        numbers = "SELECT parc, id FROM vehicle ORDER BY 1"
        assert run_sql(other, numbers) == run_sql(filled, numbers)
        assert run_sql(other, "INSERT INTO vehicle (parc) VALUES ('new') RETURNING id")[0][0] > 5


@contextmanager
def another_database(server: str, template: str) -> Iterator[str]:
    yield copy_database(server, f"other_{template}", template)
    run_sql(server, f"DROP DATABASE other_{template} WITH (FORCE)")


def test_a_plan_changes_nothing_and_counts_everything(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(
        filled,
        "UPDATE vehicle SET etat = 'vendu', fuel = 3 WHERE parc = 'P1'",
        "DELETE FROM event WHERE id = 'e1'",
        "INSERT INTO member (id, email) VALUES ('new', 'new@example.org')",
    )
    before = content(filled)

    plain, replacing = plan_of(filled, path), plan_of(filled, path, replace=True)

    assert content(filled) == before
    assert counts(plain, "Vehicle") == {"same": 4, "differs": 1}
    assert counts(replacing, "Vehicle") == {"same": 4, "update": 1}
    assert plain.differences[0].columns == ["etat", "fuel", "updated_at"]
    assert counts(plain, "Event") == counts(replacing, "Event") == {"same": 3, "buried": 1}
    assert counts(plain, "Member") == {"same": 4}
    assert counts(replacing, "Member") == {"same": 4, "delete": 1}
    assert replacing.deletes == [("Member", "new")]


def test_a_plain_restore_adds_what_is_missing_and_leaves_what_differs(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "DELETE FROM event WHERE id = 'e1'")
    clean(filled, "event", "id = 'e2'")
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu' WHERE parc = 'P1'")

    done = apply(filled, path, tmp_path)

    assert counts(done.plan, "Event") == {"insert": 1, "same": 2, "buried": 1}
    assert run_sql(filled, "SELECT etat FROM vehicle WHERE parc = 'P1'")[0][0] == "vendu"
    assert run_sql(filled, "SELECT count(*) FROM event WHERE id = 'e2'")[0][0] == 1


def clean(url: str, table: str, condition: str = "true") -> None:
    """Deletes rows as `retrobus db clean` does: no tombstone of theirs counts as a decision."""
    run_sql(url, "SELECT set_config('retrobus.cause', 'clean', false)", f"DELETE FROM {table} WHERE {condition}")


def test_a_replacing_restore_makes_the_tables_what_the_backup_says(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    run_sql(
        filled,
        "UPDATE vehicle SET etat = 'vendu'",
        "UPDATE event SET title = 'autre', vehicle_id = NULL",
        "UPDATE member SET role = 'ADMIN', email = 'x' || email",
        "INSERT INTO vehicle (parc) VALUES ('new')",
        "INSERT INTO event (id, title, date, vehicle_id) VALUES ('new', 'x', '2025-09-20', 'new')",
    )

    apply(filled, path, tmp_path, replace=True)

    assert content(filled) == before
    assert plan_of(filled, path, replace=True).changes == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET title = 'entre-temps' WHERE id = 'e1'",
        "DELETE FROM event WHERE id = 'e1'",
        "SET session_replication_role = replica; UPDATE event SET title = 'entre-temps' WHERE id = 'e1'",
    ],
)
def test_a_confirmed_plan_is_made_again_when_the_tables_changed_since(filled: str, tmp_path: Path, change: str) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu'")

    async def work(connection: Any) -> tuple[Draft, Restored]:
        request = a_request(path, replace=True)
        draft = await planned(connection, request)
        await asyncio.to_thread(run_sql, filled, *change.split("; "))
        return draft, await restore(connection, request, tmp_path, draft=draft)

    draft, done = connected(filled, work)

    assert done.plan != draft.plan
    assert plan_of(filled, path, replace=True).changes == 0


def test_a_confirmed_plan_is_carried_out_as_it_was_shown(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu'", "VACUUM FREEZE vehicle")

    async def work(connection: Any) -> tuple[Draft, Restored]:
        request = a_request(path, replace=True)
        draft = await planned(connection, request)
        return draft, await restore(connection, request, tmp_path, draft=draft)

    draft, done = connected(filled, work)

    assert done.plan is draft.plan
    assert content(filled) == before


def test_rows_with_the_same_stamp_and_other_content_are_replaced_once(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    run_sql(filled, "SET session_replication_role = replica", "UPDATE vehicle SET etat = 'vendu'")

    first, second = (apply(filled, path, tmp_path, replace=True).plan for _ in range(2))

    assert content(filled) == before
    assert (first.changes, second.changes) == (5, 0)


def test_deleted_rows_stay_gone_after_a_restore_of_an_older_backup(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "DELETE FROM event WHERE id = 'e1'", "DELETE FROM vehicle WHERE parc IN ('P2', 'P3')")

    plan = apply(filled, path, tmp_path, replace=True).plan

    assert run_sql(filled, "SELECT parc FROM vehicle ORDER BY 1") == [("P1",), ("P4",), ("P5",)]
    assert run_sql(filled, "SELECT id, vehicle_id FROM event ORDER BY 1") == [("e2", None), ("e3", None), ("e4", "P4")]
    assert [(b.key, b.option) for b in plan.buried] == [
        ("P2", "--include-deleted P2"),
        ("P3", "--include-deleted P3"),
        ("e1", "--include-deleted e1"),
    ]
    assert list(plan.batches.values()) == [2]


def test_deleted_rows_come_back_by_name_or_by_batch(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    run_sql(filled, "DELETE FROM event WHERE id = 'e1'", "DELETE FROM vehicle WHERE parc IN ('P2', 'P3')")
    [batch] = plan_of(filled, path).batches

    apply(filled, path, tmp_path, replace=True, included=("e1", f"batch:{batch}"))

    assert content(filled) == before


def test_an_option_that_names_no_deletion_is_refused(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)

    with pytest.raises(BadBackup, match="nowhere, batch:7"):
        plan_of(filled, path, included=("nowhere", "batch:7"))


def test_an_erased_member_never_comes_back(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "SELECT set_config('retrobus.cause', 'erase', false)", "DELETE FROM member WHERE id = 'm2'")

    plan = apply(filled, path, tmp_path, replace=True).plan

    assert [(b.key, b.option) for b in plan.buried] == [("m2", None)]
    with pytest.raises(BadBackup, match="m2"):
        apply(filled, path, tmp_path, included=("m2",))


def test_a_row_created_again_after_its_deletion_is_left_as_it_is(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(
        filled,
        "DELETE FROM event WHERE id = 'e1'",
        "INSERT INTO event (id, title, date) VALUES ('e1', 'neuf', '2026-01-01')",
    )

    apply(filled, path, tmp_path, replace=True)

    assert run_sql(filled, "SELECT title FROM event WHERE id = 'e1'")[0][0] == "neuf"


def test_a_deletion_that_the_backup_knows_of_is_no_deletion_since(filled: str, tmp_path: Path) -> None:
    run_sql(
        filled,
        "DELETE FROM event WHERE id = 'e1'",
        "INSERT INTO event (id, title, date) VALUES ('e1', 'neuf', '2026-01-01')",
    )
    path = back_up(filled, tmp_path)
    clean(filled, "event")

    plan = apply(filled, path, tmp_path).plan

    assert counts(plan, "Event") == {"insert": 4}


def test_a_clean_up_then_a_restore_restores(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    for table in ("event", "vehicle", "member"):
        clean(filled, table)

    apply(filled, path, tmp_path)

    assert content(filled) == before


def test_deletions_that_a_backup_knows_of_hold_in_the_database_that_it_returns_to(
    filled: str, server: str, template: str, tmp_path: Path
) -> None:
    older = back_up(filled, tmp_path)
    run_sql(filled, "DELETE FROM event WHERE id = 'e1'")
    newer = back_up(filled, tmp_path)
    with another_database(server, template) as other:
        apply(other, newer, tmp_path)

        plan = apply(other, older, tmp_path).plan

        assert counts(plan, "Event") == {"same": 3, "buried": 1}


def test_for_a_backup_of_the_predecessor_any_deletion_counts(database: str) -> None:
    run_sql(database, "INSERT INTO vehicle (parc) VALUES ('920')", "DELETE FROM vehicle")

    plan = plan_of(database, LEGACY / "t3.json")

    assert counts(plan, "Vehicle") == {"buried": 1}


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("name", "inserted", "rejected"),
    [
        ("backup_2025-12-01T14-00-00", {"Vehicle": 2, "Event": 1, "Member": 1}, 0),
        ("backup_2025-12-02T02-00-00", {"Vehicle": 1, "Event": 3, "Member": 1}, 1),
        ("backup_2025-12-02T13-00-00", {"Vehicle": 0, "Event": 0, "Member": 0}, 0),
        ("backup_2025-12-03T23-00-00", {"Vehicle": 1, "Event": 1, "Member": 2}, 0),
        ("backup-2025-12-03T22-00-00-000Z.json", {"Vehicle": 0, "Event": 0, "Member": 1}, 0),
        ("t3.json", {"Vehicle": 1, "Event": 1, "Member": 1}, 0),
        ("runtime-state.json", {"Vehicle": 1, "Event": 2, "Member": 1}, 0),
    ],
)
def test_every_old_backup_comes_in_once_and_only_once(
    database: str, tmp_path: Path, name: str, inserted: dict[str, int], rejected: int, *, replace: bool
) -> None:
    first = apply(database, LEGACY / name, tmp_path, replace=replace).plan
    after = content(database)
    second = apply(database, LEGACY / name, tmp_path, replace=replace).plan

    assert {resource: found["insert"] for resource, found in first.counts.items()} == inserted
    assert first.total("reject") == second.total("reject") == rejected
    assert second.changes == second.total("differs") == 0
    assert content(database) == after


def test_a_damaged_backup_gives_no_row(database: str, tmp_path: Path) -> None:
    with pytest.raises(BadBackup, match="endommagé"):
        apply(database, LEGACY / "damaged-truncated.json", tmp_path)

    assert content(database) == {"vehicle": [], "event": [], "member": []}


def test_passwords_in_clear_are_hashed_and_old_hashes_kept(database: str, tmp_path: Path) -> None:
    apply(database, LEGACY / "backup_2025-12-03T23-00-00", tmp_path)
    clear, old = (row[0] for row in run_sql(database, "SELECT password_hash FROM member ORDER BY id"))

    assert clear.startswith("$argon2id$")
    assert asyncio.run(check_password("motdepasse-en-clair-1", clear))[0]
    assert old.startswith("$2b$12$")


def test_what_an_old_backup_does_not_say_stays_as_it_is(database: str, tmp_path: Path) -> None:
    run_sql(database, "INSERT INTO vehicle (parc, immat, is_public, etat) VALUES ('920', 'AB-920-CD', true, 'neuf')")

    apply(database, LEGACY / "runtime-state.json", tmp_path, replace=True)

    assert run_sql(database, "SELECT immat, is_public, etat FROM vehicle")[0] == ("AB-920-CD", True, "Préservé")


def test_vehicles_that_do_not_say_whether_they_are_public_are_what_the_operator_says(
    database: str, tmp_path: Path
) -> None:
    apply(database, LEGACY / "runtime-state.json", tmp_path, public=True)

    assert run_sql(database, "SELECT is_public FROM vehicle")[0][0] is True


def test_an_email_that_another_member_has_here_keeps_the_row_out(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    clean(filled, "member", "id = 'm2'")
    run_sql(filled, "INSERT INTO member (id, email) VALUES ('other', '2@EXAMPLE.org')")

    plan = apply(filled, path, tmp_path).plan

    assert counts(plan, "Member") == {"same": 3, "reject": 1}
    assert [(r.key, r.reason) for r in plan.rejects] == [("m2", "email : déjà pris ici par other")]


def test_members_who_exchanged_their_emails_get_their_own_back(filled: str, tmp_path: Path) -> None:
    path, before = back_up(filled, tmp_path), content(filled)
    run_sql(
        filled,
        "UPDATE member SET email = 'x', matricule = 'x', member_number = 'x' WHERE id = 'm1'",
        "UPDATE member SET email = '1@example.org', matricule = 'MAT1', member_number = '1' WHERE id = 'm2'",
        "UPDATE member SET email = '2@example.org', matricule = 'MAT2', member_number = '2' WHERE id = 'm1'",
    )

    apply(filled, path, tmp_path, replace=True)

    assert content(filled) == before


def test_the_tokens_of_restored_members_end_and_those_of_others_do_not(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "UPDATE member SET city = 'Évry' WHERE id = 'm1'")
    clean(filled, "member", "id = 'm2'")

    apply(filled, path, tmp_path, replace=True)

    epochs = dict(run_sql(filled, "SELECT id, token_epoch FROM member"))
    assert epochs["m1"] > 1000
    assert epochs["m2"] > 1000
    assert epochs["m3"] == 0


def test_only_a_replacing_restore_makes_another_database_of_it(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    identity = "SELECT id FROM database_identity"
    first = run_sql(filled, identity)
    apply(filled, path, tmp_path)
    second = run_sql(filled, identity)
    apply(filled, path, tmp_path, replace=True)

    assert first == second != run_sql(filled, identity)


def test_rows_that_a_restore_deleted_come_back_with_a_newer_backup(filled: str, tmp_path: Path) -> None:
    older = back_up(filled, tmp_path)
    run_sql(filled, "INSERT INTO vehicle (parc) VALUES ('new')")
    newer = back_up(filled, tmp_path)

    apply(filled, older, tmp_path, replace=True)

    assert run_sql(filled, "SELECT key, cause FROM deletion") == [("new", "restore")]
    assert counts(apply(filled, newer, tmp_path).plan, "Vehicle") == {"insert": 1, "same": 5}


def test_a_safety_backup_of_what_was_there_is_made_and_never_chosen_at_boot(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu'")
    before = content(filled)

    done = apply(filled, path, tmp_path, replace=True)

    assert catalog.choose(tmp_path) == path.name
    assert done.safety.kind == "safety"
    apply(filled, tmp_path / done.safety.name, tmp_path, replace=True)
    assert content(filled) == before


def test_one_table_alone_can_be_restored(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu'", "UPDATE event SET title = 'x'")

    plan = apply(filled, path, tmp_path, replace=True, scope=("Event",)).plan

    assert list(plan.counts) == ["Event"]
    assert run_sql(filled, "SELECT DISTINCT etat FROM vehicle") == [("vendu",)]
    assert run_sql(filled, "SELECT count(*) FROM event WHERE title = 'x'")[0][0] == 0


def test_an_empty_backup_empties_the_tables_only_when_that_is_said_twice(filled: str, tmp_path: Path) -> None:
    empty, before = LEGACY / "backup_2025-12-02T13-00-00", content(filled)
    with pytest.raises(BadBackup, match="yes-empty"):
        apply(filled, empty, tmp_path, replace=True)
    refused = content(filled)

    apply(filled, empty, tmp_path, replace=True, empty=True)

    assert refused == before
    assert content(filled) == {"vehicle": [], "event": [], "member": []}


def test_a_reject_never_makes_its_row_here_one_too_many(database: str, tmp_path: Path) -> None:
    run_sql(database, "INSERT INTO member (id, email) VALUES ('m1', 'a@example.org')")
    path = tmp_path / "old.json"
    path.write_text('{"members": [{"id": "m1", "email": ""}], "Vehicle": [{"parc": "1"}]}')

    plan = apply(database, path, tmp_path, replace=True).plan

    assert counts(plan, "Member") == {"reject": 1}
    assert run_sql(database, "SELECT id FROM member") == [("m1",)]


def test_restores_exclude_each_other_and_backups(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)

    async def held(connection: Any) -> None:
        await connection.execute(f"SELECT pg_advisory_lock(hashtextextended('{MAINTENANCE}', 0))")
        other = await asyncpg.connect(filled)
        try:
            await restore(other, a_request(path), tmp_path)
        finally:
            await other.close()

    with pytest.raises(BadBackup, match="en cours"):
        connected(filled, held)
    with files.locked(tmp_path, create.LOCK), pytest.raises(BadBackup, match="en cours"):
        apply(filled, path, tmp_path)


def test_while_a_restore_holds_the_tables_reads_go_on_and_writes_are_told_to_come_back(
    fresh_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SESSION", opening.SESSION | {"lock_timeout": "200ms"})
    manager = fresh_api.person("BUREAU")

    async def held(connection: Any) -> tuple[httpx.Response, httpx.Response]:
        async with connection.transaction():
            await lock_tables(connection)
            read = fresh_api.get("/api/vehicles", headers=manager.headers)
            write = fresh_api.post("/api/vehicles", json={"parc": "920"}, headers=manager.headers)
        return read, write

    read, write = connected(fresh_api.database_url, held)

    assert read.status_code == 200
    assert (write.status_code, write.json()["outcome"]) == (503, "not_applied")
    assert "Retry-After" in write.headers


def run(folder: Path, database: str, *arguments: str) -> tuple[int, str]:
    (folder / "run").mkdir(exist_ok=True)
    running = Process(list(arguments), folder / "run", {"DATABASE_URL": database, "BACKUPS_DIR": str(folder)})
    return running.wait(), running.log


def test_the_command_shows_its_plan_first_and_says_how_to_go_on(filled: str, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path)
    run_sql(filled, "DELETE FROM event WHERE id = 'e1'", "UPDATE vehicle SET etat = 'vendu' WHERE parc = 'P1'")

    code, said = run(tmp_path, filled, "restore", path.name, "--replace")

    assert code == 0
    assert "1 à remplacer" in said
    assert "--include-deleted e1" in said
    assert "véhicule P1 remplacé : etat (ici « vendu », backup « disponible »), updated_at (ici « " in said
    assert "--apply" in said


def test_rows_that_were_left_out_show_in_the_exit_code_and_in_json(database: str, tmp_path: Path) -> None:
    name = str(LEGACY / "backup_2025-12-02T02-00-00")

    code, said = run(tmp_path, database, "restore", name, "--apply", "--yes", "--json")

    document = json.loads(said)
    assert code == 3
    assert document["applied"] is True
    assert document["counts"]["Member"]["reject"] == 1
    assert document["ignored_tables"] == {"user_permissions": 0, "Flash": 0}
