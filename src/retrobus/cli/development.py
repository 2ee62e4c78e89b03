"""What `retrobus dev` makes before it serves: database, schema, sample, ADMIN, and lines to copy into a terminal."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import typer

from retrobus.cli.members import add_admin, find_account, signed
from retrobus.cli.postgres import url_or_exit, with_connection
from retrobus.cli.terminal import counted, stop, warn
from retrobus.database import migrate
from retrobus.development import sample
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres
from retrobus.development.postgres_programs import TEMPORARY, private_file
from retrobus.model.resources import ALL
from retrobus.settings import Settings

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection

DATABASE = "retrobus"
DEAD = "PostgreSQL embarqué est mort (son journal : {log}) : Ctrl-C, puis make run"
ADMIN_EMAIL = "admin@example.org"


@contextmanager
def prepared(data: Path, base_url: str) -> Iterator[None]:
    """Sets DATABASE_URL and JWT_SECRET in the environment of the service, unless they are set already."""
    if Settings().jwt_secret is None:
        os.environ["JWT_SECRET"] = _kept_secret(data / "jwt-secret")
    if _is_of_a_former_run(os.environ.get("DATABASE_URL", ""), data):
        typer.echo("ℹ️  DATABASE_URL est celle d'un « make run » précédent : elle est ignorée.")
        del os.environ["DATABASE_URL"]
    if Settings().database_url is not None:
        _prepare(base_url, _path_line(), "Ctrl-C arrête le service.")
        yield
        return
    typer.echo(f"🐘 PostgreSQL embarqué dans {data}/ …")
    with _embedded(data / "postgres") as server:
        server.tell_death(lambda: warn(DEAD.format(log=data / "postgres" / "postgres.log")))
        os.environ["DATABASE_URL"] = server.url()
        with_connection(_make_database)
        os.environ["DATABASE_URL"] = server.url(DATABASE)
        psql = f"export DATABASE_URL='{server.url(DATABASE)}'"
        more = ["", "Pour psql et les autres commandes :", "", *_path_line(), psql]
        _prepare(base_url, more, "Ctrl-C arrête le service et sa base ; les données restent.")
        yield
    typer.echo("🐘 PostgreSQL arrêté ; les données restent.")


def _is_of_a_former_run(url: str, data: Path) -> bool:
    """Whether this address is that of the embedded database, which a person pasted and which listens no more.

    For example: in a terminal in which the printed `export DATABASE_URL=…` was pasted, `make run` is called again.
    """
    [host] = parse_qs(urlsplit(url).query).get("host", [""])[:1]
    own = (data / "postgres" / "socket").resolve()
    return bool(host) and (Path(host) == own or (Path(host).name.startswith(TEMPORARY) and not Path(host).exists()))


def _path_line() -> list[str]:
    """The line by which another terminal finds the command `retrobus`; none if this one finds it already."""
    folder = Path(sys.executable).parent
    if shutil.which("retrobus") is not None or not (folder / "retrobus").exists():
        return []
    return [f"export PATH={shlex.quote(str(folder))}:$PATH"]


@contextmanager
def _embedded(folder: Path, **settings: str) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL for the time of the block; the command ends if it cannot run."""
    try:
        with embedded_postgres(folder, settings=settings) as server:
            yield server
    except EmbeddedPostgresError as error:
        raise stop(str(error)) from None


@contextmanager
def migrated_url() -> Iterator[str]:
    """The address of a database at the newest revision: DATABASE_URL, or an embedded one that goes with the block."""
    if Settings().database_url is not None:
        url = url_or_exit()
        if migrate.current(url) != migrate.head():
            raise stop("le schéma de DATABASE_URL n'est pas à jour : retrobus db upgrade")
        yield url
        return
    with TemporaryDirectory() as folder, _embedded(Path(folder) / "postgres", fsync="off") as server:
        migrate.upgrade(server.url())
        yield server.url()


def _prepare(base_url: str, more: list[str], ending: str) -> None:
    migrate.upgrade(url_or_exit())
    added = with_connection(_fill)
    if added:
        typer.echo(f"🚌 Collection d'exemple chargée : {added}")
    row = with_connection(lambda connection: find_account(connection, ADMIN_EMAIL))
    token = signed(Settings(), row) if row is not None and row["status"] == "active" else None
    typer.echo("\n".join(("", *_lines(base_url, token), *more, "", ending, "")))


async def _make_database(connection: AnyConnection) -> None:
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
        await connection.execute(f"CREATE DATABASE {DATABASE}")


async def _fill(connection: AnyConnection) -> str:
    """Inserts the sample once, and says how many rows; a database that ever held a row keeps what it has."""
    used = await connection.fetchval("SELECT is_called FROM row_version")
    if used:
        return ""
    collection = sample.collection()
    async with connection.transaction():
        for resource in ALL:
            await _insert(connection, resource.table.name, collection[resource.name])
        await add_admin(connection, ADMIN_EMAIL)
    return counted({name: len(rows) for name, rows in collection.items()})


async def _insert(connection: AnyConnection, table: str, rows: list[dict[str, object]]) -> None:
    """Inserts rows that all have the same columns."""
    names = list(rows[0])
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - names from our own sample
    await connection.executemany(insert, [[row[name] for name in names] for row in rows])


def _lines(base: str, token: str | None) -> list[str]:
    """What a developer pastes into another terminal."""
    lines = [f"✅ API sur {base} - référence : {base}/docs", ""]
    if token is None:
        login = f"puis POST {base}/api/auth/login"
        return [*lines, f"{ADMIN_EMAIL} n'est plus un compte actif : retrobus member create-admin, {login}"]
    return [
        *lines,
        "À coller dans un autre terminal :",
        "",
        f"export TOKEN={token}",
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/events',
        f'curl -H "Authorization: Bearer $TOKEN" {base}/api/vehicles',
        f"curl {base}/public/vehicles",
    ]


def _kept_secret(path: Path) -> str:
    """The development secret of this checkout: random, made once, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        fresh = path.with_suffix(".new")
        with open(fresh, "w", opener=private_file) as file:
            file.write(secrets.token_urlsafe(48))
        fresh.rename(path)
    return path.read_text().strip()
