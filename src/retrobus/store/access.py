"""Proves in a transaction of its work that a caller still has access."""

from retrobus.database.connection import AnyConnection
from retrobus.store.contract import Caller
from retrobus.store.errors import Unauthenticated
from retrobus.store.statements import ACCESS


async def prove(connection: AnyConnection, caller: Caller) -> None:
    """Unauthenticated unless the caller's token still gives access."""
    if not await connection.fetchval(ACCESS, caller.id, caller.epoch):
        raise Unauthenticated
