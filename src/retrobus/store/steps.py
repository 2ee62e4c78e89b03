"""The steps of a write inside its transaction: look at the row, decide, change it. The commands take the same steps."""

from collections.abc import Mapping
from typing import Any

from retrobus.database.connection import AnyConnection
from retrobus.model.resources import Resource
from retrobus.store import statements
from retrobus.store.contract import (
    Caller,
    Delete,
    Insert,
    Precondition,
    Row,
    Update,
    Write,
)
from retrobus.store.errors import (
    Conflict,
    NotFound,
    Stale,
)
from retrobus.store.statements import Statement

LAST_ONE = "le dernier administrateur actif ne peut être ni supprimé ni rétrogradé."


def opening(caller: Caller | None, nonce: int, limits: str) -> str:
    """The text that begins a transaction; the id goes as hexadecimal, which no value of it can escape from."""
    if caller is None:
        return statements.OPEN.format(limits=limits, caller="NULL", epoch=0, nonce=nonce)
    name = f"convert_from('\\x{caller.id.encode().hex()}', 'UTF8')"
    return statements.OPEN.format(limits=limits, caller=name, epoch=int(caller.epoch), nonce=nonce)


async def act(connection: AnyConnection, write: Write, *, whole: bool) -> Any:
    """The row that the write left; without a `witness` if it found all as it should be.

    `whole` asks for every column of the row too.
    """
    match write:
        case Insert():
            statement = statements.add(write.resource, frozenset(write.values), whole=whole)
            return (await _fetch(connection, statement, write.values))[0]
        case Update():
            return await _update(connection, write, whole=whole)
        case Delete():
            return await _delete(connection, write)


async def _update(connection: AnyConnection, write: Update, *, whole: bool) -> Any:
    """Locks the row, lets the write decide, writes what differs."""
    resource, key = write.resource, write.key
    row = await _locked(connection, resource, key, write.terms.match)
    changes = write.changes(row)
    if not changes:
        statement = statements.get(resource, "one", (), access=False)
        return (await _fetch(connection, statement, {"row_key": key}))[0]
    await keep_one(connection, resource, row, row | changes)
    statement = statements.change(resource, frozenset(changes), whole=whole)
    return (await _fetch(connection, statement, changes | {"row_key": key}))[0]


async def _delete(connection: AnyConnection, write: Delete) -> Any:
    """Deletes by key; locks and looks first only if something has to be looked at."""
    resource, match = write.resource, write.terms.match
    if write.check is not None or match is not None or resource.keep_one:
        row = await _locked(connection, resource, write.key, match)
        if write.check is not None:
            write.check(dict(row))
        await keep_one(connection, resource, row, None)
    rows = await _fetch(connection, statements.remove(resource), {"row_key": write.key})
    if not rows:
        raise NotFound
    return rows[0]


async def _locked(connection: AnyConnection, resource: Resource, key: str, match: Precondition | None) -> Row:
    """The row, held until the transaction ends; NotFound, or Stale if the client read another state."""
    rows = await _fetch(connection, statements.lock(resource), {"row_key": key})
    if not rows:
        raise NotFound
    row = dict(rows[0])
    if match is not None and not match.holds(row.pop("etag")):
        raise Stale
    row.pop("etag", None)
    return row


async def keep_one(connection: AnyConnection, resource: Resource, before: Row, after: Row | None) -> None:
    """Refuses the change that would leave no row with the resource's `keep_one` values."""
    if not loses_one(resource, before, after):
        return
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))")
    rows = await _fetch(connection, statements.another(resource), {"row_key": before[resource.key]})
    if not rows[0][0]:
        raise Conflict(LAST_ONE, "role")


async def _fetch(connection: AnyConnection, statement: Statement, named: dict[str, Any]) -> list[Any]:
    rows: list[Any] = await connection.fetch(statement.sql, *statement.values(named))
    return rows


def loses_one(resource: Resource, before: Row, after: Row | None) -> bool:
    """Whether a change takes the `keep_one` values from a row that has them."""
    rule = resource.keep_one
    return bool(rule) and has_values(before, rule) and (after is None or not has_values(after, rule))


def has_values(row: Row, values: Mapping[str, Any]) -> bool:
    """Whether a row holds all of these values."""
    return all(row[name] == value for name, value in values.items())
