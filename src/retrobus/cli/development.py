"""What `retrobus dev` makes before it serves: database, schema, sample, ADMIN, and lines to copy into a terminal."""

from __future__ import annotations

import os
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

from retrobus.cli.development_account import ADMIN_EMAIL, kept_password, kept_secret, login_lines
from retrobus.cli.members import add_admin
from retrobus.cli.postgres import url_or_exit, with_connection
from retrobus.cli.terminal import counted, stop, warn
from retrobus.database import migrate
from retrobus.development import sample
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres
from retrobus.development.postgres_programs import TEMPORARY
from retrobus.development.running import DATABASE
from retrobus.model.resources import ALL
from retrobus.settings import Settings

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection

DEAD = "PostgreSQL embarqué est mort (son journal : {log}) : Ctrl-C, puis make run"


@contextmanager
def prepared(data: Path, base_url: str) -> Iterator[None]:
    """Sets DATABASE_URL and JWT_SECRET in the environment of the service, unless they are set already."""
    if Settings().jwt_secret is None:
        os.environ["JWT_SECRET"] = kept_secret(data)
    if _is_of_a_former_run(os.environ.get("DATABASE_URL", ""), data):
        typer.echo("ℹ️  DATABASE_URL est celle d'un « make run » précédent : elle est ignorée.")
        del os.environ["DATABASE_URL"]
    if Settings().database_url is not None:
        _prepare(base_url, data)
        yield
        return
    typer.echo(f"🐘 PostgreSQL embarqué dans {data}/ …")
    with _embedded(data / "postgres") as server:
        server.tell_death(lambda: warn(DEAD.format(log=data / "postgres" / "postgres.log")))
        os.environ["DATABASE_URL"] = server.url()
        with_connection(_make_database)
        os.environ["DATABASE_URL"] = server.url(DATABASE)
        _prepare(base_url, data, server.url(DATABASE))
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


def _prepare(base_url: str, data: Path, own_url: str | None = None) -> None:
    """Fills the database and prints what a developer needs; `own_url` if it is the embedded one."""
    migrate.upgrade(url_or_exit())
    added = with_connection(lambda connection: _fill(connection, data))
    if added:
        typer.echo(f"🚌 Collection d'exemple chargée : {added}")
    login = with_connection(lambda connection: login_lines(connection, base_url, data, own=own_url is not None))
    studio = [f"🧰 Studio, la page des bénévoles : {base_url}/studio/"] if Settings().studio else []
    more, ending = _path_line(), "Ctrl-C arrête le service."
    if own_url is not None:
        more = ["", "Pour psql et les autres commandes :", "", *more, f"export DATABASE_URL='{own_url}'"]
        ending = "Ctrl-C arrête le service et sa base ; les données restent."
    where = [f"✅ API sur {base_url} - référence : {base_url}/docs", *studio]
    typer.echo("\n".join(("", *where, "", *login, *more, "", ending, "")))


async def _make_database(connection: AnyConnection) -> None:
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
        await connection.execute(f"CREATE DATABASE {DATABASE}")


async def _fill(connection: AnyConnection, data: Path) -> str:
    """Inserts the sample once, and says how many rows; a database that ever held a row keeps what it has."""
    used = await connection.fetchval("SELECT is_called FROM row_version")
    if used:
        return ""
    collection = sample.collection()
    async with connection.transaction():
        for resource in ALL:
            await _insert(connection, resource.table.name, collection[resource.name])
        await add_admin(connection, ADMIN_EMAIL, kept_password(data))
    return counted({name: len(rows) for name, rows in collection.items()})


async def _insert(connection: AnyConnection, table: str, rows: list[dict[str, object]]) -> None:
    """Inserts rows that all have the same columns."""
    names = list(rows[0])
    places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - names from our own sample
    await connection.executemany(insert, [[row[name] for name in names] for row in rows])
