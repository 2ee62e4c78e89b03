"""Facts about versions and numbers: they never repeat, whatever became of a sequence, in any session."""

import asyncio
import subprocess
from typing import Any

import asyncpg
import pytest

from builders import a_vehicle
from harness import Api, Person, at, run_sql
from retrobus.development.postgres_programs import find_programs

BEHIND = "SELECT setval('row_version', 1, false)"
VERSIONS = """SELECT version FROM vehicle UNION ALL SELECT version FROM event UNION ALL SELECT version FROM member
UNION ALL SELECT version FROM deletion ORDER BY 1"""
SESSIONS = [
    "SET search_path = ''",
    "SET search_path = pg_temp, pg_catalog",
    "CREATE TEMP TABLE vehicle (id int, parc text, version bigint); CREATE TEMP TABLE deletion (version bigint)",
    "SET extra_float_digits = -15",
    "SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; SET timezone = 'Asia/Tokyo'",
    "SET bytea_output = 'escape'; SET xmloption = 'document'",
]  # fmt: skip
FIGURES = "'{}', 33.333333333333336, 123456.78901234567, '1961-02-03 04:05:06.789+00'"


def drawn(url: str) -> list[int]:
    return [row[0] for row in run_sql(url, VERSIONS)]


def test_a_sequence_that_was_set_back_repeats_no_version(api: Api, manager: Person) -> None:
    created = api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=manager.headers)
    api.patch("/api/vehicles/920", json={"etat": "en panne"}, headers=manager.headers)
    api.sql(BEHIND)

    changed = api.patch("/api/vehicles/920", json={"etat": "réparé"}, headers=manager.headers)
    stale = api.patch(
        "/api/vehicles/920", json={"etat": "perdu"}, headers=manager.headers | {"If-Match": created.headers["ETag"]}
    )
    seen = api.get("/api/vehicles/920", headers=manager.headers | {"If-None-Match": created.headers["ETag"]})
    other = api.post("/api/vehicles", json=a_vehicle(parc="921"), headers=manager.headers)
    deleted = api.delete("/api/vehicles/920", headers=manager.headers)

    assert (changed.status_code, stale.status_code, seen.status_code) == (200, 412, 200)
    assert (other.status_code, deleted.status_code) == (201, 200)
    assert other.json()["version"] > changed.json()["version"] > created.json()["version"]
    assert len(set(drawn(api.database_url))) == len(drawn(api.database_url))


def test_a_version_that_a_transaction_under_way_has_drawn_is_not_drawn_again(database: str) -> None:
    async def write() -> None:
        slow, quick = await asyncpg.connect(database), await asyncpg.connect(database)
        await slow.execute("BEGIN; INSERT INTO vehicle (parc) SELECT 'v' || n FROM generate_series(1, 300) n")
        await quick.execute(BEHIND)
        await quick.execute("INSERT INTO event (id, title, date) VALUES ('e', 'Sortie', '2026-05-01')")
        await slow.execute("INSERT INTO vehicle (parc) VALUES ('last'); COMMIT")
        await slow.close()
        await quick.close()

    asyncio.run(write())

    assert len(drawn(database)) == 302
    assert len(set(drawn(database))) == 302


def test_sessions_that_meet_a_sequence_set_back_at_once_draw_different_versions(database: str) -> None:
    run_sql(database, "INSERT INTO vehicle (parc) SELECT 'v' || n FROM generate_series(1, 50) n")
    highest = max(drawn(database))

    async def write() -> None:
        connections = await asyncio.gather(*(asyncpg.connect(database) for _ in range(8)))
        for round_ in range(5):
            await connections[0].execute(BEHIND)
            await asyncio.gather(*(
                c.execute("INSERT INTO event (id, title, date) VALUES ($1, 'Sortie', '2026-05-01')", f"e{round_}-{n}")
                for n, c in enumerate(connections)
            ))  # fmt: skip
        await asyncio.gather(*(connection.close() for connection in connections))

    asyncio.run(write())

    new = [version for version in drawn(database) if version > highest]
    assert len(new) == len(set(new)) == 40


def test_many_writers_on_a_sound_sequence_leave_no_gap(database: str) -> None:
    async def write() -> None:
        connections = await asyncio.gather(*(asyncpg.connect(database) for _ in range(8)))

        async def some(number: int, connection: Any) -> None:
            for n in range(50):
                await connection.execute("INSERT INTO vehicle (parc) VALUES ($1)", f"{number}-{n}")

        await asyncio.gather(*(some(number, connection) for number, connection in enumerate(connections)))
        await asyncio.gather(*(connection.close() for connection in connections))

    asyncio.run(write())

    assert drawn(database) == list(range(1, 401))


def test_rows_copied_with_their_versions_and_without_the_sequence_are_never_repeated(database: str) -> None:
    run_sql(
        database,
        "SET session_replication_role = replica",
        """INSERT INTO event (id, title, date, version, wire_public, wire_private)
        VALUES ('copied', 'Sortie', '2026-05-01', 5000, '{}', '{}')""",
        "RESET session_replication_role",
    )

    run_sql(database, "UPDATE event SET title = 'Autre sortie'")

    assert min(drawn(database)) > 5000


