"""Facts about the restore from the predecessor's live database: one read-only snapshot, the plan of a file."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from harness import at, free_port, run_sql, until
from locks import held
from predecessor import SCHEMA, fill, predecessor
from retrobus.accounts.passwords import check_password
from retrobus.backups import predecessor_database
from retrobus.database import session
from retrobus.development.embedded import embedded_postgres

Terminal = Callable[..., tuple[int, str, str]]
CONTENT = """SELECT md5(string_agg(said, ' ')) FROM (SELECT v::text AS said FROM "Vehicle" v UNION ALL
SELECT e::text FROM "Event" e UNION ALL SELECT m::text FROM members m UNION ALL SELECT f::text
FROM finance_transactions f ORDER BY said) AS all_rows"""
WRITES = """SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database WHERE datname = current_database()"""
SECRET = "phrase-secrète"


OTHERS = """SELECT FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


@pytest.fixture
def old(server: str) -> Iterator[str]:
    with predecessor(server) as url:
        alone(url)
        yield url


def alone(url: str) -> None:
    """Waits until nobody else is connected: a closed connection lingers, and the server counts its work at its end."""
    until(lambda: not run_sql(url, OTHERS), "the end of the other connections")


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@", 1)


@contextmanager
def a_role(url: str, *statements: str) -> Iterator[str]:
    """A role with these rights in this database, `{role}` standing for its name."""
    role = f"lecture_{os.urandom(4).hex()}"
    run_sql(url, f"CREATE ROLE {role} LOGIN", *(statement.format(role=role) for statement in statements))
    yield role
    run_sql(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def plan_of(terminal: Terminal, old: str, database: str, *options: str) -> dict[str, object]:
    code, said, errors = terminal("restore", old, "--json", *options, url=database)
    assert (code, errors) == (0, "")
    found: dict[str, object] = json.loads(said)
    return found


def counts(plan: dict[str, object]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(json.dumps(plan["counts"]))
    return {name: {verdict: n for verdict, n in said.items() if n} for name, said in found.items()}


def test_the_live_database_goes_through_plan_rejects_and_safety_backup_like_a_file(
    terminal: Terminal, old: str, database: str, tmp_path: Path
) -> None:
    plan = plan_of(terminal, old, database)
    code, said, _ = terminal("restore", old, "--apply", "--yes", url=database)
    again = plan_of(terminal, old, database)

    assert counts(plan) == {"Vehicle": {"insert": 3}, "Event": {"insert": 2, "reject": 1}, "Member": {"insert": 3}}
    assert plan["shape"] == "PostgreSQL"
    assert plan["ignored_tables"] == {"finance_transactions": 2, "RetroNews": 1, "_prisma_migrations": 1}
    assert (code, "événement prix-impossible rejeté : adultPrice : au moins 0" in said) == (3, True)
    assert "ℹ️  table finance_transactions, qui n'est pas à nous : 2 lignes, dans l'ancienne base seulement" in said
    assert counts(again) == {"Vehicle": {"same": 3}, "Event": {"same": 2, "reject": 1}, "Member": {"same": 3}}
    assert {"mustChangePassword" in str(w) for w in plan["warnings"]} == {True, False}  # type: ignore[attr-defined]
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "backups").glob("backup_*/manifest.json")]
    assert [manifest["kind"] for manifest in manifests] == ["safety"]


def test_every_value_comes_in_as_the_predecessor_meant_it(terminal: Terminal, old: str, database: str) -> None:
    terminal("restore", old, "--apply", "--yes", url=database)

    [bus] = run_sql(database, "SELECT *, mise_en_circulation::text AS day FROM vehicle WHERE parc = '920'")
    [event] = run_sql(database, "SELECT *, date::text AS day FROM event WHERE id = 'journee-portes-ouvertes'")
    [camille] = run_sql(database, "SELECT *, birth_date::text AS day FROM member WHERE matricule = 'c.exemple'")
    assert bus["description"] == 'Un « standard »,\n\tà plancher bas \\ "rapide".'
    assert (bus["day"], bus["fuel"], bus["is_public"]) == ("2001-07-01 00:00:00+00", 62.5, True)
    assert (bus["created_at"].isoformat(), bus["updated_at"].isoformat()) == (
        "2025-10-01T08:00:00.123000+00:00",
        "2025-10-02T09:30:00.456000+00:00",
    )
    assert (json.loads(bus["caracteristiques"]), json.loads(bus["gallery"])[1]) == (
        [{"label": "Places", "value": "31"}],
        "/920-2.jpg",
    )
    assert (event["day"], str(event["adult_price"]), event["current_participants"]) == (
        "2025-09-20 00:00:00+00",
        "5.00",
        12,
    )
    assert json.loads(event["extras"]) == {"isVisible": True, "note": 1.1}
    assert (camille["day"], camille["role"], camille["membership_status"]) == (
        "1990-05-01 00:00:00+00",
        "ADMIN",
        "ACTIVE",
    )
    assert asyncio.run(check_password("ancien-mot-de-passe-1", camille["password_hash"]))[0]


