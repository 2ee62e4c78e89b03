"""The conflicts as administrators see and decide them over HTTP, by the rules of `retrobus resync`."""

import json
from dataclasses import dataclass
from typing import Any

from retrobus.fallback.conflict_view import ConflictView, document_of, ids_in, view_of
from retrobus.fallback.conflicts import Resolution
from retrobus.fallback.resync import apply_within, discard_within, open_conflicts
from retrobus.store import idempotency, statements
from retrobus.store.access import prove
from retrobus.store.attempts import Attempts
from retrobus.store.authors import names_of
from retrobus.store.confirmed import Unconfirmed, at_most, confirmed
from retrobus.store.contract import Caller, Document, Page, Terms
from retrobus.store.errors import Busy, NotFound, Unauthenticated
from retrobus.store.pool import Connection
from retrobus.store.postgres import random_nonce

PAGE = 100
"""Conflicts in a page, at most: each holds two rows."""

LONG, SHOWN = 2000, 200
"""Of a text with more than LONG characters, such as an image, the answer has the first SHOWN."""

NUMBERS = "SELECT id FROM conflict WHERE id > $1::bigint AND ($2 OR resolution IS NULL) ORDER BY id LIMIT $3"
OPENED = "SELECT retrobus_open($1, $2, $3)"


@dataclass(frozen=True, slots=True)
class AlreadySettled:
    """The conflict was decided before, by an administrator or by the replay."""

    resolution: Resolution


class Conflicts:
    """The conflicts of outages: those that wait for a decision, and those that were decided."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def page(self, after: int, limit: int, caller: Caller, *, settled: bool) -> Page:
        """The open conflicts, with `settled` those that were decided too, in the order in which they came."""
        return await self._attempts.run(
            lambda connection: _page(connection, after, min(limit, PAGE), caller, settled=settled)
        )

    async def decide(self, number: int, decision: Resolution, terms: Terms) -> Document | AlreadySettled:
        """Applies or discards one conflict for the caller of the terms, who must still have access.

        Applying does what the write wanted, whatever PostgreSQL has, and keeps what that replaces. NotFound if no
        conflict has this number. What the table refuses is Conflict or Invalid, and the conflict stays open.
        """
        return await self._attempts.run(lambda connection: _decided(connection, number, decision, terms), writes=True)


async def _page(connection: Connection, after: int, limit: int, caller: Caller, *, settled: bool) -> Page:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await prove(connection, caller)
        numbers = [row["id"] for row in await connection.fetch(NUMBERS, after, settled, limit + 1)]
        views = [view for number in numbers[:limit] if (view := await view_of(connection, number))]
        names = await names_of(connection, (one for view in views for one in ids_in(view)))
    documents = [_document(view, names) for view in views]
    return Page(documents, ("number", numbers[limit - 1]) if len(numbers) > limit else None)


async def _decided(
    connection: Connection, number: int, decision: Resolution, terms: Terms
) -> Document | AlreadySettled:
    """One transaction: proves the access, looks for a kept answer, decides, keeps the answer."""
    try:
        async with confirmed(connection, at_most(1)):
            await _open(connection, terms)
            found = await idempotency.kept_answer(connection, terms) or await _settled(connection, number)
            if found is None:
                found = await _decide(connection, number, decision, _decider(terms))
                await idempotency.keep(connection, terms, found)
            else:
                await connection.fetchrow(statements.BARRIER)  # a failover must not take back what this answer says
    except Unconfirmed:
        raise Busy("unknown") from None
    return found


async def _open(connection: Connection, terms: Terms) -> None:
    if connection.limits:
        await connection.execute(connection.limits)
    if terms.caller is None:
        raise Unauthenticated
    await connection.execute(OPENED, terms.caller.id, terms.caller.epoch, random_nonce())


def _decider(terms: Terms) -> str:
    if terms.caller is None:
        raise Unauthenticated
    return terms.caller.id


async def _settled(connection: Connection, number: int) -> AlreadySettled | None:
    """What was decided before; None for an open conflict, which no other transaction can decide until this one ends."""
    found = await connection.fetchrow("SELECT resolution FROM conflict WHERE id = $1::bigint FOR UPDATE", number)
    if found is None:
        raise NotFound
    return None if found["resolution"] is None else AlreadySettled(found["resolution"])


async def _decide(connection: Connection, number: int, decision: Resolution, by: str) -> Document:
    if decision == "applied":
        [conflict] = await open_conflicts(connection, number)
        await apply_within(connection, conflict, named=True, by=by)
    else:
        await discard_within(connection, number, by=by)
    view = await view_of(connection, number)
    if view is None:
        raise NotFound
    return Document(_document(view, await names_of(connection, ids_in(view))), "", str(number))


def _document(view: ConflictView, names: dict[str, str]) -> bytes:
    document = document_of(view, names)
    return json.dumps(document | {"fields": _shortened(document["fields"])}, ensure_ascii=False).encode()


def _shortened(value: Any) -> Any:
    """The value, with the beginning of each text in it that is too long to be read."""
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, str) and len(value) > LONG:
        return f"{value[:SHOWN]}… ({len(value)} caractères)"
    return value