def test_a_number_that_is_taken_is_passed_over(api: Api, manager: Person) -> None:
    taken = api.sql("SELECT coalesce(max(id), 0) + 1 FROM vehicle")[0][0]
    api.sql(*(f"INSERT INTO vehicle (id, parc) VALUES ({taken + n}, 'copie-{n}')" for n in range(3)),
            f"SELECT setval('vehicle_id_seq', {taken}, false)")  # fmt: skip

    created = [api.post("/api/vehicles", json=a_vehicle(parc=f"92{n}"), headers=manager.headers) for n in range(2)]
    [by_psql] = api.sql("INSERT INTO vehicle (parc) VALUES ('930') RETURNING id, wire_private")

    assert [answer.status_code for answer in created] == [201, 201]
    assert [answer.json()["id"] for answer in created] == [taken + 3, taken + 4]
    assert by_psql["id"] == taken + 5
    assert f'"id":{taken + 5},' in by_psql["wire_private"]


def test_sessions_that_meet_taken_numbers_at_once_all_succeed(database: str) -> None:
    run_sql(database, "INSERT INTO vehicle (id, parc) SELECT n, 'v' || n FROM generate_series(1, 30) n")

    async def write() -> None:
        connections = await asyncio.gather(*(asyncpg.connect(database) for _ in range(8)))
        await asyncio.gather(*(
            c.execute("INSERT INTO vehicle (parc) VALUES ($1)", f"new{n}") for n, c in enumerate(connections)
        ))  # fmt: skip
        await asyncio.gather(*(connection.close() for connection in connections))

    asyncio.run(write())

    assert len(run_sql(database, "SELECT DISTINCT id FROM vehicle")) == 38


def test_a_conflict_finds_a_number_too(database: str) -> None:
    conflict = """INSERT INTO conflict (id, journal, sequence, resource, key, operation, entry, reason)
VALUES ({}, gen_random_uuid(), 1, 'Vehicle', '920', 'update', '{{}}', 'x')"""
    run_sql(database, conflict.format(1), conflict.format("DEFAULT"))

    assert [row["id"] for row in run_sql(database, "SELECT id FROM conflict ORDER BY id")] == [1, 2]


def test_a_number_that_was_given_and_is_taken_stays_an_error(database: str) -> None:
    run_sql(database, "INSERT INTO vehicle (parc) VALUES ('920')")

    with pytest.raises(asyncpg.UniqueViolationError, match="vehicle_pkey"):
        run_sql(database, "INSERT INTO vehicle (id, parc) VALUES (1, '921')")


@pytest.mark.parametrize("session", SESSIONS)
def test_any_session_writes_the_same_text_and_the_same_tombstone(session: str, database: str) -> None:
    columns = "parc, fuel, mileage, mise_en_circulation"
    run_sql(
        database,
        f"INSERT INTO public.vehicle ({columns}) VALUES ({FIGURES.format('plain')})",
        *session.split("; "),
        f"INSERT INTO public.vehicle ({columns}) VALUES ({FIGURES.format('other')})",
        "INSERT INTO public.event (id, title, date) VALUES ('e', 'Sortie', '2026-05-01T00:00:00Z')",
        "INSERT INTO public.member (id, email, role) VALUES ('m', 'm@example.org', 'BUREAU')",
        "UPDATE public.member SET role = 'ADMIN'",
        "DELETE FROM public.event",
        "UPDATE public.vehicle SET parc = 'renamed' WHERE parc = 'other'",
    )

    plain, renamed = (
        run_sql(
            database, f"SELECT wire_public || wire_private AS wire, version, id FROM vehicle WHERE parc = '{parc}'"
        )[0]
        for parc in ("plain", "renamed")
    )
    told = plain["wire"].replace('"plain"', '"renamed"').replace(f'"id":{plain["id"]},', f'"id":{renamed["id"]},')
    told = told.replace(f'"version":{plain["version"]}}}', f'"version":{renamed["version"]}}}')
    stamps = [text.partition('"createdAt"')[0] for text in (told, renamed["wire"])]
    assert stamps[0] == stamps[1]
    assert '"fuel":33.333333333333336,"mileage":123456.78901234567' in renamed["wire"]
    buried = run_sql(database, "SELECT resource, key FROM deletion ORDER BY version")
    assert [tuple(row) for row in buried] == [("Event", "e"), ("Vehicle", "other")]
    assert run_sql(database, "SELECT token_epoch FROM member")[0][0] == 1


def test_a_data_only_dump_comes_in_with_the_triggers_on(database: str, server: str) -> None:
    run_sql(database, "INSERT INTO vehicle (parc, fuel) SELECT 'v' || n, n + 0.1 FROM generate_series(1, 20) n")
    folder = find_programs().folder
    tables = ("--table=vehicle", "--table=event", "--table=member")
    dump = subprocess.run(
        [str(folder / "pg_dump"), "--data-only", *tables, database], capture_output=True, check=True, text=True
    ).stdout
    copy = f"{database.partition('?')[0].rpartition('/')[2]}_copy"
    run_sql(server, f"CREATE DATABASE {copy}")
    try:
        from retrobus.database import migrate  # noqa: PLC0415 - Alembic is slow to import, and one test needs it

        migrate.upgrade(at(server, copy))
        words = [str(folder / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", at(server, copy)]
        subprocess.run(words, input=dump, capture_output=True, check=True, text=True)
        run_sql(at(server, copy), "INSERT INTO vehicle (parc) VALUES ('new')")

        found = run_sql(at(server, copy), "SELECT version, wire_private FROM vehicle")
    finally:
        run_sql(server, f"DROP DATABASE {copy} WITH (FORCE)")

    assert len({row["version"] for row in found}) == 21
    assert all(f'"version":{row["version"]}' in row["wire_private"] for row in found)
