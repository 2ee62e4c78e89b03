"""Runs the migrations for Alembic, on the database of DATABASE_URL or on the URL that `retrobus db` hands over."""

import asyncio
import sys

from alembic import context
from pydantic import ValidationError
from sqlalchemy import Connection, text

from retrobus.database.migrate import LOCK_TIMEOUT, check_server, connect, oldest_supported
from retrobus.model.tables import metadata
from retrobus.settings import Settings
from retrobus.settings.complaints import complaints
from retrobus.settings.env_files import UnreadableFile

TURN = "hashtext('retrobus:migrate')"
"""Key of the advisory lock that one upgrade of a database holds."""

PATIENCE = "10min"
"""How long an upgrade waits for another one: longer than a migration of a large table takes."""

SERVER = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"


def _run(connection: Connection) -> None:
    """Runs the whole upgrade in one transaction; a second upgrade of the same database waits for the first."""
    version, encoding = connection.exec_driver_sql(SERVER).one()
    check_server(version, encoding)
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        _take_turn(connection)
        # Only now: the wait for another upgrade has its own, longer limit.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        context.run_migrations()
        _note_support(connection)


def _note_support(connection: Connection) -> None:
    """Notes the oldest revision whose code works with the new schema: services of that version stay ready."""
    if connection.exec_driver_sql("SELECT to_regclass('schema_support')").scalar() is None:
        return
    current = context.get_context().get_current_revision()
    connection.exec_driver_sql("DELETE FROM schema_support")
    if current is not None:
        oldest = oldest_supported(context.script, current)
        connection.execute(text("INSERT INTO schema_support VALUES (:oldest)"), {"oldest": oldest})


def _take_turn(connection: Connection) -> None:
    """Takes the lock that keeps other upgrades out until this one commits.

    If another upgrade holds it, says so on standard error and waits; the driver's error after PATIENCE.
    """
    if connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({TURN})").scalar_one():
        return
    sys.stderr.write(f"Une autre migration de cette base est en cours : attente de sa fin ({PATIENCE} au plus)…\n")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")


async def _run_async(url: str) -> None:
    async with connect(url) as connection:
        await connection.run_sync(_run)
        await connection.commit()


def _url() -> str:
    given: str | None = context.config.attributes.get("url")
    return given or _configured()


def _configured() -> str:
    try:
        url = Settings().database_url
    except (ValidationError, UnreadableFile) as error:
        raise SystemExit("\n".join(complaints(error))) from None
    if url is None:
        raise SystemExit("DATABASE_URL manque : indiquez la base à migrer (voir .env.example).")
    return url.get_secret_value()


asyncio.run(_run_async(_url()))
