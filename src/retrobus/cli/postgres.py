"""A connection to Postgres for one command, and what to say when there is none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import typer

from retrobus.settings import Settings
from retrobus.store.availability import is_unavailable

T = TypeVar("T")
TIMEOUT = 10.0


def url_or_exit() -> str:
    """DATABASE_URL, or a sentence about its absence and exit code 78."""
    url = Settings().database_url
    if url is None:
        typer.echo("❌ DATABASE_URL manque : indiquez la base (voir .env.example).", err=True)
        raise typer.Exit(78)
    return url.get_secret_value()


def with_connection(work: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[T]]) -> T:
    """Runs work on one connection; an unreachable Postgres or a missing schema is one sentence and exit code 1."""
    url = url_or_exit()

    async def run() -> T:
        connection = await asyncpg.connect(url, timeout=TIMEOUT, server_settings={"application_name": "retrobus cli"})
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=TIMEOUT)

    try:
        return asyncio.run(run())
    except asyncpg.UndefinedTableError:
        typer.echo("❌ Le schéma manque : retrobus db upgrade", err=True)
    except asyncpg.InvalidAuthorizationSpecificationError:
        typer.echo("❌ PostgreSQL refuse l'utilisateur ou le mot de passe de DATABASE_URL.", err=True)
    except asyncpg.InvalidCatalogNameError:
        typer.echo("❌ La base nommée par DATABASE_URL n'existe pas.", err=True)
    except Exception as error:
        if not is_unavailable(error):
            raise
        typer.echo("❌ PostgreSQL ne répond pas : vérifiez DATABASE_URL et le serveur.", err=True)
    raise typer.Exit(1)
