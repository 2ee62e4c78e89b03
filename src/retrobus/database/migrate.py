"""Runs the migrations: `retrobus db upgrade` and `alembic upgrade head` are the same thing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from retrobus.database.pooler import OwnNames
from retrobus.database.revisions import OLDEST_SERVER
from retrobus.database.session import connect_for_command

LOCK_TIMEOUT = "5s"
"""How long a migration waits for a lock: while it waits, every request waits behind it."""


def check_server(version: int, encoding: str) -> None:
    """CommandError if a database of this server could not hold what clients write; `version` is server_version_num."""
    if version < OLDEST_SERVER * 10_000:
        raise CommandError(f"PostgreSQL {OLDEST_SERVER} ou plus récent est nécessaire (ici : {version // 10_000})")
    if encoding != "UTF8":
        raise CommandError(
            f"la base est en {encoding}, où les accents se perdent ; "
            "créez-en une autre : CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection for migrations, opened like that of every command."""

    async def create() -> OwnNames:
        return await connect_for_command(url, 10, "retrobus migrate")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=create, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _folder() -> Path:
    """Beside `src` in a checkout; inside the package when installed from a wheel."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parents[1] / "migrations"


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def scripts() -> ScriptDirectory:
    """The migrations of this version of the code."""
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """The revision that this version of the code expects."""
    revision = scripts().get_current_head()
    if revision is None:
        raise RuntimeError(f"no migration in {_folder()}")
    return revision


def oldest_supported(known: ScriptDirectory, revision: str) -> str:
    """The oldest revision whose code works with this one: each migration that says `compatible` is stepped over.

    For example: 0007 and 0006 say so, 0005 does not. Code that expects 0005, 0006 or 0007 works with 0007.
    """
    script = known.get_revision(revision)
    while getattr(script.module, "compatible", False) and isinstance(script.down_revision, str):
        script = known.get_revision(script.down_revision)
    return script.revision


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the schema up to the revision, in one transaction; nothing to do is no error."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Takes the schema back to the revision; columns and tables of later ones are dropped with their data."""
    command.downgrade(_config(url), revision)


def current(url: str) -> str | None:
    """The revision of the database; None before the first migration."""

    async def ask() -> str | None:
        async with connect(url) as connection:
            return await connection.run_sync(lambda on: MigrationContext.configure(on).get_current_revision())

    return asyncio.run(ask())


def history() -> list[tuple[str, str]]:
    """Every revision with its subject, newest first."""
    return [(script.revision, script.doc) for script in scripts().walk_revisions()]
