"""Poolers before PostgreSQL (PgBouncer and its like): how one is recognised, and what cannot work behind it.

In transaction mode each transaction may run in another server process. A prepared statement or a session's lock
stays behind in a process that then serves another client.
"""

import re
import secrets
from itertools import count
from typing import Any

from retrobus.database.connection import AnyConnection
from retrobus.database.errors import PoolerInTheWay, state_of

_HERE = "un pooler (PgBouncer ou semblable) est entre le service et PostgreSQL"
NEEDS_NO_CACHE = f"{_HERE} : mettez DATABASE_STATEMENT_CACHE=0, ou une adresse directe dans DATABASE_URL"
REFUSES_PARAMETER = (
    f"{_HERE} et refuse le paramètre {{name}} : mettez DATABASE_STATEMENT_CACHE=0, "
    "ou {name} dans ignore_startup_parameters de PgBouncer, ou une adresse directe dans DATABASE_URL"
)
PROTOCOL = "08P01"
_UNSUPPORTED = re.compile(r"unsupported startup parameter: ([A-Za-z0-9_.]{1,64})")


class OwnNames(AnyConnection):
    """A connection whose prepared statements have names that no other connection of any process uses.

    The driver counts from 1 in every process. Behind a pooler in transaction mode two processes would share the name
    `__asyncpg_stmt_5__`, and one would be answered by the other's statement: members where vehicles were asked for.
    """

    __slots__ = ("_own", "_used")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._own = secrets.token_hex(8)
        self._used = count(1)

    def _get_unique_id(self, prefix: str) -> str:
        """The driver asks here for the names of statements, cursors and savepoints."""
        return f"retrobus_{self._own}_{prefix}_{next(self._used):x}"


async def is_pooled(connection: AnyConnection) -> bool:
    """Whether the process id given at connect is not that of the server process that answers.

    Asked by the simple protocol, which needs no prepared statement: its answer is the number of rows.
    """
    return await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}") != "SELECT 1"


def explained(error: Exception) -> Exception:
    """PoolerInTheWay if a pooler refused the connection for a parameter; else the same error."""
    found = _UNSUPPORTED.search(str(error)) if state_of(error) == PROTOCOL else None
    return error if found is None else PoolerInTheWay(REFUSES_PARAMETER.format(name=found[1]))
