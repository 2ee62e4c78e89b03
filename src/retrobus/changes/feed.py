"""Tells followers what changed since their cursor, from PostgreSQL alone: memory never answers here.

A page is one snapshot. When a reading of several pages has ended, versions that it had passed may have been committed
meanwhile; so another reading follows, until one fits into a single page. Then the follower holds exactly the rows of
one instant. For example: transaction 100 draws version 11 and waits, 101 commits version 12. A follower reads 12 and
keeps `highest` 12 with 100 as late above 10. While 100 runs, the follower reads on above 12. Once 100 has ended, it
reads again above 10 and finds 11.
"""

import asyncio
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from retrobus.changes import statements
from retrobus.changes.cursor import Cursor, Scope
from retrobus.changes.snapshots import Look, look, snapshot_of, transaction_id
from retrobus.store.access import prove
from retrobus.store.attempts import Attempts
from retrobus.store.contract import Caller
from retrobus.store.errors import Busy, ReadOnly, Resync
from retrobus.store.pool import Connection

MOST_LATE = 300
"""Transactions that a cursor can name; so many at once are an overload."""

PAUSE, LOOKS = 0.02, 10
"""Seconds between two looks, and looks, before everything is read: short transactions that run have ended then."""


@dataclass(frozen=True)
class Changes:
    """One page: items as JSON, the cursor to go on from, and whether more is there to be read at once."""

    items: list[bytes]
    cursor: Cursor
    more: bool
    seen: Look
    """The state of the database that the page shows: a later look that equals it proves that nothing has changed."""

    @cached_property
    def events(self) -> bytes:
        """The items as Server-Sent Events, the last with the cursor as its id. Made once for all streams."""
        if not self.items:
            return b""
        *others, last = (b"data: " + item + b"\n\n" for item in self.items)
        return b"".join((*others, self.mark, last))

    @property
    def mark(self) -> bytes:
        """The line that makes the cursor the id of an event."""
        return f"id: {self.cursor.text()}\n".encode()


class ChangeFeed:
    """Promise: who applies pages by version until `more` is false holds the rows of one instant since its request."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def look(self) -> Look:
        """The state of the database in a few words."""
        return await self._attempts.run(look)

    async def page(self, scope: Scope, cursor: Cursor | None, limit: int, caller: Caller | None) -> Changes:
        """The changes after this cursor, or everything; Resync, Unauthenticated or ReadOnly (a standby) refuse it."""
        base = await self._base() if cursor is None else 0
        return await self._attempts.run(lambda connection: _page(connection, scope, cursor or base, limit, caller))

    async def prove(self, caller: Caller) -> None:
        """Unauthenticated unless the caller still has access."""
        await self._attempts.run(lambda connection: prove(connection, caller))

    async def _base(self) -> int:
        """A version up to which no transaction will commit any more; 0 if a long one holds it back.

        Above it a follower reads again what short transactions commit while it reads everything for the first time.
        """
        highest = (await self.look()).highest
        own = await self._attempts.run(transaction_id)
        for _ in range(LOOKS):
            if own is not None and (await self.look()).oldest > own:
                return highest
            await asyncio.sleep(PAUSE)
        return 0


async def _page(
    connection: Connection, scope: Scope, known: Cursor | int, limit: int, caller: Caller | None
) -> Changes:
    seen = await look(connection)
    at = _known(known, scope, seen)
    again = at.place is not None
    if not at.first and not again and seen.highest == at.highest and at.late.keys() <= seen.running:
        if caller is not None:
            await prove(connection, caller)
        return Changes([], at, more=False, seen=seen)
    own = None
    if at.place is None:
        own = await transaction_id(connection)  # after `highest` was read: what begins later draws a higher version
    async with snapshot_of(connection) as snapshot:
        if scope.origin(snapshot.seen) != at.origin:
            raise Resync
        if caller is not None:
            await prove(connection, caller)
        start = at.place
        if start is None:
            start = 0 if at.first else at.start(snapshot.seen.running)
            at = _aim(at, seen.highest, snapshot.seen.running, own or 0)
        values = [start, limit + 1, *([scope.own] if scope.own is not None else [])]
        rows = await connection.fetch(statements.of(scope, first=at.first), *values)
    return _told(rows, at, limit, snapshot.seen, again=again)


def _known(cursor: Cursor | int, scope: Scope, seen: Look) -> Cursor:
    """The cursor, if it is of this scope and database; in place of none, one that has read nothing."""
    if not seen.timeline:
        raise ReadOnly  # a standby gives no transaction ids, by which late transactions are known
    origin = scope.origin(seen)
    if isinstance(cursor, int):
        return Cursor(origin, cursor, first=True)
    if cursor.origin != origin or cursor.highest > seen.highest:
        raise Resync
    return cursor


def _aim(at: Cursor, highest: int, running: frozenset[int], own: int) -> Cursor:
    """What the follower holds once it has read up to the end from here.

    A transaction that was not late before has begun since `highest` was read then, so it drew higher versions.
    """
    late = {number: at.late.get(number, at.highest) for number in running if number < own}
    if len(late) > MOST_LATE:
        raise Busy
    return Cursor(at.origin, highest, late, None, at.first)


def _told(rows: list[Any], at: Cursor, limit: int, seen: Look, *, again: bool) -> Changes:
    """The page; `again` if it belongs to a reading of several pages, after which another reading follows."""
    items = [item_of(*row) for row in rows[:limit]]
    if len(rows) > limit:
        place = rows[limit - 1]["version"]
        return Changes(items, Cursor(at.origin, at.highest, at.late, place, at.first), more=True, seen=seen)
    return Changes(items, Cursor(at.origin, at.highest, at.late), more=again, seen=seen)


def item_of(resource: str, key: str, version: int, row: bytes | None) -> bytes:
    """One change as JSON."""
    head = f'{{"resource":"{resource}","key":{json.dumps(key, ensure_ascii=False)},"version":{version}'.encode()
    return head + (b',"deleted":true}' if row is None else b',"deleted":false,"row":' + row + b"}")
