"""The store that is the truth: every call is one transaction in PostgreSQL."""

import json
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from retrobus.database.errors import ServerError
from retrobus.database.sql import latest_tombstone
from retrobus.model.names import camel
from retrobus.model.resources import Resource
from retrobus.model.sorting import sort_values
from retrobus.model.wire import View
from retrobus.store import idempotency, images, statements
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.commit import Commits, Sent
from retrobus.store.contract import (
    POSTGRES,
    Caller,
    Delete,
    Document,
    Filter,
    Image,
    Origin,
    Page,
    Query,
    Row,
    Sink,
    Sought,
    Write,
)
from retrobus.store.errors import NotFound
from retrobus.store.failover import Acknowledged
from retrobus.store.pool import Connection, Opener
from retrobus.store.readings import Readings, named_values
from retrobus.store.refusals import tells_state
from retrobus.store.single_statement import is_plain, opened_by, reread, single
from retrobus.store.statements import shape_of
from retrobus.store.steps import act, opening

Observer = Callable[[Resource, str, Row | None, int], None]
"""Is told each committed state of a key with its version (no row after a delete), before its answer leaves."""


def random_nonce() -> int:
    """A number that no other write has, of any process.

    The kernel draws it. A generator of this program would go on with the same numbers in each process that is forked
    from one, and a write that was cut off would be taken for applied by the nonce of another process.
    """
    return secrets.randbits(63)


