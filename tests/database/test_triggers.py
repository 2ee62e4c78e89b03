"""What Postgres keeps by itself, whoever writes: tombstones, versions, wire JSON, checks."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError

from harness import run_sql, until
from retrobus.database import rules
from retrobus.development.postgres_programs import find_programs
from retrobus.model.columns import RULE
from retrobus.model.events import EventCreation
from retrobus.model.fields import Wire
from retrobus.model.members import MemberCreation
from retrobus.model.names import camel
from retrobus.model.vehicles import VehicleCreation

VEHICLE = "INSERT INTO vehicle (parc) VALUES ('{}')"
EVENT = "INSERT INTO event (id, title, date, vehicle_id) VALUES ('{}', 'Sortie', '2026-05-01', {})"
MEMBER = "INSERT INTO member (id, email) VALUES ('{0}', '{0}@example.org')"
WAITING = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
TOMBSTONES = "SELECT resource, key, cause, actor FROM deletion ORDER BY version"

Connection = Any


@pytest.fixture
def stocked(database: str) -> str:
    """A database with a few rows written by SQL."""
    run_sql(
        database,
        *(VEHICLE.format(parc) for parc in ("920", "921", "922")),
        EVENT.format("depot", "'920'"),
        MEMBER.format("alix"),
    )
    return database


def psql(url: str, text: str) -> str:
    """What psql prints for this input."""
    words = [str(find_programs().folder / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", url]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


def executed(*statements: str) -> Callable[[Connection], Awaitable[None]]:
    async def act(connection: Connection) -> None:
        for statement in statements:
            await connection.execute(statement)

    return act


def row(url: str, table: str, key: str) -> dict[str, Any]:
    name = "parc" if table == "vehicle" else "id"
    return dict(run_sql(url, f"SELECT * FROM {table} WHERE {name} = '{key}'")[0])


def test_the_clean_up_of_the_runbook_works_word_for_word_in_psql(stocked: str) -> None:
    said = psql(
        stocked,
        "DELETE FROM Vehicle;\nDELETE FROM Event;\nDELETE FROM member;\n"
        "SELECT COUNT(*) FROM Vehicle;\nSELECT COUNT(*) FROM Event;\nSELECT COUNT(*) FROM member;\n",
    )

    assert [line.strip() for line in said.splitlines() if line.strip().isdigit()] == ["0", "0", "0"]
    assert [tuple(found) for found in run_sql(stocked, TOMBSTONES)] == [
        ("Vehicle", "920", "sql", None),
        ("Vehicle", "921", "sql", None),
        ("Vehicle", "922", "sql", None),
        ("Event", "depot", "sql", None),
        ("Member", "alix", "sql", None),
    ]


def test_one_batch_names_what_one_transaction_deleted(stocked: str) -> None:
    psql(stocked, "BEGIN; DELETE FROM vehicle WHERE parc > '920'; DELETE FROM event; COMMIT; DELETE FROM member;")

    batches = run_sql(stocked, "SELECT array_agg(key ORDER BY key) FROM deletion GROUP BY batch ORDER BY batch")

    assert [found[0] for found in batches] == [["921", "922", "depot"], ["alix"]]


def test_truncate_leaves_a_tombstone_for_each_row_also_of_the_tables_it_drags_along(stocked: str) -> None:
    psql(stocked, "TRUNCATE vehicle CASCADE")

    found = [tuple(tombstone[:2]) for tombstone in run_sql(stocked, TOMBSTONES)]

    assert sorted(found) == [("Event", "depot"), ("Vehicle", "920"), ("Vehicle", "921"), ("Vehicle", "922")]
    assert len({one["batch"] for one in run_sql(stocked, "SELECT batch FROM deletion")}) == 1


def test_a_delete_that_is_rolled_back_leaves_no_tombstone(stocked: str) -> None:
    psql(stocked, "BEGIN; DELETE FROM vehicle; ROLLBACK;")

    assert run_sql(stocked, TOMBSTONES) == []


def test_who_deletes_may_say_who_and_why(stocked: str) -> None:
    psql(
        stocked,
        "BEGIN; SET LOCAL retrobus.actor = 'alix'; SET LOCAL retrobus.cause = 'erase';"
        "DELETE FROM member; COMMIT; DELETE FROM event;",
    )

    assert [tuple(found) for found in run_sql(stocked, TOMBSTONES)] == [
        ("Member", "alix", "erase", "alix"),
        ("Event", "depot", "sql", None),
    ]


def authors(database: str) -> dict[str, str | None]:
    """Who changed each row last, by its key."""
    found = "SELECT parc, updated_by FROM vehicle UNION SELECT id, updated_by FROM event"
    return dict(map(tuple, run_sql(database, found)))


def test_a_row_says_who_changed_it_last_and_psql_is_called_sql(stocked: str) -> None:
    before = authors(stocked)

    psql(
        stocked,
        "BEGIN; SET LOCAL retrobus.actor = 'alix'; UPDATE vehicle SET etat = 'atelier' WHERE parc = '920';"
        "UPDATE vehicle SET etat = etat WHERE parc = '922'; COMMIT;"
        "BEGIN; SET LOCAL retrobus.cause = 'clean'; DELETE FROM vehicle WHERE parc = '920'; COMMIT;"
        "UPDATE vehicle SET updated_by = 'forged', etat = 'atelier' WHERE parc = '921'",
    )

    assert before == {"920": "sql", "921": "sql", "922": "sql", "depot": "sql"}
    assert authors(stocked) == {"921": "sql", "922": "sql", "depot": "clean"}


def test_an_author_who_is_a_member_stays_the_author_of_a_row_that_another_writer_leaves_as_it_is(stocked: str) -> None:
    psql(stocked, "BEGIN; SET LOCAL retrobus.actor = 'alix'; UPDATE vehicle SET etat = 'atelier'; COMMIT;")

    psql(stocked, "UPDATE vehicle SET etat = 'atelier'; UPDATE event SET vehicle_id = '921'")

    assert authors(stocked) == {"920": "alix", "921": "alix", "922": "alix", "depot": "sql"}


def test_stamps_are_kept_as_given_only_where_the_transaction_says_so_and_no_member_writes(stocked: str) -> None:
    given = "SET LOCAL retrobus.stamps = 'given'; UPDATE vehicle SET etat = 'vendu', updated_by = 'jo' WHERE parc = "
    at = row(stocked, "vehicle", "920")["updated_at"]

    psql(
        stocked,
        f"BEGIN; {given} '920'; COMMIT; BEGIN; SET LOCAL retrobus.actor = 'alix'; {given} '921'; COMMIT;"
        "BEGIN; SET LOCAL retrobus.stamps = 'given'; INSERT INTO vehicle (parc, updated_by) VALUES ('930', 'jo');"
        "SET LOCAL retrobus.stamps = ''; UPDATE vehicle SET etat = 'vendu' WHERE parc = '922'; COMMIT",
    )

    assert authors(stocked) == {"920": "jo", "921": "alix", "922": "sql", "930": "jo", "depot": "sql"}
    assert row(stocked, "vehicle", "920")["updated_at"] == at


def test_versions_of_all_tables_come_from_one_sequence(database: str) -> None:
    run_sql(
        database,
        VEHICLE.format("920"),
        EVENT.format("depot", "NULL"),
        MEMBER.format("alix"),
        "UPDATE vehicle SET etat = 'atelier'",
        "DELETE FROM event",
    )

    order = run_sql(
        database,
        """SELECT key FROM (SELECT id AS key, version FROM member UNION ALL SELECT parc, version FROM vehicle
        UNION ALL SELECT key, version FROM deletion) AS every ORDER BY version""",
    )

    assert [found[0] for found in order] == ["alix", "920", "depot"]
    assert len({row(database, "vehicle", "920")["version"], row(database, "member", "alix")["version"]}) == 2


def test_a_row_created_again_is_later_than_the_tombstone_of_its_key(stocked: str) -> None:
    async def create_while_another_deletes() -> None:
        deleting, creating = await asyncpg.connect(stocked), await asyncpg.connect(stocked)
        await deleting.execute("BEGIN; DELETE FROM vehicle WHERE parc = '921'")
        created = asyncio.create_task(creating.execute(VEHICLE.format("921")))
        await asyncio.to_thread(until, lambda: run_sql(stocked, WAITING)[0][0] == 1)
        await deleting.execute("COMMIT")
        await created
        await creating.close()
        await deleting.close()

    asyncio.run(create_while_another_deletes())

    [tombstone] = run_sql(stocked, "SELECT version FROM deletion")
    assert row(stocked, "vehicle", "921")["version"] > tombstone["version"]


def test_a_change_moves_version_and_updated_at_and_an_update_without_change_moves_nothing(stocked: str) -> None:
    before = row(stocked, "vehicle", "920")

    run_sql(stocked, "UPDATE vehicle SET etat = etat")
    same = row(stocked, "vehicle", "920")
    run_sql(stocked, "UPDATE vehicle SET etat = 'atelier' WHERE parc = '920'")
    changed = row(stocked, "vehicle", "920")

    assert same == before
    assert changed["version"] > before["version"]
    assert changed["updated_at"] > before["updated_at"]
    assert changed["created_at"] == before["created_at"]


def test_an_updated_at_that_is_given_is_kept(stocked: str) -> None:
    run_sql(stocked, "UPDATE vehicle SET updated_at = '2020-01-02', etat = 'atelier' WHERE parc = '920'")

    assert row(stocked, "vehicle", "920")["updated_at"].isoformat() == "2020-01-02T00:00:00+00:00"


@pytest.mark.parametrize(
    ("table", "key", "pieces"),
    [
        ("vehicle", "920", ("wire_public", "wire_images", "wire_private")),
        ("event", "depot", ("wire_public", "wire_private")),
        ("member", "alix", ("wire",)),
    ],
)
def test_neither_wire_json_nor_version_can_be_written_by_hand(
    table: str, key: str, pieces: tuple[str, ...], stocked: str
) -> None:
    forged = ", ".join(f"{piece} = 'forged'" for piece in pieces)

    run_sql(stocked, f"UPDATE {table} SET version = 1, {forged}")

    found = row(stocked, table, key)
    document = json.loads("".join(found[piece] for piece in pieces))
    assert document["version"] == found["version"] > 1


def test_a_new_row_cannot_bring_its_own_wire_json(database: str) -> None:
    run_sql(
        database,
        """INSERT INTO event (id, title, date, version, wire_public)
        VALUES ('depot', 'Sortie', '2026-05-01', 1, '{"title":"forged"}')""",
    )

    assert json.loads(row(database, "event", "depot")["wire_public"] + "}")["title"] == "Sortie"


def test_a_renamed_key_leaves_a_tombstone_and_its_events_follow(stocked: str) -> None:
    run_sql(stocked, "UPDATE vehicle SET parc = '1920' WHERE parc = '920'")

    assert [tuple(found[:3]) for found in run_sql(stocked, TOMBSTONES)] == [("Vehicle", "920", "sql")]
    assert json.loads(row(stocked, "event", "depot")["wire_public"] + "}")["vehicleId"] == "1920"


def test_the_events_of_a_deleted_vehicle_lose_it_in_their_wire_json_too(stocked: str) -> None:
    before = row(stocked, "event", "depot")

    run_sql(stocked, "DELETE FROM vehicle WHERE parc = '920'")

    after = row(stocked, "event", "depot")
    assert (after["vehicle_id"], json.loads(after["wire_public"] + "}")["vehicleId"]) == (None, None)
    assert after["version"] > before["version"]


@pytest.mark.parametrize(
    ("change", "bumped"),
    [
        ("role = 'ADMIN'", 1),
        ("status = 'disabled'", 1),
        ("role = 'BUREAU', status = 'terminated'", 1),
        ("role = 'MEMBER', status = 'active'", 0),
        ("first_name = 'Alix', password_hash = 'x'", 0),
        ("role = 'ADMIN', token_epoch = 7", 7),
    ],
)
def test_a_new_role_or_status_ends_the_tokens_of_a_member(change: str, bumped: int, stocked: str) -> None:
    run_sql(stocked, f"UPDATE member SET {change}")

    assert row(stocked, "member", "alix")["token_epoch"] == bumped


LONG, HUGE = "x" * 20_001, "x" * 65_536
MANY = json.dumps(["x"] * 101)
REFUSED: list[tuple[str, str, object]] = [
    ("vehicle", "parc", ""),
    ("vehicle", "parc", " 920"),
    ("vehicle", "parc", "9/20"),
    ("vehicle", "parc", "9\x1b20"),
    ("vehicle", "description", LONG),
    ("vehicle", "history", LONG),
    ("vehicle", "mise_en_circulation", "1799-12-31"),
    ("vehicle", "mise_en_circulation", "2201-01-01"),
    ("vehicle", "caracteristiques", "{}"),
    ("vehicle", "caracteristiques", json.dumps([{"label": HUGE, "value": ""}])),
    ("vehicle", "gallery", '"x"'),
    ("vehicle", "gallery", MANY),
    ("vehicle", "background_image", "x" * 2_001),
    ("vehicle", "fuel", -0.5),
    ("vehicle", "fuel", 100.5),
    ("vehicle", "fuel", "NaN"),
    ("vehicle", "mileage", -1.0),
    ("vehicle", "mileage", 100_000_001.0),
    ("event", "id", "a b"),
    ("event", "id", ".."),
    ("event", "id", "é"),
    ("event", "title", ""),
    ("event", "title", "  "),
    ("event", "date", "1799-12-31"),
    ("event", "date", "2201-01-01"),
    ("event", "time", "24:00"),
    ("event", "time", "9:30"),
    ("event", "description", LONG),
    ("event", "adult_price", -1),
    ("event", "adult_price", 1_000_001),
    ("event", "child_price", -1),
    ("event", "child_price", 1_000_001),
    ("event", "status", "HIDDEN"),
    ("event", "extras", "[]"),
    ("event", "extras", json.dumps({"x": HUGE})),
    ("event", "max_participants", -1),
    ("event", "max_participants", 1_000_001),
    ("event", "current_participants", -1),
    ("event", "current_participants", 1_000_001),
    ("member", "id", ""),
    ("member", "id", "a/b"),
    ("member", "email", ""),
    ("member", "email", "a b@example.org"),
    ("member", "birth_date", "1799-12-31"),
    ("member", "membership_start_date", "2201-01-01"),
    ("member", "membership_end_date", "2201-01-01"),
    ("member", "membership_type", "GOLD"),
    ("member", "membership_status", "active"),
    ("member", "payment_method", "SEASHELLS"),
    ("member", "payment_amount", -1),
    ("member", "status", "sleeping"),
    ("member", "notes", LONG),
    ("member", "role", ""),
    ("member", "permissions", "{}"),
    ("member", "permissions", json.dumps([HUGE])),
    ("deletion", "cause", "whim"),
    ("conflict", "operation", "truncate"),
    ("conflict", "resolution", "maybe"),
]
WHOLE: dict[str, dict[str, object]] = {
    "vehicle": {"parc": "920"},
    "event": {"id": "depot", "title": "Sortie", "date": "2026-05-01"},
    "member": {"id": "alix", "email": "alix@example.org"},
    "deletion": {"version": 1, "resource": "Event", "key": "depot", "cause": "sql", "batch": 1},
    "conflict": {"journal": "019b76da-a800-7000-8000-000000000000", "sequence": 1, "resource": "Event",
                 "key": "depot", "operation": "insert", "entry": "{}", "reason": "x"},
}  # fmt: skip
SENT: dict[str, type[Wire]] = {"vehicle": VehicleCreation, "event": EventCreation, "member": MemberCreation}
SERVER_MADE = {("event", "current_participants"), ("member", "id")}
LEFT_TO_ROUTES = {("member", "role"), ("member", "email"), ("vehicle", "parc")}
"""Trimmed, or allowed to old rows that do not change: the routes' own tests hold them."""


