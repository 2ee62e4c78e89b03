"""The store that is the truth: every verb is one transaction in Postgres."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table

from retrobus.model.sorting import sort_values
from retrobus.model.tables import key_column, order_of, stored_columns
from retrobus.model.wire import View, camel
from retrobus.store import statements
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.commit import Commits, Written
from retrobus.store.contract import (
    POSTGRES,
    Caller,
    Change,
    Check,
    Conflict,
    Document,
    Filter,
    InProgress,
    KeyReused,
    NotFound,
    Once,
    Page,
    Precondition,
    Query,
    Row,
    Stale,
    Unauthenticated,
)
from retrobus.store.failover import Acknowledged
from retrobus.store.pool import Connection, Opener
from retrobus.store.refusals import tells_state
from retrobus.store.statements import Statement, shape_of

Act = Callable[[Connection], Awaitable[Written]]
Observer = Callable[[Table, str, Row | None, int], None]
"""Hears of each committed state of a key, with its version, before its answer leaves."""


class PostgresStore:
    """Five verbs, straight to Postgres; raises Unavailable when it cannot be asked."""

    def __init__(
        self, availability: Availability, opener: Opener, acknowledged: Acknowledged, observer: Observer | None = None
    ) -> None:
        self._acknowledged = acknowledged
        self.commits = Commits(availability, opener)
        self._attempts = Attempts(availability)
        self._observer = observer
        self._whole = observer is not None
        self.origin = POSTGRES

    async def find(self, table: Table, query: Query, *, caller: Caller | None) -> Page:
        """One page, with one row more asked for to know whether another page follows."""
        statement = statements.find(
            table,
            query.view,
            shape_of(query.filters),
            after=query.after is not None,
            access=caller is not None,
        )
        named = _named(query.filters, caller) | {"page": query.limit + 1}
        if query.after is not None:
            named |= {f"after_{c.name}": v for (c, _), v in zip(order_of(table), query.after, strict=True)}
        rows = await self._read(statement, named, caller)
        documents = [row[0] for row in rows]
        if len(documents) <= query.limit:
            return Page(documents, None)
        return Page(documents[:-1], _sort_values(table, documents[-2]))

    async def get(
        self, table: Table, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key."""
        statement = statements.get(table, view, shape_of(filters), access=caller is not None)
        rows = await self._read(statement, _named(filters, caller) | {"row_key": key}, caller)
        if not rows:
            raise NotFound
        return Document(rows[0]["json"], rows[0]["etag"], rows[0]["row_key"])

    async def insert(self, table: Table, values: Row, *, caller: Caller, once: Once | None = None) -> Document:
        """One INSERT."""

        async def act(connection: Connection) -> Written:
            statement = statements.add(table, frozenset(values), whole=self._whole)
            return _written(await _fetch(connection, statement, values), table if self._whole else None)

        return await self._write(table, act, caller, once)

    async def update(
        self,
        table: Table,
        key: str,
        change: Change,
        *,
        caller: Caller | None,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        """Locks the row, lets `change` decide, writes what differs."""

        async def act(connection: Connection) -> Written:
            row, etag = await _locked(connection, table, key, match)
            changes = {name: value for name, value in change(dict(row)).items() if row[name] != value}
            if not changes:
                statement = statements.get(table, "one", (), access=False)
                same = (await _fetch(connection, statement, {"row_key": key}))[0]
                return _found(Document(same["json"], etag, key))
            await _keep_one(connection, table, row, row | changes)
            statement = statements.change(table, frozenset(changes), whole=self._whole)
            changed = await _fetch(connection, statement, changes | {"row_key": key})
            return _written(changed, table if self._whole else None)

        return await self._write(table, act, caller, once)

    async def delete(
        self,
        table: Table,
        key: str,
        check: Check | None = None,
        *,
        caller: Caller,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        """Deletes by key; locks and looks first only if something has to be looked at."""
        look = check is not None or match is not None or "keep_one" in table.info

        async def act(connection: Connection) -> Written:
            if look:
                row, _ = await _locked(connection, table, key, match)
                if check is not None:
                    check(dict(row))
                await _keep_one(connection, table, row, None)
            rows = await _fetch(connection, statements.remove(table), {"row_key": key})
            if not rows:
                raise NotFound
            return _written(rows)

        return await self._write(table, act, caller, once)

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member row, secrets included."""
        statement = statements.account(by_id=identifier is None)
        rows = await self._read(statement, {"identifier": identifier or member_id}, None)
        return dict(rows[0]) if rows else None

    async def prune(self) -> None:
        """Forgets answers kept for Idempotency-Keys of more than a day ago."""

        async def work(connection: Connection) -> None:
            await connection.execute(f"BEGIN; {statements.ONCE_PRUNE}")
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

    async def _write(self, table: Table, act: Act, caller: Caller | None, once: Once | None) -> Document:
        async def work(connection: Connection) -> Document:
            await connection.execute(_opening(caller, connection.limits))
            written = await self._done(connection, act, caller, once)
            if written.is_new:
                await self.commits.commit(connection, table, written)
                self._tell(table, written)
            else:
                await self.commits.confirm(connection)
            return written.document

        return await self._attempts.run(work, writes=True)

    async def _done(self, connection: Connection, act: Act, caller: Caller | None, once: Once | None) -> Written:
        """What the act wrote or found; what speaks against it is told only after a commit that is confirmed."""
        try:
            kept = await _replay(connection, caller, once)
            if kept is not None:
                return _found(kept)
            written = await act(connection)
        except Exception as error:
            if tells_state(error):
                # after an error of Postgres nothing else is possible in the same transaction
                await connection.execute(f"ROLLBACK; BEGIN; {connection.limits}")
                await self.commits.confirm(connection)
            raise
        if once is not None and caller is not None:
            await _keep(connection, caller, once, written.document)
        return written

    def _tell(self, table: Table, written: Written) -> None:
        self._acknowledged.note(table, written.document.key, written.version)
        if self._observer is not None:
            self._observer(table, written.document.key, written.row, written.version)


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


def _written(rows: list[Any], table: Table | None = None) -> Written:
    """What a statement gave back; with a table, the whole row too."""
    row = rows[0]
    document = Document(row["json"], row["etag"], row["row_key"])
    whole = None if table is None else {column.name: row[column.name] for column in stored_columns(table)}
    return Written(document, row["witness"], row["at"], row["pid"], row["xid"], whole)


async def _locked(connection: Connection, table: Table, key: str, match: Precondition | None) -> tuple[Row, str]:
    rows = await _fetch(connection, statements.lock(table), {"row_key": key})
    if not rows:
        raise NotFound
    row = dict(rows[0])
    etag: str = row.pop("etag")
    if match is not None and not match.holds(etag):
        raise Stale
    return row, etag


async def _keep_one(connection: Connection, table: Table, before: Row, after: Row | None) -> None:
    """Refuses the change that would leave no row with the table's `keep_one` values."""
    rule = table.info.get("keep_one")
    if rule is None or not _has(before, rule) or (after is not None and _has(after, rule)):
        return
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))")
    rows = await _fetch(connection, statements.another(table), {"row_key": before[key_column(table).name]})
    if not rows[0][0]:
        raise Conflict("Le dernier administrateur actif ne peut être ni supprimé ni rétrogradé.", "role")


