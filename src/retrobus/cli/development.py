"""Everything that `retrobus dev` makes before it serves: database, schema, sample data, ADMIN, curl lines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import typer

from retrobus import migrate, sample
from retrobus.cli.members import add_admin, find_account, signed
from retrobus.cli.postgres import with_connection
from retrobus.embedded import embedded_postgres
from retrobus.settings import Settings

DATABASE = "retrobus"
ADMIN_EMAIL = "admin@example.org"


@contextmanager
def prepared(data: Path, port: int) -> Iterator[None]:
    """Leaves DATABASE_URL in the environment for the service; a DATABASE_URL that is set already is used as it is."""
    if Settings().database_url is not None:
        _prepare(port)
        yield
        return
    typer.echo(f"🐘 PostgreSQL embarqué dans {data}/ …")
    with embedded_postgres(data / "postgres") as server:
        os.environ["DATABASE_URL"] = server.url()
        with_connection(_make_database)
        os.environ["DATABASE_URL"] = server.url(DATABASE)
        _prepare(port)
        yield
    typer.echo("🐘 PostgreSQL arrêté ; les données restent.")


def _prepare(port: int) -> None:
    settings = Settings()
    migrate.upgrade(settings.database_url.get_secret_value() if settings.database_url else "")
    added = with_connection(_fill)
    if added:
        typer.echo(f"🚌 Collection d'exemple chargée : {added}")
    row = with_connection(lambda connection: find_account(connection, ADMIN_EMAIL))
    if row is not None and row["status"] == "active":
        _print_lines(f"http://localhost:{port}", signed(settings, row))


async def _make_database(connection: Any) -> None:
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
        await connection.execute(f"CREATE DATABASE {DATABASE}")


async def _fill(connection: Any) -> str:
    """The sample, once: a database that ever held a row, even one deleted since, is left alone."""
    used = await connection.fetchval("SELECT is_called FROM row_version")
    if used:
        return ""
    async with connection.transaction():
        rows = {"vehicle": sample.vehicles(), "event": sample.events(), "member": sample.members()}
        for table, values in rows.items():
            await insert_rows(connection, table, values)
        await add_admin(connection, ADMIN_EMAIL)
    counts = (
        f"{len(rows['vehicle'])} véhicules",
        f"{len(rows['event'])} événements",
        f"{len(rows['member'])} membres",
    )
    return ", ".join(counts)


async def insert_rows(connection: "asyncpg.Connection[Any]", table: str, rows: list[dict[str, object]]) -> None:
    """Inserts complete rows of one shape."""
    names = list(rows[0])
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    await connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",  # noqa: S608 - names from our own sample
        [[row[name] for name in names] for row in rows],
    )


def _print_lines(base: str, token: str) -> None:
    lines = (
        "",
        f"✅ API prête sur {base} - référence : {base}/docs",
        "",
        "À coller dans un autre terminal :",
        "",
        f"export TOKEN={token}",
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/events',
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/vehicles',
        f"curl {base}/public/vehicles",
        "",
        "Ctrl-C arrête le service et sa base ; les données restent.",
        "",
    )
    typer.echo("\n".join(lines))
