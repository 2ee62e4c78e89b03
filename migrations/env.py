"""How Alembic reaches the database: DATABASE_URL of the settings, or the connection handed over by the caller."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from retrobus.migrate import connect
from retrobus.settings import Settings
from retrobus.tables import metadata


def _run(connection: Connection) -> None:
    """One transaction for the whole upgrade; two upgrades at once take turns."""
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('retrobus:migrate'))")
        context.run_migrations()


async def _run_async(url: str) -> None:
    async with connect(url) as connection:
        await connection.run_sync(_run)
        await connection.commit()


def _url() -> str:
    url: str | None = context.config.attributes.get("url")
    configured = Settings().database_url
    if url is None and configured is None:
        raise SystemExit("DATABASE_URL manque : indiquez la base à migrer (voir .env.example).")
    return url or (configured.get_secret_value() if configured else "")


asyncio.run(_run_async(_url()))
