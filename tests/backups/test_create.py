"""Facts about making backups: consistent, whole, private, and written by one at a time."""

import asyncio
import hashlib
import json
import re
import resource
import threading
from pathlib import Path

import asyncpg
import pytest

from harness import run_sql, until
from retrobus.backups import BadBackup, catalog, create, removal
from retrobus.backups.formats import read_backup
from retrobus.backups.manifest import Manifest, read_manifest
from retrobus.files import folder as files

ROWS = """
INSERT INTO vehicle (parc, modele, gallery, fuel) VALUES ('920', 'Citaro ♿ "C1"', '["/a.jpg", 1.10]', 49.5);
INSERT INTO vehicle (parc, is_public) SELECT 'P' || n, true FROM generate_series(1, 30) AS n;
INSERT INTO event (id, title, date, vehicle_id, adult_price, extras)
  VALUES ('e1', E'Fête\\tdu dépôt', '2025-09-20', '920', 12.50, '{"isVisible": true, "x": 1.00000000000000000001}');
INSERT INTO member (id, email, password_hash, permissions) VALUES ('m1', 'm1@example.org', '$argon2id$x', '["A"]');
DELETE FROM vehicle WHERE parc = 'P30';
"""


def fill(url: str) -> None:
    run_sql(url, *(statement for statement in ROWS.split(";\n") if statement.strip()))


def make(url: str, folder: Path, note: str | None = None) -> Manifest:
    async def run() -> Manifest:
        connection = await asyncpg.connect(url)
        try:
            return await create.create(connection, folder, note=note)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_backup_holds_every_row_value_for_value(database: str, tmp_path: Path) -> None:
    fill(database)

    backup = read_backup(tmp_path / make(database, tmp_path).name)

    for resource_, rows in backup.rows.items():
        table = resource_.lower()
        columns = ", ".join(rows[0])
        key = "parc" if table == "vehicle" else "id"
        assert rows == [dict(row) for row in run_sql(database, f"SELECT {columns} FROM {table} ORDER BY {key}")]
    assert [(t.resource, t.key, t.cause) for t in backup.tombstones] == [("Vehicle", "P30", "sql")]


def test_a_backup_is_readable_by_whatever_reads_tables_with_counts_and_data(database: str, tmp_path: Path) -> None:
    fill(database)

    document = json.loads((tmp_path / make(database, tmp_path).name / "data.json").read_bytes())

    vehicle = document["tables"]["Vehicle"]
    assert vehicle["count"] == len(vehicle["data"]) == 30
    assert vehicle["data"][0]["parc"] == "920"
    assert document["tables"]["members"]["data"][0]["email"] == "m1@example.org"


def test_a_manifest_tells_sum_counts_revision_identity_and_position(database: str, tmp_path: Path) -> None:
    fill(database)

    made = make(database, tmp_path, note="avant nettoyage")
    data = (tmp_path / made.name / "data.json").read_bytes()

    assert read_manifest(tmp_path, made.name) == made
    assert (made.sha256, made.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert made.counts == {"Vehicle": 30, "Event": 1, "members": 1, "tombstones": 1}
    assert made.identity == str(run_sql(database, "SELECT id FROM database_identity")[0][0])
    assert made.revision == run_sql(database, "SELECT version_num FROM alembic_version")[0][0]
    assert made.position["rowVersion"] == run_sql(database, "SELECT last_value FROM row_version")[0][0]
    assert (made.kind, made.note) == ("normal", "avant nettoyage")


def test_the_documented_manifest_is_the_one_that_is_written(database: str, tmp_path: Path) -> None:
    fill(database)
    document = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")
    section = document.split("`manifest.json` contient\N{NO-BREAK SPACE}:")[1].split("##")[0]
    documented = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|([^|]+)\|", section, re.MULTILINE))))

    written = json.loads((tmp_path / make(database, tmp_path).name / "manifest.json").read_bytes())

    assert documented == set(written)


def test_members_data_is_readable_by_its_owner_alone(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    name = make(database, folder).name

    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder, folder / name, *(folder / name).iterdir()]}

    assert modes == {"backups": 0o700, name: 0o700, "data.json": 0o600, "manifest.json": 0o600}


def test_a_backup_during_writes_shows_one_instant(database: str, tmp_path: Path) -> None:
    run_sql(
        database,
        "INSERT INTO event (id, title, date) SELECT 'e' || n, '0', '2025-09-20' FROM generate_series(1, 1500) AS n",
    )
    halt = threading.Event()

    def keep_writing() -> None:
        async def write() -> None:
            connection = await asyncpg.connect(database)
            number = 0
            while not halt.is_set():
                number += 1
                await connection.execute("UPDATE event SET title = $1", str(number))
            await connection.close()

        asyncio.run(write())

    writer = threading.Thread(target=keep_writing)
    writer.start()
    until(lambda: run_sql(database, "SELECT FROM event WHERE title <> '0' LIMIT 1"))
    try:
        titles = [{row["title"] for row in read_backup(tmp_path / make(database, tmp_path).name).rows["Event"]}]
        [shown] = titles[0]
        until(lambda: run_sql(database, f"SELECT FROM event WHERE title <> '{shown}' LIMIT 1"), "the next write")
        titles.append({row["title"] for row in read_backup(tmp_path / make(database, tmp_path).name).rows["Event"]})
    finally:
        halt.set()
        writer.join()

    assert [len(found) for found in titles] == [1, 1]
    assert titles[0] != titles[1]


def test_two_backups_at_once_are_refused(database: str, tmp_path: Path) -> None:
    with files.locked(tmp_path, create.LOCK), pytest.raises(BadBackup, match="en cours"):
        make(database, tmp_path)

    assert make(database, tmp_path).kind == "normal"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith("lock"))


def test_a_full_disk_leaves_nothing_half_and_is_said(database: str, tmp_path: Path) -> None:
    run_sql(
        database,
        "INSERT INTO event (id, title, date) SELECT 'e' || n, 'x', '2025-09-20' FROM generate_series(1, 3000) AS n",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BadBackup, match="Aucun backup n'a été fait"):
            make(database, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == []


def test_a_lost_connection_leaves_nothing_half(database: str, tmp_path: Path) -> None:
    run_sql(
        database,
        "INSERT INTO event (id, title, date) SELECT 'e' || n, 'x', '2025-09-20' FROM generate_series(1, 1000) AS n",
    )

    async def cut() -> None:
        connection = await asyncpg.connect(database)
        kill = f"SELECT pg_terminate_backend({connection.get_server_pid()})"

        def progress(_name: str, done: int, _total: int) -> None:
            if done == 500:
                killer = threading.Thread(target=run_sql, args=(database, kill))
                killer.start()
                killer.join()

        await create.create(connection, tmp_path, progress=progress)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        asyncio.run(cut())

    assert names(tmp_path) == []


def test_the_newest_n_ordinary_backups_are_kept_and_safety_and_old_ones_stay(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    (folder / "backup_2020-01-01T00-00-00").mkdir(parents=True)
    (folder / "backup_2020-01-01T00-00-00" / "data.json").write_text('{"Vehicle": []}')
    first, second, third = (make(database, folder).name for _ in range(3))
    catalog.select(folder, first, "le plus sûr")

    with create.alone(folder):
        gone = [entry.name for entry in removal.surplus(folder, 1, 90)]
        removal.delete(folder, gone)

    assert gone == [second]
    assert names(folder) == [
        "backup_2020-01-01T00-00-00", first, third, "index.json", "restore-info.json"
    ]  # fmt: skip
