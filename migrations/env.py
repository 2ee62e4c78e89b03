"""How Alembic reaches the database: DATABASE_URL of the settings, or the connection handed over by the caller."""

import asyncio
import sys

from alembic import context
from pydantic import ValidationError
from sqlalchemy import Connection, text

from retrobus.database.migrate import LOCK_TIMEOUT, check_server, connect, oldest_supported
from retrobus.model.tables import metadata
from retrobus.settings import Settings, UnreadableFile, complaints

TURN = "hashtext('retrobus:migrate')"
PATIENCE = "10min"
SERVER = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"


def _run(connection: Connection) -> None:
    """One transaction for the whole upgrade; two upgrades at once take turns."""
    version, encoding = connection.exec_driver_sql(SERVER).one()
    check_server(version, encoding)
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        _take_turn(connection)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")  # not for the turn just waited for
        context.run_migrations()
        _note_support(connection)


def _note_support(connection: Connection) -> None:
    """Writes the oldest revision whose code works with the schema as it is now, for the services that still run it."""
    if connection.exec_driver_sql("SELECT to_regclass('schema_support')").scalar() is None:
        return
    current = context.get_context().get_current_revision()
    connection.exec_driver_sql("DELETE FROM schema_support")
    if current is not None:
        oldest = oldest_supported(context.script, current)
        connection.execute(text("INSERT INTO schema_support VALUES (:oldest)"), {"oldest": oldest})


def _take_turn(connection: Connection) -> None:
    """Keeps other upgrades out until this one commits; a wait for one is told, and ends."""
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
