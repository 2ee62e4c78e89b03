"""The migrations: what they build, that the models say the same, and how they behave under load and failure."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from builders import PIXEL
from harness import Process, at, process, run_sql, until
from retrobus.database import migrate
from retrobus.repair.findings import Findings, look
from schemas import COLUMNS, CONSTRAINTS, FUNCTIONS, INDEXES, TRIGGERS, build_from_models, schema, seen

ROOT = Path(__file__).parents[2]

EVERYTHING = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND relname NOT LIKE 'alembic_version%'
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""
WAITING = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND now() - waitstart > interval '300 ms'"""

STAMPS = """SELECT parc, updated_at FROM vehicle UNION SELECT id, updated_at FROM event
UNION SELECT id, updated_at FROM member ORDER BY 1"""
AUTHORS = "SELECT updated_by FROM vehicle UNION SELECT updated_by FROM event UNION SELECT updated_by FROM member"

NewDatabase = Callable[[], str]


@pytest.fixture
def new_database(server: str) -> Iterator[NewDatabase]:
    """Makes empty databases, and drops them in the end."""
    names: list[str] = []

    def make() -> str:
        names.append(f"retrobus_migrations_{os.urandom(5).hex()}")
        run_sql(server, f"CREATE DATABASE {names[-1]}")
        return at(server, names[-1])

    yield make
    for name in names:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def with_a_bad_migration(folder: Path, url: str) -> Config:
    """The migrations, and after them one that makes a table and then fails."""
    shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "migrations/versions/9999_bad.py").write_text(
        f"""from alembic import op
revision, down_revision = "9999", "{migrate.head()}"


def upgrade():
    op.execute("CREATE TABLE half_done (id int)")
    op.execute("SELECT 1 / 0")
"""
    )
    config = Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


@pytest.fixture(scope="module")
def models(server: str) -> Iterator[str]:
    """A database made from the models and the trigger texts, without any migration."""
    name = f"retrobus_models_{os.getpid()}"
    run_sql(server, f"CREATE DATABASE {name}")
    build_from_models(at(server, name))
    yield at(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES, FUNCTIONS, TRIGGERS])
def test_the_models_say_what_the_migrations_build(query: str, database: str, models: str) -> None:
    built = seen(database, query)

    assert built == seen(models, query)
    assert built


def test_every_migration_can_be_taken_back_and_done_again(database: str) -> None:
    before = schema(database)

    migrate.downgrade(database, "base")
    left = seen(database, EVERYTHING)
    migrate.upgrade(database)

    assert left == []
    assert schema(database) == before


@pytest.mark.parametrize("revision", [revision for revision, _ in migrate.history()])
def test_rows_of_every_older_revision_are_as_the_triggers_of_today_write_them(
    revision: str, new_database: NewDatabase, tmp_path: Path
) -> None:
    url = new_database()
    migrate.upgrade(url, revision)
    run_sql(
        url,
        "INSERT INTO vehicle (parc, modele, fuel, gallery) VALUES ('920', 'Citaro ♿', 33.333333333333336, '[\"a\"]')",
        f"INSERT INTO vehicle (parc, background_image, gallery) VALUES ('n° 7', '{PIXEL}', '[\"a\", \"{PIXEL}\"]')",
        f"INSERT INTO vehicle (parc, gallery) VALUES ('8', '[\"{PIXEL}\"]')",
        "INSERT INTO event (id, title, date, vehicle_id, extras) VALUES ('e', 'Fête', '2026-05-01', '920', '{}')",
        "INSERT INTO member (id, email, payment_amount) VALUES ('m', 'm@example.org', 12.50)",
        "DELETE FROM event",
        "INSERT INTO event (id, title, date, vehicle_id) VALUES ('kept', 'Visite', '2026-05-02', '920')",
    )
    before = run_sql(url, STAMPS)

    migrate.upgrade(url)

    async def findings() -> Findings:
        connection = await asyncpg.connect(url)
        try:
            return await look(connection, tmp_path)
        finally:
            await connection.close()

    assert asyncio.run(findings()) == Findings()
    assert run_sql(url, STAMPS) == before, "no one changed the rows"
    if revision < "0011":
        assert {row["updated_by"] for row in run_sql(url, AUTHORS)} == {None}, "no one knows who wrote them"
    assert json.loads(run_sql(url, "SELECT wire_public || '}' FROM event")[0][0])["vehicleId"] == "920"


def test_an_upgrade_with_nothing_to_do_changes_nothing(database: str) -> None:
    [identity] = seen(database, "SELECT id FROM database_identity")

    migrate.upgrade(database)

    assert seen(database, "SELECT id FROM database_identity") == [identity]
    assert migrate.current(database) == migrate.head()


