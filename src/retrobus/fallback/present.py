"""The rows and kept answers of Postgres that a part of the journal is about: read at once, kept true by each write.

An entry by itself would take eight round trips to Postgres. If these are read for a hundred entries at once, an entry
takes one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from retrobus.database import sql
from retrobus.database.pooler import OwnNames
from retrobus.fallback.conflicts import Place
from retrobus.fallback.entries import Entry
from retrobus.model.resources import ALL, Resource
from retrobus.model.rows import Row
from retrobus.model.wire import view_sql
from retrobus.store import statements

ANSWERED = """SELECT i.member_id, i.method, i.path, i.key, i.fingerprint, i.created_at FROM idempotency AS i
JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS asked (member_id, method, path, key)
USING (member_id, method, path, key)"""
KEEP_ANSWER = """INSERT INTO idempotency AS i
  (member_id, method, path, key, fingerprint, answer, etag, row_key, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (member_id, method, path, key) DO UPDATE SET
  fingerprint = excluded.fingerprint, answer = excluded.answer, etag = excluded.etag, row_key = excluded.row_key,
  created_at = excluded.created_at WHERE i.created_at < excluded.created_at"""
KEPT_FOR = timedelta(hours=24)
"""How long an answer counts, as `retrobus_kept` has it: after that a client may use the Idempotency-Key again."""

ACTOR = "WITH actor AS (SELECT set_config('retrobus.actor', $1, true))"
"""Names the author of the change in its own statement: PostgreSQL evaluates it before the row is changed."""

DELETED = '{"ok": true}'
"""The body of the answer to a delete."""

Scope = tuple[str, str, str, str]
"""Where an Idempotency-Key counts: member, method, path, key."""


class Present:
    """The rows and kept answers as they are in this transaction. No other writer may change them meanwhile."""

    def __init__(self, connection: OwnNames) -> None:
        self._connection = connection
        self._rows: dict[Place, Row | None] = {}
        self._answered: dict[Scope, tuple[bytes, datetime]] = {}
        """For each Idempotency-Key what the request asked for, and when it was answered."""

        self._to_keep: list[tuple[Any, ...]] = []

    async def read(self, entries: Sequence[Entry]) -> None:
        """Reads the rows of these entries, and the answers that are kept for their Idempotency-Keys."""
        for resource in ALL:
            keys = list({entry.key for entry in entries if entry.resource == resource.name})
            if keys:
                rows = await self._connection.fetch(sql.select(resource, f"{resource.key} = ANY($1)"), keys)
                self._rows |= {(resource.name, key): None for key in keys}
                self._rows |= {(resource.name, row[resource.key]): dict(row) for row in rows}
        scopes = {scope for entry in entries if (scope := scope_of(entry)) is not None}
        if scopes:
            found = await self._connection.fetch(ANSWERED, *map(list, zip(*scopes, strict=True)))
            self._answered |= {tuple(row)[:4]: (row["fingerprint"], row["created_at"]) for row in found}

    async def row(self, resource: Resource, key: str) -> Row | None:
        """The row with this key; None if there is none."""
        place = resource.name, key
        if place not in self._rows:
            self._rows[place] = await sql.row_of(self._connection, resource, key)
        return self._rows[place]

    def is_answered(self, entry: Entry) -> bool:
        """Whether an answer is kept for the Idempotency-Key of this entry: Postgres has done it.

        An answer older than a day does not count: the client was allowed to use its key for a new write.
        """
        scope = scope_of(entry)
        kept = None if scope is None else self._answered.get(scope)
        return kept is not None and kept[0] == fingerprint_of(entry) and kept[1] > answered_at(entry) - KEPT_FOR

    async def put(self, resource: Resource, entry: Entry, wanted: Row) -> None:
        """Inserts or overwrites the row, as the entry's member."""
        there = await self.row(resource, entry.key) is not None
        statement, values = (_update if there else _insert)(resource), [wanted[name] for name in _written(resource)]
        row = await self._connection.fetchrow(statement, entry.member or "", *values)
        if row is None:
            raise LookupError(entry.key)  # a trigger that is not ours dropped the row without an error
        self._rows[resource.name, entry.key] = {column.name: row[column.name] for column in resource.columns}
        self._keep(entry, row["answer"].decode(), row["etag"])

    async def remove(self, resource: Resource, entry: Entry) -> None:
        """Deletes the row, as the entry's member; the trigger leaves a tombstone."""
        await self._connection.execute(_delete(resource), entry.member or "", entry.key)
        changed = _referring(resource)  # the foreign key has emptied their references
        self._rows = {place: row for place, row in self._rows.items() if place[0] not in changed}
        self._rows[resource.name, entry.key] = None

    async def is_left_by(self, resource: Resource, key: str, nonce: int | None) -> bool:
        """Whether the row is as the write with this nonce left it: any later write, by psql too, replaces the nonce."""
        if nonce is None:
            return False
        found: int | None = await self._connection.fetchval(sql.nonce_of(resource), key)
        return found == nonce

    async def keep_answer(self, resource: Resource, entry: Entry) -> None:
        """Keeps the answer of an entry that changed nothing: the row as it is, or that it is deleted."""
        if entry.once is None:
            return
        if entry.row is None:
            self._keep(entry, DELETED, "")
        else:
            statement = statements.get(resource, "one", (), access=False)
            [row] = await self._connection.fetch(statement.sql, entry.key)
            self._keep(entry, row["json"].decode(), row["etag"])

    def _keep(self, entry: Entry, answer: str, etag: str) -> None:
        """Keeps the answer that the client gets if it repeats the write with the same Idempotency-Key."""
        scope = scope_of(entry)
        if scope is not None:
            fingerprint, at = fingerprint_of(entry), answered_at(entry)
            self._to_keep.append((*scope, fingerprint, answer, etag, entry.key, at))
            self._answered[scope] = fingerprint, at

    async def write_answers(self) -> None:
        """Writes the answers that are to be kept."""
        if self._to_keep:
            await self._connection.executemany(KEEP_ANSWER, self._to_keep)


def scope_of(entry: Entry) -> Scope | None:
    """Where the Idempotency-Key of an entry counts; None without a key."""
    once = entry.once
    return None if once is None else (entry.member or "", once["method"], once["path"], once["key"])


def fingerprint_of(entry: Entry) -> bytes:
    """What the request with the Idempotency-Key asked for."""
    return b"" if entry.once is None else bytes.fromhex(entry.once["fingerprint"])


def answered_at(entry: Entry) -> datetime:
    """When memory acknowledged the write."""
    return datetime.fromisoformat(entry.at)


@lru_cache
def _written(resource: Resource) -> tuple[str, ...]:
    """The columns that the replay writes; PostgreSQL gives number and version."""
    return tuple(column.name for column in resource.columns if column.name not in {"version", resource.number})


def _left(resource: Resource) -> str:
    """What a statement gives back: the row as it is now, and the answer to the write."""
    json, etag = f"textsend({view_sql(resource, 'one')}) AS answer", f"{sql.ETAG} AS etag"
    return f"RETURNING {sql.columns(resource)}, {json}, {etag}"


@lru_cache
def _insert(resource: Resource) -> str:
    names = _written(resource)
    values = ", ".join(f"${place}" for place in range(2, len(names) + 2))
    into = f"INSERT INTO {resource.table.name} ({', '.join(names)})"
    return f"{ACTOR} {into} SELECT {values} FROM actor {_left(resource)}"


@lru_cache
def _update(resource: Resource) -> str:
    names = _written(resource)
    pairs = ", ".join(f"{name} = ${place}" for place, name in enumerate(names, start=2))
    condition = f"{resource.key} = ${names.index(resource.key) + 2}"
    return f"{ACTOR} UPDATE {resource.table.name} SET {pairs} FROM actor WHERE {condition} {_left(resource)}"


@lru_cache
def _delete(resource: Resource) -> str:
    return f"{ACTOR} DELETE FROM {resource.table.name} USING actor WHERE {resource.key} = $2"


@lru_cache
def _referring(resource: Resource) -> frozenset[str]:
    """The resources whose rows refer to rows of this one."""
    links = ((other.name, link) for other in ALL for link in other.table.foreign_keys)
    return frozenset(name for name, link in links if link.column.table is resource.table)
