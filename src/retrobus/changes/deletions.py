"""The tombstones as managers read them: what was deleted, when, by whom and why. PostgreSQL alone answers."""

import json
from typing import Any

from retrobus.model.resources import BY_NAME
from retrobus.model.wire import moment
from retrobus.store.access import prove_by
from retrobus.store.attempts import Attempts
from retrobus.store.authors import NAME
from retrobus.store.contract import Caller, Filter, Page
from retrobus.store.errors import NotFound
from retrobus.store.pool import Connection
from retrobus.store.statements import ACCESS

COLUMNS = f"""version, resource, key, deleted_at, actor, cause, batch,
  (SELECT {NAME} FROM member WHERE id = actor) AS name, ({ACCESS}) AS access"""  # noqa: S608 - no value in it

STATE = """SELECT EXISTS (SELECT FROM {table} WHERE {key} = $1) AS present,
  EXISTS (SELECT FROM deletion WHERE resource = $2 AND key = $1 AND cause = 'erase') AS erased"""

Tombstone = dict[str, Any]
"""One deletion as JSON says it; `deletedByName` is null if the author is no member, or a member who is gone."""


class Deletions:
    """Every delete that ever happened, the newest first."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def page(self, filters: tuple[Filter, ...], before: int | None, limit: int, caller: Caller) -> Page:
        """At most `limit` tombstones that match, older than the version `before`; Unauthenticated refuses the caller.

        The columns of the filters are those of the table: their names come from the route.
        """
        filters += () if before is None else (Filter("version", "<", before),)
        rows = await self._attempts.run(lambda connection: _fetch(connection, filters, limit + 1, caller))
        documents = [json.dumps(_told(row), ensure_ascii=False).encode() for row in rows[:limit]]
        return Page(documents, ("version", rows[limit - 1]["version"]) if len(rows) > limit else None)

    async def one(self, version: int, caller: Caller) -> Tombstone:
        """The tombstone with this version, whether a row has its key now, and whether it tells of an erased member.

        NotFound if there is no such tombstone.
        """

        async def work(connection: Connection) -> Tombstone:
            rows = await _fetch(connection, (Filter("version", "=", version),), 1, caller)
            if not rows:
                raise NotFound
            resource = BY_NAME[rows[0]["resource"]]
            state = STATE.format(table=resource.table.name, key=resource.key)
            return _told(rows[0]) | dict(await connection.fetchrow(state, rows[0]["key"], resource.name) or {})

        return await self._attempts.run(work)


async def _fetch(connection: Connection, filters: tuple[Filter, ...], limit: int, caller: Caller) -> list[Any]:
    conditions = [f"{one.column} {one.operator} ${place}" for place, one in enumerate(filters, start=4)]
    sql = f"SELECT {COLUMNS} FROM deletion WHERE {' AND '.join(['true', *conditions])} ORDER BY version DESC LIMIT $3"  # noqa: S608 - names of the route
    rows: list[Any] = await connection.fetch(sql, caller.id, caller.epoch, limit, *(one.value for one in filters))
    await prove_by(rows, connection, caller)
    return rows


def _told(row: Any) -> Tombstone:
    return {
        "version": row["version"],
        "resource": row["resource"],
        "key": row["key"],
        "deletedAt": moment(row["deleted_at"]),
        "deletedBy": row["actor"],
        "deletedByName": row["name"],
        "cause": row["cause"],
        "batch": row["batch"],
    }