def test_alembic_in_the_root_folder_does_what_retrobus_db_upgrade_does(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    by_alembic, by_retrobus = new_database(), new_database()

    alembic = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": by_alembic},
        capture_output=True,
        text=True,
        check=False,
    )
    retrobus = Process(["db", "upgrade"], tmp_path, {"DATABASE_URL": by_retrobus})

    assert alembic.returncode == 0, alembic.stderr
    assert retrobus.wait() == 0, retrobus.log
    assert schema(by_alembic) == schema(by_retrobus)
    assert migrate.current(by_alembic) == migrate.current(by_retrobus) == migrate.head()


def test_alembic_without_a_database_says_so_in_one_sentence(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "upgrade", "head"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == "DATABASE_URL manque : indiquez la base à migrer (voir .env.example).\n"


def test_a_migration_that_cannot_have_its_lock_gives_up_and_leaves_everything(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "200ms")
    before = schema(database)

    async def downgrade_while_somebody_reads() -> None:
        reader = await asyncpg.connect(database)
        await reader.execute("BEGIN")
        await reader.execute("SELECT FROM event")
        try:
            await asyncio.to_thread(migrate.downgrade, database, "base")
        finally:
            await reader.close()

    with pytest.raises(DBAPIError, match="lock timeout"):
        asyncio.run(downgrade_while_somebody_reads())
    assert schema(database) == before


def test_two_upgrades_at_once_take_turns(new_database: NewDatabase, tmp_path: Path) -> None:
    url = new_database()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()

    running = [Process(["db", "upgrade"], folder, {"DATABASE_URL": url}) for folder in folders]

    assert [process.wait() for process in running] == [0, 0], [process.log for process in running]
    assert migrate.current(url) == migrate.head()


def test_an_upgrade_waits_for_its_turn_longer_than_for_a_lock(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "50ms")
    url = new_database()

    async def upgrade_after_a_long_one() -> None:
        other = await asyncpg.connect(url)
        await other.execute("SELECT pg_advisory_lock(hashtext('retrobus:migrate'))")
        upgrade = asyncio.create_task(asyncio.to_thread(migrate.upgrade, url))
        await asyncio.to_thread(until, lambda: seen(url, WAITING) == [(1,)])
        await other.close()
        await upgrade

    asyncio.run(upgrade_after_a_long_one())

    assert "Une autre migration de cette base est en cours" in capfd.readouterr().err
    assert migrate.current(url) == migrate.head()


def test_a_failing_migration_leaves_nothing_of_itself_nor_of_those_before_it(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    url = new_database()

    with pytest.raises(DBAPIError, match="division by zero"):
        command.upgrade(with_a_bad_migration(tmp_path, url), "head")

    assert seen(url, EVERYTHING) == []
    assert migrate.current(url) is None


def test_a_wheel_carries_the_migrations(tmp_path: Path) -> None:
    wheel = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(wheel, cwd=ROOT, check=True, capture_output=True)
    [built] = tmp_path.glob("*.whl")

    with zipfile.ZipFile(built) as archive:
        packed = {name.removeprefix("retrobus/") for name in archive.namelist()}

    files = {str(path.relative_to(ROOT)) for path in (ROOT / "migrations").rglob("*.py")}
    assert packed >= files | {"sample.json", "py.typed"}


def test_an_older_server_is_refused_with_the_version_that_is_needed() -> None:
    with pytest.raises(CommandError, match=r"PostgreSQL 15 ou plus récent est nécessaire \(ici : 14\)"):
        migrate.check_server(140_011, "UTF8")


@pytest.mark.parametrize(("compatible", "status"), [(True, 200), (False, 503)])
def test_a_running_service_stays_ready_after_a_newer_migration_that_says_it_may(
    compatible: bool,  # noqa: FBT001 - a parameter of the test
    status: int,
    tmp_path: Path,
    new_database: NewDatabase,
) -> None:
    url = new_database()
    migrate.upgrade(url)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "migrations/versions/9999_newer.py").write_text(
        f"""from alembic import op
revision, down_revision, compatible = "9999", "{migrate.head()}", {compatible}
def upgrade():
    op.get_bind().exec_driver_sql("ALTER TABLE vehicle ADD COLUMN later text")
"""
    )
    config = Config()
    config.set_main_option("script_location", str(tmp_path / "migrations"))
    config.attributes["url"] = url
    with process(url, tmp_path) as (api, _):
        until(lambda: api.get("/ready").status_code == 200, "a ready service")
        admin = api.person("ADMIN").headers

        command.upgrade(config, "head")

        until(lambda: api.get("/ready").json()["revision"]["found"] == "9999", "the newer revision")
        ready = api.get("/ready")
        created = api.post("/api/vehicles", json={"parc": "920"}, headers=admin)
        read = api.get("/api/vehicles/920", headers=admin)

    assert ready.status_code == status
    assert (created.status_code, read.status_code) == (201, 200)
