"""What an operator decides about journaled writes that Postgres could not take by itself."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from retrobus.fallback.conflicts import Resolution
from retrobus.fallback.journal import Journal
from retrobus.fallback.replay import Replay, Report, locked_row, put_row
from retrobus.model.rows import Row, completed, decode, encode
from retrobus.model.tables import RESOURCES, SECRET_COLUMNS, key_column, member, number_column, stored_columns
from retrobus.model.wire import camel
from retrobus.store.confirmed import confirmed

OPEN = """SELECT id AS number, resource, key, operation, reason, created_at AS at, entry::text AS entry FROM conflict
WHERE resolution IS NULL AND ($1::int IS NULL OR id = $1) ORDER BY id"""
SETTLED = """SELECT id AS number, resource, key, operation, reason, resolved_at AS at, resolution,
  entry -> 'image' IS NOT NULL AND jsonb_typeof(entry -> 'image') = 'object' AS kept
FROM conflict WHERE resolution IS NOT NULL ORDER BY id"""
HOLD_IMAGE = """SELECT resource, key, entry::text AS entry FROM conflict
WHERE id = $1 AND resolution IS NOT NULL AND jsonb_typeof(entry -> 'image') = 'object' FOR UPDATE"""
KEEP_IMAGE = """UPDATE conflict SET resolution = 'discarded', resolved_at = now(),
  entry = entry || jsonb_build_object('image', $2::text::jsonb) WHERE id = $1"""
HOLD = "SELECT FROM conflict WHERE id = $1 AND resolution IS NULL FOR UPDATE"
CLOSE = """UPDATE conflict SET resolution = $2, resolved_at = now(), entry = entry || $3::text::jsonb WHERE id = $1"""
MACHINERY = frozenset({"version", "created_at", "updated_at"})


class Decided(Exception):
    """No open conflict has this number: somebody decided already, or it never was."""


class Deleted(Exception):
    """The row of an update is gone: bringing it back takes its number, not a word for all."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One write that waits for a decision."""

    number: int
    resource: str
    key: str
    operation: str
    reason: str
    at: datetime
    entry: dict[str, Any]

    @property
    def table(self) -> Table:
        """Where its row is, or was."""
        return RESOURCES[self.resource]

    @property
    def wanted(self) -> Row | None:
        """The row as the write left it, with the defaults of columns that are newer; None for a delete."""
        if self.entry["row"] is None:
            return None
        return decode(self.table, encode(self.table, completed(self.table, {})) | self.entry["row"])


async def open_conflicts(connection: Any, number: int | None = None) -> list[Conflict]:
    """Everything that waits, or the one of this number, in the order in which it came."""
    rows = await connection.fetch(OPEN, number)
    return [Conflict(**{**row, "entry": json.loads(row["entry"])}) for row in rows]


@dataclass(frozen=True, slots=True)
class Settled:
    """One write that was decided, by the replay or by an operator."""

    number: int
    resource: str
    key: str
    operation: str
    reason: str
    at: datetime
    resolution: Resolution
    kept: bool
    """Whether the row that it replaced or removed is kept, and can be restored."""


class NothingKept(Exception):
    """No settled conflict of this number keeps a row."""


async def settled_conflicts(connection: Any) -> list[Settled]:
    """Everything that was decided, in the order in which it came."""
    return [Settled(**row) for row in await connection.fetch(SETTLED)]


async def restore(connection: Any, number: int) -> tuple[str, str]:
    """Puts back the row that a settled conflict replaced or removed; its resource and key.

    The row that is there now, if there is one, is kept in its place: restoring twice swaps them. NothingKept if the
    conflict keeps no row.
    """
    async with confirmed(connection):
        await connection.execute("SET LOCAL lock_timeout = '5s'; SELECT set_config('retrobus.cause', 'api', true)")
        found = await connection.fetchrow(HOLD_IMAGE, number)
        if found is None:
            raise NothingKept
        table = RESOURCES[found["resource"]]
        image = json.loads(found["entry"])["image"]
        wanted = decode(table, encode(table, completed(table, {})) | image)
        present = await locked_row(connection, table, found["key"])
        if table is member:
            wanted["token_epoch"] = _later_epoch(wanted, present, created=False)
        await put_row(connection, table, wanted, replace=present is not None)
        now = None if present is None else encode(table, present)
        await connection.execute(KEEP_IMAGE, number, json.dumps(now, ensure_ascii=False))
    return found["resource"], found["key"]