def _has(row: Row, values: dict[str, Any]) -> bool:
    return all(row[name] == value for name, value in values.items())


async def _replay(connection: Connection, caller: Caller | None, once: Once | None) -> Document | None:
    """The kept answer of the same request; None if this is the first time."""
    if once is None or caller is None:
        return None
    scope = (caller.id, once.method, once.path, once.key)
    if not await connection.fetchval(statements.ONCE_LOCK, "\n".join(scope)):
        raise InProgress
    kept = await connection.fetchrow(statements.ONCE_FIND, *scope)
    if kept is None:
        return None
    if kept["fingerprint"] != once.fingerprint:
        raise KeyReused
    return Document(kept["answer"], kept["etag"], kept["row_key"])


async def _keep(connection: Connection, caller: Caller, once: Once, document: Document) -> None:
    scope = (caller.id, once.method, once.path, once.key)
    answer = (document.json, document.etag, document.key)
    await connection.execute(statements.ONCE_KEEP, *scope, once.fingerprint, *answer)


def _named(filters: tuple[Filter, ...], caller: Caller | None) -> dict[str, Any]:
    named: dict[str, Any] = {f"filter_{index}": item.value for index, item in enumerate(filters)}
    if caller is not None:
        named |= {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return named


def _sort_values(table: Table, document: str) -> tuple[Any, ...]:
    row = json.loads(document)
    return sort_values(table, lambda name: row[camel(name)])
