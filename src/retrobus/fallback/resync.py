"""The operator's decisions about journaled writes that are in conflict: apply, discard, restore what was replaced."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from retrobus.database import sql
from retrobus.database.pooler import OwnNames
from retrobus.fallback.conflicts import Resolution
from retrobus.fallback.journal import Journal
from retrobus.fallback.parts import Report
from retrobus.fallback.replay import Replay
from retrobus.model.names import camel
from retrobus.model.resources import BY_NAME, MEMBER, Resource
from retrobus.model.rows import Row, completed, decode, encode
from retrobus.store.confirmed import confirmed

COMMAND = "cli"
"""Who decides with the command `retrobus resync`, as `updatedBy` names the commands."""

OPEN = """SELECT id AS number, resource, key, operation, reason, created_at AS at, entry::text AS entry FROM conflict
WHERE resolution IS NULL AND ($1::int IS NULL OR id = $1) ORDER BY id"""
SETTLED = """SELECT id AS number, resource, key, operation, reason, resolved_at AS at, resolution,
  entry ->> 'member' AS member, entry -> 'image' IS NOT NULL AND jsonb_typeof(entry -> 'image') = 'object' AS kept
FROM conflict WHERE resolution IS NOT NULL ORDER BY id"""
HOLD_IMAGE = """SELECT resource, key, entry::text AS entry FROM conflict
WHERE id = $1 AND resolution IS NOT NULL AND jsonb_typeof(entry -> 'image') = 'object' FOR UPDATE"""
KEEP_IMAGE = """UPDATE conflict SET resolution = 'discarded', resolved_at = now(),
  entry = entry || jsonb_build_object('image', $2::text::jsonb, 'resolvedBy', $3::text) WHERE id = $1"""
HOLD = "SELECT FROM conflict WHERE id = $1 AND resolution IS NULL FOR UPDATE"
CLOSE = """UPDATE conflict SET resolution = $2, resolved_at = now(), entry = entry || $3::text::jsonb WHERE id = $1"""


class Decided(Exception):
    """No open conflict has this number: it was decided already, or no conflict ever had it."""


class Deleted(Exception):
    """An update of a deleted row is only applied with `--apply N`; `--apply-all` skips it."""


@dataclass(frozen=True, slots=True)
class OpenConflict:
    """One journaled write that waits for a decision of the operator."""

    number: int
    resource: str
    key: str
    operation: str
    reason: str
    at: datetime
    entry: dict[str, Any]

    @property
    def of(self) -> Resource:
        """The resource of its row."""
        return BY_NAME[self.resource]

    @property
    def member(self) -> str | None:
        """The id of the member who made the write."""
        member: str | None = self.entry["member"]
        return member

    @property
    def wanted(self) -> Row | None:
        """The row as the write left it, with the defaults of columns that are newer; None for a delete."""
        return wanted_row(self.of, self.entry)


def wanted_row(resource: Resource, entry: dict[str, Any]) -> Row | None:
    """The row as a journaled write left it; None for a delete."""
    return None if entry["row"] is None else complete_row(resource, entry["row"])


def complete_row(resource: Resource, kept: Row) -> Row:
    """A row as it was kept, with the defaults of columns that are newer than it."""
    return decode(resource, encode(resource, completed(resource, {})) | kept)


async def open_conflicts(connection: OwnNames, number: int | None = None) -> list[OpenConflict]:
    """The conflicts that wait for a decision, or the one with this number, in the order in which they came."""
    rows = await connection.fetch(OPEN, number)
    return [OpenConflict(**{**row, "entry": json.loads(row["entry"])}) for row in rows]


@dataclass(frozen=True, slots=True)
class SettledConflict:
    """One journaled write that was decided, by the replay or by an operator."""

    number: int
    resource: str
    key: str
    operation: str
    reason: str
    at: datetime
    resolution: Resolution
    member: str | None
    kept: bool
    """Whether the row that it replaced or removed is kept, and can be restored."""


class NothingKept(Exception):
    """No settled conflict of this number keeps a row."""


async def settled_conflicts(connection: OwnNames) -> list[SettledConflict]:
    """The conflicts that were decided, in the order in which they came."""
    return [SettledConflict(**row) for row in await connection.fetch(SETTLED)]


async def restore(connection: OwnNames, number: int) -> tuple[str, str]:
    """Puts back the row that a settled conflict replaced or removed; its resource and key.

    The row that is there now, if there is one, is kept in its place: restoring twice swaps them. NothingKept if the
    conflict keeps no row.
    """
    async with confirmed(connection):
        await connection.execute(f"SET LOCAL lock_timeout = '5s'; {sql.GIVEN_STAMPS}")
        found = await connection.fetchrow(HOLD_IMAGE, number)
        if found is None:
            raise NothingKept
        resource = BY_NAME[found["resource"]]
        wanted = complete_row(resource, json.loads(found["entry"])["image"])
        present = await sql.row_of(connection, resource, found["key"], lock=True)
        if resource is MEMBER:
            wanted["token_epoch"] = _later_epoch(wanted, present, created=False)
        await sql.put_row(connection, resource, wanted, replace=present is not None)
        now = None if present is None else encode(resource, present)
        await connection.execute(KEEP_IMAGE, number, json.dumps(now, ensure_ascii=False), COMMAND)
    return found["resource"], found["key"]


async def differences(connection: OwnNames, conflict: OpenConflict) -> dict[str, tuple[Any, Any]]:
    """Field by field what Postgres has and what the write wants; None where there is no row. No secret is in it."""
    resource = conflict.of
    found = await sql.row_of(connection, resource, conflict.key)
    present, wanted = (None if row is None else encode(resource, row) for row in (found, conflict.wanted))
    hidden = resource.secret | resource.machinery
    shown = [column.name for column in resource.columns if column.name not in hidden]
    pairs = {name: ((present or {}).get(name), (wanted or {}).get(name)) for name in shown}
    return {camel(name): pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def discard(connection: OwnNames, number: int) -> None:
    """Leaves Postgres as it is and closes the conflict; Decided if it is not open."""
    async with confirmed(connection):
        await discard_within(connection, number)


async def discard_within(connection: OwnNames, number: int, *, by: str = COMMAND) -> None:
    """As `discard`, inside the transaction that is open; `by` is the id of the member who decides."""
    await _hold(connection, number)
    await _close(connection, number, "discarded", {"resolvedBy": by})


async def apply(connection: OwnNames, conflict: OpenConflict, *, named: bool) -> None:
    """Does what the write wanted, whatever Postgres has; what that replaces is kept with the conflict.

    Decided if it is not open; Deleted if an update would bring a row back and the operator did not name it.
    """
    async with confirmed(connection):
        await apply_within(connection, conflict, named=named)


async def apply_within(connection: OwnNames, conflict: OpenConflict, *, named: bool, by: str = COMMAND) -> None:
    """As `apply`, inside the transaction that is open: `by` decides, and the member of the write is the author."""
    await connection.execute("SET LOCAL lock_timeout = '5s'")
    await connection.execute(
        "SELECT set_config('retrobus.actor', $1, true), set_config('retrobus.cause', 'api', true)",
        conflict.entry["member"] or "",
    )
    await _hold(connection, conflict.number)
    present = await sql.row_of(connection, conflict.of, conflict.key, lock=True)
    if present is None and conflict.operation == "update" and not named:
        raise Deleted
    await _carry_out(connection, conflict, present)
    kept = {} if present is None else {"image": encode(conflict.of, present)}
    await _close(connection, conflict.number, "applied", {"resolvedBy": by} | kept)


async def _carry_out(connection: OwnNames, conflict: OpenConflict, present: Row | None) -> None:
    resource, wanted = conflict.of, conflict.wanted
    if wanted is not None:
        if resource is MEMBER:
            wanted["token_epoch"] = _later_epoch(wanted, present, created=conflict.operation == "insert")
        await sql.put_row(connection, resource, wanted, replace=present is not None)
    elif present is not None:
        await sql.delete_row(connection, resource, conflict.key)


def _later_epoch(wanted: Row, present: Row | None, *, created: bool) -> int:
    """An epoch that keeps every revoked token invalid."""
    epoch: int = wanted["token_epoch"]
    if present is None:
        return epoch if created else epoch + 1
    changed = any(wanted[name] != present[name] for name in ("role", "status", "password_hash"))
    later: int = present["token_epoch"] + changed
    return max(epoch, later)


async def _hold(connection: OwnNames, number: int) -> None:
    if await connection.fetchrow(HOLD, number) is None:
        raise Decided


async def _close(connection: OwnNames, number: int, resolution: Resolution, more: dict[str, Any]) -> None:
    await connection.execute(CLOSE, number, resolution, json.dumps(more, ensure_ascii=False))


async def bring_in(connection: OwnNames, journal: Journal) -> Report:
    """Brings a journal that no service holds into Postgres, as rows or as conflicts, and removes its file.

    Unconfirmed if a synchronous standby may lack it: then the file stays.
    """
    replay = Replay(connection, journal)
    journal.settle(await replay.run())
    return replay.report
