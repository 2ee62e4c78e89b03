"""The revision of a database, and whether code that expects another revision works with it."""

from contextlib import suppress
from dataclasses import dataclass

from retrobus.database.connection import AnyConnection
from retrobus.database.errors import UNREADABLE

OLDEST_SERVER = 15
"""The first major version of PostgreSQL with which the service is tested."""

REVISION = "SELECT version_num FROM alembic_version"
OLDEST = "SELECT oldest FROM schema_support"


@dataclass(frozen=True, slots=True)
class Revision:
    """The revision of a database, and the oldest one whose code works with it if the database says so."""

    current: str | None = None
    oldest: str | None = None

    def suits(self, expected: str) -> bool:
        """Whether code that expects this revision works here: the database is of it, or newer and compatible."""
        if self.current is None:
            return False
        return self.current == expected or (self.oldest is not None and self.oldest <= expected <= self.current)


async def revision_of(connection: AnyConnection) -> Revision:
    """The revision that the database names; none before the first migration, or if the role may not read it."""
    current = oldest = None
    with suppress(*UNREADABLE):
        current = await connection.fetchval(REVISION)
        oldest = await connection.fetchval(OLDEST)
    return Revision(current, oldest)