def literal(value: object) -> str:
    return str(value) if isinstance(value, int | float) else "'{}'".format(str(value).replace("'", "''"))


@pytest.mark.parametrize(("table", "column", "value"), REFUSED)
def test_a_check_refuses_what_the_schemas_refuse(table: str, column: str, value: object, shared_empty: str) -> None:
    values = WHOLE[table] | {column: value}
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(literal, values.values()))})"

    with pytest.raises(asyncpg.CheckViolationError) as refused:
        run_sql(shared_empty, statement)
    assert refused.value.constraint_name == f"{table}_{column}_check"
    if table in SENT and (table, column) not in SERVER_MADE | LEFT_TO_ROUTES:
        body = {camel(name): one for name, one in values.items()}
        with pytest.raises(ValidationError) as invalid:
            SENT[table].model_validate(body)
        assert {str(item["loc"][0]) for item in invalid.value.errors()} == {camel(column)}


@pytest.fixture
def shared_empty(shared_api: Any) -> str:
    """A migrated database on which nothing succeeds that these tests try."""
    url: str = shared_api.database_url
    return url


def test_every_rule_and_every_check_of_the_database_is_in_these_tests(shared_empty: str) -> None:
    found = run_sql(
        shared_empty,
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
    )
    ruled = {(table.name, column.name) for table in rules.RULED for column in table.columns if RULE in column.info}

    assert ruled == {(table, column) for table, column, _ in REFUSED}
    assert {name for (name,) in found} == rules.CHECKS.keys()


def test_the_refusal_of_a_value_does_not_quote_the_row(shared_empty: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        run_sql(shared_empty, "INSERT INTO member (id, email, notes) VALUES ('m', 'a b', 'a secret')")

    assert refused.value.detail is None
    assert "secret" not in str(refused.value)


def test_a_change_of_a_vehicle_does_not_write_its_images_again(stocked: str) -> None:
    image = "data:image/png;base64,' || (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) n) || '"
    gallery = f"jsonb_build_array('{image}')"
    run_sql(stocked, f"INSERT INTO vehicle (parc, background_image, gallery) VALUES ('7', '{image}', {gallery})")
    toast = run_sql(stocked, "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'vehicle'::regclass")[0][0]
    chunks = f"SELECT chunk_id FROM {toast} ORDER BY 1"
    before = run_sql(stocked, chunks)

    run_sql(stocked, "UPDATE vehicle SET etat = 'en panne' WHERE parc = '7'")

    assert len(before) > 2
    assert run_sql(stocked, chunks) == before
    assert run_sql(stocked, "SELECT etat FROM vehicle WHERE parc = '7'")[0][0] == "en panne"
