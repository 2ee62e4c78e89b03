"""The store that is the truth: every verb one transaction in Postgres, every driver error translated here."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Table

from retrobus.store import statements
from retrobus.store.availability import Availability, is_unavailable
from retrobus.store.contract import (
    Busy,
    Caller,
    Change,
    Check,
    Conflict,
    Document,
    FieldError,
    Filter,
    InProgress,
    Invalid,
    KeyReused,
    NotFound,
    Once,
    Outcome,
    Page,
    Precondition,
    Query,
    ReadOnly,
    Row,
    SchemaOutdated,
    Stale,
    StoreError,
    Unauthenticated,
    Unavailable,
)
from retrobus.store.pool import Connection, Opener, PoolExhausted
from retrobus.store.statements import Statement, shape_of
from retrobus.tables import key_column, number_in, order_of, stored_columns
from retrobus.wire import View, camel

T = TypeVar("T")

COMMIT_TIMEOUT = 5.0
"""Seconds that a COMMIT may take on a server that lives; then its outcome is asked for."""

OUTCOME_PAUSE = 0.05
"""Seconds between two looks whether the server is back to say what became of a COMMIT."""

RETRIES = 3
READ_ONLY = "25006"
RETRIED = frozenset({"40001", "40P01"})
WAITED = frozenset({"55P03", "57014", "53300", "53400"})
REFUSED = frozenset({READ_ONLY, "53100", "53200", "58030"})
NO_ACCESS = "RB401"
SCHEMA = frozenset({"42P01", "42703", "42883"})
REFUSALS: tuple[tuple[frozenset[str], Callable[[], StoreError]], ...] = (
    (WAITED | RETRIED, Busy),
    (REFUSED, ReadOnly),
    (SCHEMA, SchemaOutdated),
)
REPLICATION_CANCELLED = "01000"


@dataclass(slots=True)
class Written:
    """What a write leaves behind, and by what it can be recognised if its COMMIT is cut off."""

    document: Document
    version: int
    at: datetime
    pid: int = 0
    xid: str = "0"
    row: Row | None = None
    """The whole row, when somebody wants to hear of it; None after a delete."""


Act = Callable[[Connection], Awaitable[Written]]
Observer = Callable[[Table, str, Row | None, int], None]
"""Hears of each committed state of a key, with its version, before its answer leaves."""


class PostgresStore:
    """Five verbs, straight to Postgres; raises Unavailable when it cannot be asked."""

    def __init__(self, availability: Availability, opener: Opener, observer: Observer | None = None) -> None:
        self._availability = availability
        self._pool = availability.pool
        self._open = opener
        self._observer = observer
        self._whole = observer is not None

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
        """The row by key, else by number."""
        named = _named(filters, caller)
        for address in _addresses(table, key):
            by_number = "row_number" in address
            statement = statements.get(table, view, shape_of(filters), by_number=by_number, access=caller is not None)
            rows = await self._read(statement, named | address, caller)
            if rows:
                return Document(rows[0]["json"], rows[0]["etag"], rows[0]["row_key"])
        raise NotFound

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
            address = row[key_column(table).name]
            changes = {name: value for name, value in change(dict(row)).items() if row[name] != value}
            if not changes:
                statement = statements.get(table, "one", (), by_number=False, access=False)
                same = (await _fetch(connection, statement, {"row_key": address}))[0]
                return Written(Document(same["json"], etag, address), row["version"], row["updated_at"])
            await _keep_one(connection, table, row, row | changes)
            statement = statements.change(table, frozenset(changes), whole=self._whole)
            changed = await _fetch(connection, statement, changes | {"row_key": address})
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
            address = key
            rows = [] if look else await _fetch(connection, statements.remove(table), {"row_key": key})
            if not rows:
                row, _ = await _locked(connection, table, key, match)
                if check is not None:
                    check(dict(row))
                await _keep_one(connection, table, row, None)
                address = row[key_column(table).name]
                rows = await _fetch(connection, statements.remove(table), {"row_key": address})
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
            await connection.execute(statements.ONCE_PRUNE)

        await self._run(work)

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

        return await self._run(work)

    async def _write(self, table: Table, act: Act, caller: Caller | None, once: Once | None) -> Document:
        async def work(connection: Connection) -> Document:
            await connection.execute(_opening(caller))
            replayed = await _replay(connection, caller, once)
            if replayed is not None:
                return replayed
            written = await act(connection)
            if once is not None and caller is not None:
                await _keep(connection, caller, once, written.document)
            await self._commit(connection, table, written)
            self._tell(table, written)
            return written.document

        return await self._run(work)

    def _tell(self, table: Table, written: Written) -> None:
        if self._observer is not None and written.xid != "0":
            self._observer(table, written.document.key, written.row, written.version)

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Runs work on a connection; repeats it where the first try cannot have been applied."""
        fresh = demoted = False
        for left in range(RETRIES, -1, -1):
            try:
                result = await self._attempt(work, fresh=fresh)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - translated, or raised again as it is
                fresh = await self._again(error, left=left, fresh=fresh)
                demoted = _state(error) == READ_ONLY
            else:
                if demoted:
                    self._pool.drop_idle()  # they lead to the former primary
                return result
        raise AssertionError("the last try either answers or raises")

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]], *, fresh: bool) -> T:
        mark = self._availability.enter()
        try:
            connection = await self._pool.acquire(fresh=fresh)
            try:
                return await work(connection)
            finally:
                try:
                    await _leave(connection)
                finally:
                    self._pool.release(connection)
        finally:
            self._availability.leave(mark)

    async def _again(self, error: Exception, *, left: int, fresh: bool) -> bool:
        """Whether the next try needs a fresh connection; raises the translated error if there is no next try."""
        state = _state(error)
        if state in RETRIED and left > 0:
            return False
        outdated = isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError)
        if (state == READ_ONLY or outdated) and not fresh:
            return True
        if isinstance(error, PoolExhausted) or is_unavailable(error):
            if not self._availability.up:
                raise Unavailable from error
            waited = isinstance(error, TimeoutError | PoolExhausted)  # a second wait would cost a second deadline
            if not fresh and not waited:
                return True
            raise (Busy if await self._availability.verdict() else Unavailable) from error
        raise translate(error) from error

    async def _commit(self, connection: Connection, table: Table, written: Written) -> None:
        """Commits; if the answer does not come, finds out what became of the transaction."""
        connection.warnings.clear()
        until = time.monotonic() + self._availability.timeout
        commit = asyncio.create_task(connection.execute("COMMIT"))
        await asyncio.wait({commit}, timeout=COMMIT_TIMEOUT)
        if not commit.done():
            connection.terminate()  # which ends the task
            await asyncio.wait({commit})
        error = commit.exception()
        if error is None:
            if commit.result() != "COMMIT":
                raise Busy
            if REPLICATION_CANCELLED in connection.warnings:
                raise Busy("unknown")
        elif isinstance(error, asyncpg.PostgresError) and not is_unavailable(error):
            raise error  # the server said no: deferred constraint, serialization
        else:
            connection.terminate()
            committed = await self._outcome(table, written, until)
            if not committed:
                outcome: Outcome = "unknown" if committed is None else "not_applied"
                raise (Busy(outcome) if self._availability.up else Unavailable(outcome, sent=True))

    async def _outcome(self, table: Table, written: Written, until: float) -> bool | None:
        """Whether a transaction whose COMMIT was cut off is applied; None if nobody can say in time."""
        while True:
            if self._availability.up:
                try:
                    async with asyncio.timeout(self._availability.timeout):
                        return await self._look_back(table, written)
                except Exception:  # noqa: BLE001 - whatever it was, nobody could be asked
                    await self._availability.verdict()
            if time.monotonic() > until:
                return None
            await asyncio.sleep(OUTCOME_PAUSE)

    async def _look_back(self, table: Table, written: Written) -> bool | None:
        """Asks on a connection beside the pool: its slots may all be held by writes that ask the same."""
        connection = await self._open()
        try:
            return await _ask_trace(connection, table, written)
        finally:
            connection.terminate()


