"""Proves in a transaction of its work that a caller still has access."""

from collections.abc import Sequence
from typing import Any

from retrobus.database.connection import AnyConnection
from retrobus.store.contract import Caller
from retrobus.store.errors import Unauthenticated
from retrobus.store.statements import ACCESS


async def prove(connection: AnyConnection, caller: Caller) -> None:
    """Unauthenticated unless the caller's token still gives access."""
    if not await connection.fetchval(ACCESS, caller.id, caller.epoch):
        raise Unauthenticated


async def prove_by(rows: Sequence[Any], connection: AnyConnection, caller: Caller) -> None:
    """The same, from the column `access` of rows that were just read; without rows, PostgreSQL is asked."""
    if not rows:
        await prove(connection, caller)
    elif not rows[0]["access"]:
        raise Unauthenticated