class PostgresStore:
    """Asks PostgreSQL and nothing else; raises Unavailable when it cannot be asked."""

    def __init__(
        self, availability: Availability, opener: Opener, acknowledged: Acknowledged, observer: Observer | None = None
    ) -> None:
        self.commits = Commits(availability, opener)
        self.origin = POSTGRES
        self._acknowledged = acknowledged
        self._attempts = Attempts(availability)
        self._readings = Readings(self._attempts)
        self._observer = observer
        self._whole = observer is not None
        self._highest = 0
        """The highest version that this process has seen: any version drawn from now on is higher."""

    async def find(self, resource: Resource, query: Query, *, caller: Caller | None) -> Page:
        """One page; one row more is asked for, to know whether another page follows."""
        documents = await self._readings.page(resource, query, caller)
        if len(documents) <= query.limit:
            return Page(documents, None)
        return Page(documents[:-1], _sort_values(resource, documents[-2]))

    async def copy(self, resource: Resource, query: Query, into: Sink, *, caller: Caller | None) -> Origin:
        """Every row, of one snapshot."""
        await self._readings.copy(resource, query, into, caller)
        return POSTGRES

    async def get(
        self, resource: Resource, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key."""
        statement = statements.get(resource, view, shape_of(filters), access=caller is not None)
        rows = await self._readings.rows(statement, named_values(filters, caller) | {"row_key": key}, caller)
        if not rows:
            raise NotFound
        document = _document(rows[0])
        self._highest = max(self._highest, version_in(document.etag))
        return document

    async def image(self, sought: Sought, *, filters: tuple[Filter, ...] = (), caller: Caller | None) -> Image:
        """One image of a row."""
        statement = images.image(sought.resource, sought.column, shape_of(filters), access=caller is not None)
        named = {"row_key": sought.key, "at": sought.at, "known": list(sought.known)}
        rows = await self._readings.rows(statement, named_values(filters, caller) | named, caller)
        return images.found(rows, sought.known)

    async def write(self, write: Write) -> Document:
        """One transaction; the answer exists only after its COMMIT. A plain write is one round trip."""

        async def work(connection: Connection) -> Document:
            found = None
            if connection.started is not None and is_plain(write):
                found = await self._alone(connection, write, connection.started)
            return found or await self._in_steps(connection, write)

        return await self._attempts.run(work, writes=True)

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member's row, secrets included."""
        statement = statements.account(by_id=identifier is None)
        rows = await self._readings.rows(statement, {"identifier": identifier or member_id}, None)
        return dict(rows[0]) if rows else None

    async def prune(self) -> None:
        """Forgets the answers kept for Idempotency-Keys of more than a day ago."""

        async def work(connection: Connection) -> None:
            await connection.execute(f"BEGIN; {idempotency.PRUNE}")
            await self.commits.confirm(connection)

        await self._attempts.run(work, writes=True)

    async def _alone(self, connection: Connection, write: Write, started: datetime) -> Document | None:
        """The write as one statement that is a transaction of its own; None if it changed nothing."""
        nonce, pid = random_nonce(), connection.get_server_pid()
        floor = max(self._highest, connection.version)
        statement, named = single(write, whole=self._whole)
        values = statement.values(named | opened_by(write.terms, nonce))
        sent = Sent(write.resource, write.key, nonce, floor, pid, started=started)
        try:
            rows = await self.commits.run(connection, sent, connection.fetch(statement.sql, *values))
        except ServerError as error:
            await self._confirm_refusal(connection, error)
            raise
        if rows is None:
            try:
                return await self._found_again(write, nonce)
            except Exception as error:  # it is applied: nothing may try it again, or call it not applied
                raise self.commits.refusal("unknown") from error
        if rows and write.terms.once is not None and rows[0]["kept_key"] is not None:
            await self._begin_again(connection)
            await self.commits.confirm(connection)
            row = rows[0]
            kept = Document(row["kept_answer"].encode(), row["kept_etag"], row["kept_key"])
            return idempotency.answered(write.terms, row["kept_fingerprint"], kept)
        if not rows or rows[0]["row_key"] is None:
            return None
        self._tell(write, rows[0])
        return _document(rows[0])

    async def _found_again(self, write: Write, nonce: int) -> Document:
        """The answer of a write whose own answer was cut off; a delete has none but the key.

        LookupError if the row was written again since: what the write left cannot be told any more.
        """
        if isinstance(write, Delete):
            version = await self.commits.beside(lambda beside: latest_tombstone(beside, write.resource, write.key))
            self._tell(write, {"witness": version})
            return Document(b"", "", write.key)
        statement = reread(write.resource, whole=self._whole)
        values = statement.values({"row_key": write.key, "nonce": nonce})
        rows = await self.commits.beside(lambda beside: beside.fetch(statement.sql, *values))
        if not rows:
            raise LookupError(write.key)
        self._tell(write, rows[0])
        return _document(rows[0])

    async def _in_steps(self, connection: Connection, write: Write) -> Document:
        """The write in a transaction that looks, decides and writes."""
        nonce = random_nonce()
        await connection.execute(opening(write.terms.caller, nonce, connection.limits))
        try:
            kept = await idempotency.kept_answer(connection, write.terms)
            row = None if kept is not None else await act(connection, write, whole=self._whole)
        except Exception as error:
            await self._confirm_refusal(connection, error)
            raise
        document = kept or _document(row)
        if kept is None:
            await idempotency.keep(connection, write.terms, document)
        if row is None or row.get("witness") is None:
            await self.commits.confirm(connection)
            return document
        floor = row["witness"] - 1
        await self.commits.commit(connection, Sent(write.resource, write.key, nonce, floor, row["pid"], row["xid"]))
        self._tell(write, row)
        return document

    async def _confirm_refusal(self, connection: Connection, error: Exception) -> None:
        """A refusal that tells what is there is told only after a confirmed COMMIT.

        Otherwise a client could be told "already gone" by a delete that a failover then takes back.
        """
        if tells_state(error):
            await self._begin_again(connection)  # after an error nothing else is possible in the same transaction
            await self.commits.confirm(connection)

    async def _begin_again(self, connection: Connection) -> None:
        end = "ROLLBACK; " if connection.is_in_transaction() else ""
        await connection.execute(f"{end}BEGIN; {connection.limits}")

    def _tell(self, write: Write, row: Any) -> None:
        """Notes a write that is committed, for failovers and for the mirror."""
        version = row["witness"]
        self._highest = max(self._highest, version)
        self._acknowledged.note(write.resource, write.key, version)
        if self._observer is not None:
            columns = () if isinstance(write, Delete) else write.resource.columns
            state = {column.name: row[column.name] for column in columns} or None
            self._observer(write.resource, write.key, state, version)


def version_in(etag: str) -> int:
    """The version that an ETag of ours names: 12 in `"1a2b3c4d-12"`."""
    return int(etag[etag.rindex("-") + 1 : -1])


def _document(row: Any) -> Document:
    return Document(row["json"], row["etag"], row["row_key"])


def _sort_values(resource: Resource, document: bytes) -> tuple[Any, ...]:
    row = json.loads(document)
    return sort_values(resource, lambda name: row[camel(name)])
