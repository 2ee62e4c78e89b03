"""The turn to make a backup: of all services with one database, one at a time makes it."""

from retrobus.database.pooler import OwnNames
from retrobus.database.session import LONG_TRANSACTION

BEGIN_TURN = f"""BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0;
{LONG_TRANSACTION}"""
TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('retrobus:backup', 0))"
"""Of two services, the second waits for the first, then finds its backup.

The lock ends with its transaction: a session's lock would stay on a connection that a pooler gives to others.
"""


async def take_turn(connection: OwnNames) -> bool:
    """Takes the turn for as long as the connection lives; false if another service has it."""
    await connection.execute(BEGIN_TURN)
    if await connection.fetchval(TURN):
        return True
    await connection.execute("ROLLBACK")
    return False
