"""Measures backups: the time and peak memory of create, verify and restore, each in a process of its own.

Usage: python bench/backup.py [EVENTS MEMBERS]   (100,000 and 20,000 unless told otherwise)
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

LIMIT = 200
"""MiB of memory that each command may use: the promise that holds for 100,000 events and 20,000 members."""

ROWS = """
INSERT INTO vehicle (parc, modele) SELECT 'P' || n, 'Citaro' FROM generate_series(1, 200) AS n;
INSERT INTO event (id, title, date, location, description, vehicle_id, adult_price, extras)
  SELECT 'sortie-' || n, 'Fête du dépôt n° ' || n, '2000-01-01'::timestamptz + n * interval '1 hour', 'Dépôt',
    repeat('Visites et navettes en autobus anciens. ', 6), 'P' || n %% 200 + 1, n %% 100 + 0.5,
    '{"isVisible": true, "isFree": false, "eventType": "public_open_access"}' FROM generate_series(1, %d) AS n;
INSERT INTO member (id, first_name, last_name, email, address, city, postal_code, password_hash)
  SELECT 'membre-' || n, 'Camille', 'Exemple ' || n, 'camille.' || n || '@example.org', n || ' rue des Essais', 'Évry',
    '91000', '$argon2id$v=19$m=19456,t=2,p=1$' || md5(n::text) || '$' || md5(n::text) FROM generate_series(1, %d) AS n
"""


async def sql(url: str, *statements: str) -> None:
    """Runs statements one after the other."""
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def measured(label: str, url: str, folder: Path, *arguments: str) -> bool:
    """Runs one command of `retrobus` and prints its time and peak memory; whether it succeeded within LIMIT."""
    environment = os.environ | {"DATABASE_URL": url, "BACKUPS_DIR": str(folder / "backups")}
    command = [sys.executable, "-c", "from retrobus.cli import main; main()", *arguments]
    start = time.monotonic()
    pid = os.posix_spawn(sys.executable, command, environment)
    _, status, usage = os.wait4(pid, 0)
    seconds, mib = time.monotonic() - start, usage.ru_maxrss / 1024
    print(f"{label:<28}{seconds:6.1f} s {mib:6.0f} MiB", flush=True)
    return status == 0 and mib <= LIMIT


def main() -> None:
    """Fills a throw-away database, backs it up, verifies the backup, empties the tables and restores them."""
    events, members = (int(text) for text in (sys.argv[1:3] or ("100000", "20000")))
    with (
        tempfile.TemporaryDirectory() as place,
        embedded_postgres(Path(place) / "postgres") as server,
    ):
        folder, url = Path(place), server.url("bench")
        asyncio.run(sql(server.url(), "CREATE DATABASE bench"))
        migrate.upgrade(url)
        asyncio.run(sql(url, ROWS % (events, members), "VACUUM ANALYZE"))
        fine = [measured("backup create", url, folder, "backup", "create")]
        [name] = (path.name for path in (folder / "backups").iterdir() if path.name.startswith("backup_"))
        fine.append(measured("backup verify", url, folder, "backup", "verify", name))
        fine.append(measured("restore (plan, all the same)", url, folder, "restore", name))
        asyncio.run(sql(url, "UPDATE event SET title = 'x'", "UPDATE member SET city = 'x'"))
        replace = ("restore", name, "--apply", "--yes", "--replace")
        fine.append(measured("restore --replace (all rows)", url, folder, *replace))
        empty = ["SET retrobus.cause = 'clean'", *(f"TRUNCATE {table} CASCADE" for table in ("member", "vehicle"))]
        asyncio.run(sql(url, *empty))
        fine.append(measured("restore (into empty tables)", url, folder, "restore", name, "--apply", "--yes"))
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