def _opening(caller: Caller | None) -> str:
    """The text that begins a write; the id goes as hexadecimal, which no value of it can escape from."""
    if caller is None:
        return statements.OPEN.format(caller="NULL", epoch=0)
    name = f"convert_from('\\x{caller.id.encode().hex()}', 'UTF8')"
    return statements.OPEN.format(caller=name, epoch=int(caller.epoch))


async def _leave(connection: Connection) -> None:
    """Ends a transaction that its verb did not finish."""
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection.terminate()


async def _ask_trace(connection: Connection, table: Table, written: Written) -> bool | None:
    """Makes sure that the writing transaction has ended, then recognises its row by a version that is drawn once.

    Its transaction id would not do: after a crash, even of one backend only, the server gives the id to somebody else.
    """
    [state] = await connection.fetch(statements.SETTLE, written.pid, written.xid)
    if not state["settled"]:
        return None
    trace = statements.trace(table)
    last = await connection.fetchrow(trace.sql, *trace.values({"row_key": written.document.key}))
    if last is None or last["version"] < written.version:
        return False
    if (last["version"], last["at"]) == (written.version, written.at) and not state["replicated"]:
        return True
    return None  # overwritten since, or perhaps on this server only


async def _fetch(connection: Connection, statement: Statement, named: dict[str, Any]) -> list[Any]:
    rows: list[Any] = await connection.fetch(statement.sql, *statement.values(named))
    return rows