def test_nothing_is_written_there_even_by_its_owner_or_by_a_function_behind_a_table(
    terminal: Terminal, old: str, database: str
) -> None:
    terminal("restore", old, "--apply", "--yes", url=database)
    alone(old)
    before = [run_sql(old, CONTENT), run_sql(old, WRITES)]
    terminal("restore", old, "--replace", "--apply", "--yes", url=database)
    alone(old)
    after = [run_sql(old, CONTENT), run_sql(old, WRITES)]
    fill(
        old,
        """CREATE TABLE reads (at timestamptz); ALTER TABLE "Event" RENAME TO event_rows;
        CREATE FUNCTION noted() RETURNS boolean LANGUAGE sql AS 'INSERT INTO reads VALUES (now()) RETURNING true';
        CREATE VIEW "Event" AS SELECT * FROM event_rows WHERE noted()""",
    )
    code, _, errors = terminal("restore", old, url=database)

    assert before == after
    assert (code, "cannot execute INSERT in a read-only transaction (25006)" in errors) == (1, True)
    assert [row["count"] for row in run_sql(old, "SELECT count(*) FROM reads")] == [0]
    assert len(run_sql(old, 'SELECT FROM "Event"')) == 3  # outside of a read-only transaction the function writes
    assert [row["count"] for row in run_sql(old, "SELECT count(*) FROM reads")] == [3]


def test_all_tables_are_of_one_instant_whatever_is_written_meanwhile(
    terminal: Terminal, old: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predecessor_database, "SESSION", predecessor_database.SESSION.replace("'10s'", "0"))
    fill(
        old,
        """ALTER TABLE "Event" RENAME TO event_rows;
        CREATE FUNCTION held() RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7); RETURN true; END';
        CREATE VIEW "Event" AS SELECT * FROM event_rows WHERE held()""",
    )
    with held(old, "SELECT pg_advisory_xact_lock(7)") as lock, ThreadPoolExecutor(1) as pool:
        planning = pool.submit(plan_of, terminal, old, database)
        until(lock.waiting, "the restore, which has read Vehicle and waits for Event")
        run_sql(old, "DELETE FROM members", "DELETE FROM event_rows WHERE id = 'sortie-interne'")
        lock.release()
        plan = planning.result()

    assert counts(plan)["Member"] == {"insert": 3}
    assert counts(plan)["Event"] == {"insert": 2, "reject": 1}
    assert len(run_sql(old, "SELECT FROM members")) == 0


def test_a_role_that_may_only_read_is_enough(terminal: Terminal, old: str, database: str) -> None:
    with a_role(old, 'GRANT SELECT ON "Vehicle", "Event", members TO {role}') as role:
        plan = plan_of(terminal, as_role(old, role), database)

    assert counts(plan)["Vehicle"] == {"insert": 3}
    assert (
        "tables que ce rôle ne peut pas lire, non comptées : RetroNews, _prisma_migrations, finance_transactions"
        in str(plan["warnings"])
    )


def test_a_server_that_still_runs_there_is_told(terminal: Terminal, old: str, database: str) -> None:
    async def beside() -> dict[str, object]:
        connection = await asyncpg.connect(old)
        try:
            return await asyncio.to_thread(plan_of, terminal, old, database)
        finally:
            await connection.close()

    assert "1 autre connexion à l'ancienne base : si l'ancien serveur tourne encore" in str(
        asyncio.run(beside())["warnings"]
    )
    until(lambda: "autre connexion" not in str(plan_of(terminal, old, database)["warnings"]), "the end of it")


