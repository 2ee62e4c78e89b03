"""The last changes, and the cursor from which a follower hears what happens next, without all that was before."""

from dataclasses import dataclass

from retrobus.changes import statements
from retrobus.changes.cursor import Cursor, Scope
from retrobus.changes.feed import item_of
from retrobus.changes.snapshots import look
from retrobus.store.pool import Connection

BACK = 100
"""Versions before the last one after which the cursor begins: what slow transactions still commit is told so."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The last changes as JSON, the latest first; no cursor on a standby, which has no feed."""

    items: list[bytes]
    cursor: str | None


async def latest(connection: Connection, names: tuple[str, ...], count: int) -> Latest:
    """The last changes of these resources as managers are told them; the stream may tell some of them again."""
    seen = await look(connection)
    rows = await connection.fetch(statements.newest(names), 0, count)
    cursor = Cursor(Scope(names).origin(seen), max(0, seen.highest - BACK)).text() if seen.timeline else None
    return Latest([item_of(*row) for row in rows], cursor)
