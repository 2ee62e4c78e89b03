"""The store that is the truth: every call is one transaction in PostgreSQL."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from retrobus.model.names import camel
from retrobus.model.resources import Resource
from retrobus.model.sorting import sort_values
from retrobus.model.wire import View
from retrobus.store import idempotency, statements
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.commit import Commits, Written
from retrobus.store.contract import (
    POSTGRES,
    Caller,
    Conflict,
    Delete,
    Document,
    Filter,
    Insert,
    NotFound,
    Page,
    Precondition,
    Query,
    Row,
    Stale,
    Unauthenticated,
    Update,
    Write,
)
from retrobus.store.failover import Acknowledged
from retrobus.store.pool import Connection, Opener
from retrobus.store.refusals import tells_state
from retrobus.store.statements import Statement, shape_of

Observer = Callable[[Resource, str, Row | None, int], None]
"""Is told each committed state of a key with its version (no row after a delete), before its answer leaves."""

LAST_ONE = "Le dernier administrateur actif ne peut être ni supprimé ni rétrogradé."


class PostgresStore:
    """Asks PostgreSQL and nothing else; raises Unavailable when it cannot be asked."""

    def __init__(
        self, availability: Availability, opener: Opener, acknowledged: Acknowledged, observer: Observer | None = None
    ) -> None:
        self.commits = Commits(availability, opener)
        self.origin = POSTGRES
        self._acknowledged = acknowledged
        self._attempts = Attempts(availability)
        self._observer = observer

    async def find(self, resource: Resource, query: Query, *, caller: Caller | None) -> Page:
        """One page; one row more is asked for, to know whether another page follows."""
        statement = statements.find(
            resource, query.view, shape_of(query.filters), after=query.after is not None, access=caller is not None
        )
        named = _named(query.filters, caller) | {"page": query.limit + 1}
        if query.after is not None:
            named |= {f"after_{step.column}": v for step, v in zip(resource.order, query.after, strict=True)}
        documents = [row[0] for row in await self._read(statement, named, caller)]
        if len(documents) <= query.limit:
            return Page(documents, None)
        return Page(documents[:-1], _sort_values(resource, documents[-2]))

    async def get(
        self, resource: Resource, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key."""
        statement = statements.get(resource, view, shape_of(filters), access=caller is not None)
        rows = await self._read(statement, _named(filters, caller) | {"row_key": key}, caller)
        if not rows:
            raise NotFound
        return Document(rows[0]["json"], rows[0]["etag"], rows[0]["row_key"])

    async def write(self, write: Write) -> Document:
        """One transaction; the answer exists only after its COMMIT."""

        async def work(connection: Connection) -> Document:
            await connection.execute(_opening(write.terms.caller, connection.limits))
            written = await self._done(connection, write)
            if written.is_new:
                await self.commits.commit(connection, write.resource, written)
                self._tell(write.resource, written)
            else:
                await self.commits.confirm(connection)
            return written.document

        return await self._attempts.run(work, writes=True)

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member's row, secrets included."""
        statement = statements.account(by_id=identifier is None)
        rows = await self._read(statement, {"identifier": identifier or member_id}, None)
        return dict(rows[0]) if rows else None

    async def prune(self) -> None:
        """Forgets the answers kept for Idempotency-Keys of more than a day ago."""

        async def work(connection: Connection) -> None:
            await connection.execute(f"BEGIN; {idempotency.PRUNE}")
            await self.commits.confirm(connection)

        await self._attempts.run(work, writes=True)

    async def _read(self, statement: Statement, named: dict[str, Any], caller: Caller | None) -> list[Any]:
        values = statement.values(named)

        async def work(connection: Connection) -> list[Any]:
            rows: list[Any] = await connection.fetch(statement.sql, *values)
            if caller is not None:
                held = (
                    rows[0]["access"] if rows else await connection.fetchval(statements.ACCESS, caller.id, caller.epoch)
                )
                if not held:
                    raise Unauthenticated
            return rows

        return await self._attempts.run(work)

    async def _done(self, connection: Connection, write: Write) -> Written:
        """What the write did or found. A refusal that tells what is there is told only after a confirmed COMMIT.

        Otherwise a client could be told "already gone" by a delete that a failover then takes back.
        """
        try:
            kept = await idempotency.kept_answer(connection, write.terms)
            if kept is not None:
                return _found(kept)
            written = await self._act(connection, write)
        except Exception as error:
            if tells_state(error):
                # after an error of PostgreSQL nothing else is possible in the same transaction
                await connection.execute(f"ROLLBACK; BEGIN; {connection.limits}")
                await self.commits.confirm(connection)
            raise
        await idempotency.keep(connection, write.terms, written.document)
        return written

    async def _act(self, connection: Connection, write: Write) -> Written:
        match write:
            case Insert():
                return await self._insert(connection, write)
            case Update():
                return await self._update(connection, write)
            case Delete():
                return await _delete(connection, write)

    async def _insert(self, connection: Connection, write: Insert) -> Written:
        statement = statements.add(write.resource, frozenset(write.values), whole=self._observer is not None)
        return self._written(write.resource, await _fetch(connection, statement, write.values))

    async def _update(self, connection: Connection, write: Update) -> Written:
        """Locks the row, lets `change` decide, writes what differs."""
        resource, key = write.resource, write.key
        row, etag = await _locked(connection, resource, key, write.terms.match)
        changes = {name: value for name, value in write.change(dict(row)).items() if row[name] != value}
        if not changes:
            statement = statements.get(resource, "one", (), access=False)
            same = (await _fetch(connection, statement, {"row_key": key}))[0]
            return _found(Document(same["json"], etag, key))
        await _keep_one(connection, resource, row, row | changes)
        statement = statements.change(resource, frozenset(changes), whole=self._observer is not None)
        return self._written(resource, await _fetch(connection, statement, changes | {"row_key": key}))

    def _written(self, resource: Resource, rows: list[Any]) -> Written:
        """What an INSERT or UPDATE gave back; the whole row too if an observer wants it."""
        if self._observer is None:
            return _left(rows[0], None)
        return _left(rows[0], {column.name: rows[0][column.name] for column in resource.columns})

    def _tell(self, resource: Resource, written: Written) -> None:
        self._acknowledged.note(resource, written.document.key, written.version)
        if self._observer is not None:
            self._observer(resource, written.document.key, written.row, written.version)