def test_a_row_that_cannot_be_read_stays_out_alone_and_is_kept_here(
    terminal: Terminal, old: str, database: str
) -> None:
    terminal("restore", old, "--apply", "--yes", url=database)
    fill(
        old,
        """ALTER TABLE "Event" ALTER COLUMN extras TYPE json;
        UPDATE "Event" SET extras = E'{"a":\\n\\t1, "a": 2}' WHERE id = 'sortie-interne';
        UPDATE "Event" SET extras = E'{"a":\\r\\n\\t1}' WHERE id = 'journee-portes-ouvertes';
        UPDATE "Vehicle" SET "backgroundImage" = repeat('x', 33 << 20) WHERE parc = '1203'""",
    )
    plan = plan_of(terminal, old, database, "--replace")

    rejects = {(r["resource"], r["key"], r["reason"]) for r in plan["rejects"]}  # type: ignore[attr-defined]
    assert ("Vehicle", "1203", "la ligne dépasse 32 Mio") in rejects
    assert {key for _, key, _ in rejects} == {"1203", "sortie-interne", "prix-impossible"}
    assert counts(plan)["Event"] == {"update": 1, "reject": 2}
    assert plan["deletes"] == []


def test_missing_columns_get_defaults_and_the_plan_names_them(terminal: Terminal, old: str, database: str) -> None:
    fill(old, 'ALTER TABLE "Vehicle" DROP COLUMN "isPublic", DROP COLUMN fuel')
    plan = plan_of(terminal, old, database, "--table", "vehicle")

    assert counts(plan) == {"Vehicle": {"insert": 3}}
    assert {
        "Vehicle : colonnes absentes, valeurs par défaut : isPublic, fuel",
        "Vehicle : isPublic absent (3)",
    } <= set(plan["warnings"])  # type: ignore[call-overload]


WRONG = [
    ('DROP TABLE "Event"', "n'a pas de table Event que ce rôle puisse voir", "--table vehicle --table member."),
    (
        'DROP TABLE "Event", "Vehicle", members',
        "n'a pas de table Vehicle, Event, members",
        "Vérifiez le nom de la base",
    ),
    ('ALTER TABLE "Event" DROP COLUMN date', "la table Event n'a pas de colonne date (colonnes : id, title, ", "JSON"),
    ("CREATE SCHEMA away; ALTER TABLE members SET SCHEMA away", "n'a pas de table members", "--table vehicle"),
]


@pytest.mark.parametrize(("change", "said", "cure"), WRONG)
def test_a_database_that_is_not_the_predecessor_s_is_one_sentence_with_its_cure(
    terminal: Terminal, old: str, database: str, change: str, said: str, cure: str
) -> None:
    fill(old, change)

    code, out, errors = terminal("restore", old, "--apply", "--yes", url=database)

    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("❌ postgresql:///ancienne_")
    assert said in errors
    assert cure in errors
    assert not run_sql(database, "SELECT FROM vehicle")


def test_a_role_without_the_right_is_told_the_statement_that_gives_it(
    terminal: Terminal, old: str, database: str
) -> None:
    with a_role(old) as role:
        code, _, errors = terminal("restore", as_role(old, role), url=database)
        run_sql(
            old,
            f'GRANT SELECT ON "Vehicle", "Event", members TO {role}',
            "ALTER TABLE members ENABLE ROW LEVEL SECURITY",
        )
        policy = terminal("restore", as_role(old, role), url=database)

    assert (code, f'Avec le propriétaire : GRANT SELECT ON "Vehicle" TO {role};' in errors) == (1, True)
    assert policy[0] == 1
    assert 'row-level security policy for table "members"' in policy[2]
    assert "BYPASSRLS" in policy[2]