def _written(rows: list[Any], table: Table | None = None) -> Written:
    """What a statement gave back; with a table, the whole row too."""
    row = rows[0]
    document = Document(row["json"], row["etag"], row["row_key"])
    whole = None if table is None else {column.name: row[column.name] for column in stored_columns(table)}
    return Written(document, row["witness"], row["at"], row["pid"], row["xid"], whole)


async def _locked(connection: Connection, table: Table, key: str, match: Precondition | None) -> tuple[Row, str]:
    for address in _addresses(table, key):
        rows = await _fetch(connection, statements.lock(table, by_number="row_number" in address), address)
        if rows:
            row = dict(rows[0])
            etag: str = row.pop("etag")
            if match is not None and not match.holds(etag):
                raise Stale
            return row, etag
    raise NotFound


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


def _addresses(table: Table, key: str) -> list[dict[str, Any]]:
    """The ways to read a key: as the key, then as a number where the table has one."""
    number = number_in(table, key)
    return [{"row_key": key}] if number is None else [{"row_key": key}, {"row_key": key, "row_number": number}]


def _named(filters: tuple[Filter, ...], caller: Caller | None) -> dict[str, Any]:
    named: dict[str, Any] = {f"filter_{index}": item.value for index, item in enumerate(filters)}
    if caller is not None:
        named |= {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return named


def _sort_values(table: Table, document: str) -> tuple[Any, ...]:
    row = json.loads(document)
    return tuple(row[camel(column.name)] for column, _ in order_of(table))


def _state(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""


def translate(error: Exception) -> Exception:
    """What a driver error means for the caller; an error that we do not know is a bug and stays itself."""
    if not isinstance(error, asyncpg.PostgresError):
        return _bad_argument(error)
    state, column = _state(error), _column(error)
    if state == NO_ACCESS:
        return Unauthenticated()
    if state == "23505":
        return Conflict("Cette valeur est déjà prise.", column)
    if state[:2] in {"22", "23"}:
        missing = state == "23503"
        return Invalid([FieldError(column, "désigne une ligne qui n'existe pas" if missing else "valeur refusée")])
    return next((kind() for states, kind in REFUSALS if state in states), error)


def _bad_argument(error: Exception) -> Exception:
    if isinstance(error, asyncpg.DataError | OverflowError):
        return Invalid([FieldError("", "valeur hors des limites")])
    return error


def _column(error: asyncpg.PostgresError) -> str:
    """The column that an error is about, from the name of its constraint (`table_column[_kind]`)."""
    if getattr(error, "column_name", None):
        return str(error.column_name)
    table, name = getattr(error, "table_name", None) or "", getattr(error, "constraint_name", None) or ""
    name = name.removeprefix(f"{table}_")
    for kind in ("_check", "_fkey", "_key"):
        name = name.removesuffix(kind)
    return "id" if name == "pkey" else name
