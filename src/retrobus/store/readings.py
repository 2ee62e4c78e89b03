"""Readings from PostgreSQL: each proves the caller's access in the statement that reads, and is one snapshot."""

import asyncio
from typing import Any

from retrobus.model.resources import Resource
from retrobus.store import statements
from retrobus.store.access import prove_by
from retrobus.store.attempts import Attempts
from retrobus.store.contract import Caller, Filter, Query, Sink
from retrobus.store.pool import Connection
from retrobus.store.statements import Statement, shape_of

FETCHED = 100
"""Rows of a copy that are in memory at a time; a row without images has 0.5 MB at most."""

LONGEST = 9.0
"""Seconds that a copy may take: the pool cuts a connection that is in use for longer, since its line may be dead."""


class Readings:
    """Reads rows for a caller; Unauthenticated if the caller has no access any more."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def rows(self, statement: Statement, named: dict[str, Any], caller: Caller | None) -> list[Any]:
        """The rows of a statement that has the column `access` if there is a caller."""
        values = statement.values(named)

        async def work(connection: Connection) -> list[Any]:
            rows: list[Any] = await connection.fetch(statement.sql, *values)
            if caller is not None:
                await prove_by(rows, connection, caller)
            return rows

        return await self._attempts.run(work)

    async def page(self, resource: Resource, query: Query, caller: Caller | None) -> list[bytes]:
        """The rows of a page as JSON, and one more if another page follows."""
        statement = statements.find(
            resource, query.view, shape_of(query.filters), after=query.after is not None, access=caller is not None
        )
        named = named_values(query.filters, caller) | {"page": query.limit + 1}
        if query.after is not None:
            named |= {f"after_{step.column}": v for step, v in zip(resource.order, query.after, strict=True)}
        return [row[0] for row in await self.rows(statement, named, caller)]

    async def copy(self, resource: Resource, query: Query, into: Sink, caller: Caller | None) -> None:
        """Every row that matches, by a cursor, so that few are in memory. One statement sees one snapshot."""
        statement = statements.find(
            resource, query.view, shape_of(query.filters), after=False, access=caller is not None
        )
        values = statement.values(named_values(query.filters, caller) | {"page": None})

        async def work(connection: Connection) -> None:
            await into.begin()
            async with asyncio.timeout(LONGEST), connection.transaction(readonly=True):
                cursor = await connection.cursor(statement.sql, *values)
                rows = await cursor.fetch(FETCHED)
                if caller is not None:
                    await prove_by(rows, connection, caller)
                while rows:
                    await into.add([row[0] for row in rows])
                    rows = await cursor.fetch(FETCHED)

        await self._attempts.run(work)


def named_values(filters: tuple[Filter, ...], caller: Caller | None) -> dict[str, Any]:
    """The values of filters and caller, by the names that they have in a statement."""
    named: dict[str, Any] = {f"filter_{index}": item.value for index, item in enumerate(filters)}
    if caller is not None:
        named |= {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return named