def test_our_own_database_is_no_source(terminal: Terminal, server: str, template: str, database: str) -> None:
    fill(database, SCHEMA)
    same = terminal("restore", database, url=database)
    ours = terminal("restore", at(server, template), url=database)

    assert (same[0], ours[0]) == (1, 1)
    assert "est la base de DATABASE_URL elle-même. Donnez à RétroBus API une base à elle" in same[2]
    assert "est une base de RétroBus API, pas celle du prédécesseur : là-bas, retrobus backup create" in ours[2]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a PostgreSQL that asks for a password."""
    with embedded_postgres(tmp_path_factory.mktemp("guarded"), port=free_port()) as postgres:
        [hba] = run_sql(postgres.url(), "SHOW hba_file")
        run_sql(
            postgres.url(), f"CREATE ROLE ancien LOGIN PASSWORD '{SECRET}'", "CREATE DATABASE ancienne OWNER ancien"
        )
        Path(hba["hba_file"]).write_text("local all postgres trust\nhost all ancien 127.0.0.1/32 scram-sha-256\n")
        [[before, _]] = run_sql(postgres.url(), "SELECT pg_conf_load_time()::text, pg_reload_conf()")
        until(lambda: run_sql(postgres.url(), f"SELECT WHERE pg_conf_load_time() <> '{before}'"), "the new rules")
        yield f"127.0.0.1:{postgres.port}"


@pytest.fixture
def no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of no machine is unknown at once: a name server out of reach would let it wait."""
    look_up = socket.getaddrinfo

    def found(host: str, *more: Any, **named: Any) -> Any:
        if host == "nulle-part.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    ("address", "said", "cure"),
    [
        ("ancien:pas-le-bon@{place}/ancienne", "l'utilisateur ou le mot de passe est refusé (28P01)", "~/.pgpass"),
        ("intrus:pas-le-bon@{place}/ancienne", "l'utilisateur ou le mot de passe est refusé (28000)", "pg_hba.conf"),
        ("ancien:{secret}@{place}/inconnue", "la base n'existe pas (3D000)", "psql --list"),
        ("ancien:{secret}@127.0.0.1:{free}/ancienne", "aucun serveur n'écoute à cette adresse", "pare-feu"),
        ("ancien:{secret}@nulle-part.invalid/ancienne", "le nom d'hôte est inconnu", "Vérifiez l'adresse"),
        ("ancien:{secret}@{place}/ancienne?sslmode=require", "TLS", "Vérifiez l'adresse"),
        ("ancien:{secret}@{place}/ancienne", "n'a pas de table Vehicle, Event, members", "droit USAGE"),
        ("ancien:p@ss@{place}/ancienne", "hôte ou port illisible", "%40"),
        ("ancien:12/{secret}@{place}/ancienne", "hôte ou port illisible", "%2F"),
        ("ancien:{secret}@{place}/ancienne?sslmod=no", "paramètre inconnu", "sslmode"),
    ],
)
@pytest.mark.usefixtures("no_name_server")
def test_no_failure_to_connect_prints_the_password(
    terminal: Terminal, guarded: str, database: str, address: str, said: str, cure: str
) -> None:
    url = "postgres://" + address.format(place=guarded, secret=quote(SECRET), free=free_port())

    code, out, errors = terminal("restore", url, url=database)

    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert said in errors
    assert cure in errors
    assert not [part for part in (SECRET, quote(SECRET), "pas-le-bon", "p@ss", "ancien:") if part in errors]


def test_only_restore_takes_an_address_and_no_other_command_repeats_one(terminal: Terminal, database: str) -> None:
    code, out, errors = terminal("backup", "show", f"postgresql://u:{SECRET}@localhost", url=database)
    other = terminal("restore", f"mysql://u:{SECRET}@localhost/x", url=database)

    assert (code, out, other[0]) == (1, "", 1)
    assert "seul retrobus restore lit une base, par postgresql://…" in errors
    assert SECRET not in errors + other[2]


def test_what_a_folder_that_cannot_be_written_prevents_is_told(terminal: Terminal, old: str, database: str) -> None:
    Path("occupied").write_text("")

    code, _, errors = terminal("restore", old, url=database, BACKUPS_DIR="occupied")

    assert (code, "occupied" in errors, "La copie de l'ancienne base s'écrit là." in errors) == (1, True, True)


def test_the_schema_is_made_beside_the_predecessor_s_tables_and_leaves_them_alone(terminal: Terminal, old: str) -> None:
    before = run_sql(old, CONTENT)
    code, said, _ = terminal("db", "upgrade", url=old)
    again = terminal("db", "upgrade", url=old)

    assert (code, again[0], run_sql(old, CONTENT)) == (0, 0, before)
    assert "ℹ️  Cette base contient les tables du prédécesseur (Vehicle, Event, members)" in said
    assert "✅ Schéma à la révision" in said


def test_a_table_of_another_program_with_a_name_of_ours_ends_the_upgrade_before_it_begins(
    terminal: Terminal, old: str
) -> None:
    fill(old, 'ALTER TABLE "Vehicle" RENAME TO vehicle')

    code, _, errors = terminal("db", "upgrade", url=old)

    assert (code, "déjà des tables vehicle d'un autre programme" in errors) == (1, True)
    assert not run_sql(old, "SELECT WHERE to_regclass('alembic_version') IS NOT NULL")


def test_a_server_that_does_not_know_a_setting_of_our_sessions_is_read_all_the_same(
    terminal: Terminal, old: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 13 refuses `idle_session_timeout` in these words."""
    monkeypatch.setitem(session.UNHURRIED, "reglage_de_demain", "0")

    assert counts(plan_of(terminal, old, database))["Vehicle"] == {"insert": 3}
