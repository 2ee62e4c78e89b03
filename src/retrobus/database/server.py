"""What a PostgreSQL server says of itself: its cluster, its timeline, whether it takes writes."""

from dataclasses import dataclass, field

from retrobus.database.connection import AnyConnection
from retrobus.database.errors import state_of

FACTS = """SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN pg_is_in_recovery() THEN (SELECT to_hex(timeline_id) FROM pg_control_checkpoint())
    ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
  pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only"""
PLAIN_FACTS = """SELECT NULL::text AS system, '0' AS timeline, pg_is_in_recovery() AS standby,
  current_setting('transaction_read_only') = 'on' AS read_only"""
"""The question to a server that does not show its control file and its log (some hosted ones do not)."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself."""

    system: str | None
    """Which cluster it belongs to; replicas have the identifier of their primary. None if it does not tell."""

    timeline: int
    """How many promotions lie in its history; 0 if it does not tell."""

    standby: bool
    read_only: bool
    """Whether a session that begins there refuses writes."""

    @property
    def nature(self) -> str:
        """The kind of server, for people."""
        if self.standby:
            return "réplique, lectures seulement"
        return "en lecture seule (default_transaction_read_only)" if self.read_only else "primaire"

    @property
    def writable(self) -> bool:
        """Whether it takes writes."""
        return not self.read_only


@dataclass(slots=True)
class Timelines:
    """The highest timeline that a primary of each cluster was seen to have."""

    highest: dict[str, int] = field(default_factory=dict)

    def note(self, server: Server) -> None:
        """Remembers the timeline of a primary."""
        if server.system is not None and not server.standby:
            self.highest[server.system] = max(server.timeline, self.highest.get(server.system, 0))

    def above(self, server: Server) -> int:
        """The highest timeline of this server's cluster if it is not the server's own; else 0.

        For a primary it means that another server was promoted in its place, which it does not know yet.
        """
        highest = self.highest.get(server.system or "", 0)
        return highest if not server.standby and server.timeline < highest else 0

    def is_left_behind(self, server: Server) -> bool:
        """Whether another server was promoted in the place of this primary, which does not know it yet."""
        return self.above(server) > 0


async def facts_of(connection: AnyConnection) -> Server:
    """What the server of this connection is; asked in a transaction, so that a pooler keeps to one server process."""
    try:
        async with connection.transaction():
            row = await connection.fetchrow(FACTS)
    except Exception as error:
        if not state_of(error):
            raise
        async with connection.transaction():
            row = await connection.fetchrow(PLAIN_FACTS)
    if row is None:
        raise ConnectionResetError
    return Server(row["system"], int(row["timeline"], 16), row["standby"], row["read_only"])
