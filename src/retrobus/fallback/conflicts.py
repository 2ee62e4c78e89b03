"""The table `conflict`: journaled writes that Postgres could not take; each waits there until an operator decides."""

import json
from dataclasses import asdict
from typing import Any, Literal

from retrobus.database.pooler import OwnNames
from retrobus.fallback.entries import Entry

Resolution = Literal["applied", "discarded"]
Place = tuple[str, str]
"""Name of the resource, and key."""

ADD = """INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason, resolution, resolved_at)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8::text, CASE WHEN $8::text IS NOT NULL THEN now() END)
ON CONFLICT (journal, sequence) DO NOTHING"""
REFUSED = """SELECT resource, key, bool_or(operation = 'insert') AS never_came FROM conflict
WHERE journal = ANY($1::uuid[]) AND resolution IS NULL GROUP BY resource, key"""
OVERTAKE = """UPDATE conflict SET resolution = 'discarded', resolved_at = now()
WHERE journal = ANY($1::uuid[]) AND resource = $2 AND key = $3 AND resolution IS NULL"""


async def note(
    connection: OwnNames, entry: Entry, reason: str, resolution: Resolution | None = None, **more: Any
) -> None:
    """Keeps an entry with the reason why it was not simply applied; `resolution` if there is nothing to decide."""
    text = json.dumps(asdict(entry) | more, ensure_ascii=False)
    place = (entry.journal, entry.sequence, entry.resource, entry.key, entry.operation)
    await connection.execute(ADD, *place, text, reason, resolution)


async def refused(connection: OwnNames, journals: list[str]) -> dict[Place, bool]:
    """The rows of journals with an open conflict, and whether that means that they never came to Postgres."""
    rows = await connection.fetch(REFUSED, journals)
    return {(row["resource"], row["key"]): row["never_came"] for row in rows}


async def overtake(connection: OwnNames, journals: list[str], entry: Entry) -> None:
    """Closes the open conflicts of a row that was deleted afterwards, so that no operator brings it back by mistake."""
    await connection.execute(OVERTAKE, journals, entry.resource, entry.key)