async def differences(connection: Any, conflict: Conflict) -> dict[str, tuple[Any, Any]]:
    """Field by field what Postgres has and what the write wants; None where there is no row. No secret is in it."""
    table = conflict.table
    names = ", ".join(column.name for column in stored_columns(table))
    found = await connection.fetchrow(
        f"SELECT {names} FROM {table.name} WHERE {key_column(table).name} = $1",  # noqa: S608 - names of our own tables
        conflict.key,
    )
    present, wanted = (None if row is None else encode(table, row) for row in (found, conflict.wanted))
    number = number_column(table)
    hidden = SECRET_COLUMNS | MACHINERY | ({number.name} if number is not None else set())
    shown = [column.name for column in stored_columns(table) if column.name not in hidden]
    pairs = {name: ((present or {}).get(name), (wanted or {}).get(name)) for name in shown}
    return {camel(name): pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def discard(connection: Any, number: int) -> None:
    """Leaves Postgres as it is and closes the conflict; Decided if it is not open."""
    async with confirmed(connection):
        await _hold(connection, number)
        await _close(connection, number, "discarded", None)


async def apply(connection: Any, conflict: Conflict, *, named: bool) -> None:
    """Does what the write wanted, whatever Postgres has; what that replaces is kept with the conflict.

    Decided if it is not open; Deleted if an update would bring a row back and the operator did not name it.
    """
    async with confirmed(connection):
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        await connection.execute(
            "SELECT set_config('retrobus.actor', $1, true), set_config('retrobus.cause', 'api', true)",
            conflict.entry["member"] or "",
        )
        await _hold(connection, conflict.number)
        present = await locked_row(connection, conflict.table, conflict.key)
        if present is None and conflict.operation == "update" and not named:
            raise Deleted
        await _carry_out(connection, conflict, present)
        image = None if present is None else encode(conflict.table, present)
        await _close(connection, conflict.number, "applied", image)


async def _carry_out(connection: Any, conflict: Conflict, present: Row | None) -> None:
    table, wanted = conflict.table, conflict.wanted
    if wanted is not None:
        if table is member:
            wanted["token_epoch"] = _later_epoch(wanted, present, created=conflict.operation == "insert")
        await put_row(connection, table, wanted, replace=present is not None)
    elif present is not None:
        await connection.execute(
            f"DELETE FROM {table.name} WHERE {key_column(table).name} = $1",  # noqa: S608 - names of our own tables
            conflict.key,
        )


def _later_epoch(wanted: Row, present: Row | None, *, created: bool) -> int:
    """No token that was revoked meanwhile comes to life again."""
    epoch: int = wanted["token_epoch"]
    if present is None:
        return epoch if created else epoch + 1
    changed = any(wanted[name] != present[name] for name in ("role", "status", "password_hash"))
    later: int = present["token_epoch"] + changed
    return max(epoch, later)


async def _hold(connection: Any, number: int) -> None:
    if await connection.fetchrow(HOLD, number) is None:
        raise Decided


async def _close(connection: Any, number: int, resolution: Resolution, image: Row | None) -> None:
    kept = {} if image is None else {"image": image}
    await connection.execute(CLOSE, number, resolution, json.dumps(kept, ensure_ascii=False))


async def bring_in(connection: Any, journal: Journal) -> Report:
    """Brings a journal that no service holds into Postgres, as rows or as conflicts, and removes its file.

    Unconfirmed if a synchronous standby may lack it: then the file stays.
    """
    replay = Replay(connection, journal)
    journal.settle(await replay.run())
    return replay.report