async def _delete(connection: Connection, write: Delete) -> Written:
    """Deletes by key; locks and looks first only if something has to be looked at."""
    resource, match = write.resource, write.terms.match
    if write.check is not None or match is not None or resource.keep_one:
        row, _ = await _locked(connection, resource, write.key, match)
        if write.check is not None:
            write.check(dict(row))
        await _keep_one(connection, resource, row, None)
    rows = await _fetch(connection, statements.remove(resource), {"row_key": write.key})
    if not rows:
        raise NotFound
    return _left(rows[0], None)


def _opening(caller: Caller | None, limits: str) -> str:
    """The text that begins a write; the id goes as hexadecimal, which no value of it can escape from."""
    if caller is None:
        return statements.OPEN.format(limits=limits, caller="NULL", epoch=0)
    name = f"convert_from('\\x{caller.id.encode().hex()}', 'UTF8')"
    return statements.OPEN.format(limits=limits, caller=name, epoch=int(caller.epoch))


async def _fetch(connection: Connection, statement: Statement, named: dict[str, Any]) -> list[Any]:
    rows: list[Any] = await connection.fetch(statement.sql, *statement.values(named))
    return rows


def _found(document: Document) -> Written:
    """What was there already: nothing is written."""
    return Written(document, 0, datetime.min.replace(tzinfo=UTC))


def _left(row: Any, whole: Row | None) -> Written:
    """What a statement that changed a row gave back."""
    document = Document(row["json"], row["etag"], row["row_key"])
    return Written(document, row["witness"], row["at"], row["pid"], row["xid"], whole)


async def _locked(connection: Connection, resource: Resource, key: str, match: Precondition | None) -> tuple[Row, str]:
    """The row and its ETag, held until the transaction ends; NotFound, or Stale if the client read another state."""
    rows = await _fetch(connection, statements.lock(resource), {"row_key": key})
    if not rows:
        raise NotFound
    row = dict(rows[0])
    etag: str = row.pop("etag")
    if match is not None and not match.holds(etag):
        raise Stale
    return row, etag


async def _keep_one(connection: Connection, resource: Resource, before: Row, after: Row | None) -> None:
    """Refuses the change that would leave no row with the resource's `keep_one` values."""
    if not loses_one(resource, before, after):
        return
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))")
    rows = await _fetch(connection, statements.another(resource), {"row_key": before[resource.key]})
    if not rows[0][0]:
        raise Conflict(LAST_ONE, "role")


def loses_one(resource: Resource, before: Row, after: Row | None) -> bool:
    """Whether a change takes the `keep_one` values from a row that has them."""
    rule = resource.keep_one
    return bool(rule) and has_values(before, rule) and (after is None or not has_values(after, rule))


def has_values(row: Row, values: Mapping[str, Any]) -> bool:
    """Whether a row holds all of these values."""
    return all(row[name] == value for name, value in values.items())


def _named(filters: tuple[Filter, ...], caller: Caller | None) -> dict[str, Any]:
    named: dict[str, Any] = {f"filter_{index}": item.value for index, item in enumerate(filters)}
    if caller is not None:
        named |= {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return named


def _sort_values(resource: Resource, document: str) -> tuple[Any, ...]:
    row = json.loads(document)
    return sort_values(resource, lambda name: row[camel(name)])
