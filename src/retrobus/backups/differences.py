"""Shows where rows here and rows of a backup differ: both values of each column, as texts that fit on a terminal.

For example, an event whose description of two pages got other words at its end:

    here    …vers 17 h. Retour à la nuit. (4120 caractères)
    backup  …vers 17 h. Retour au dépôt. (4118 caractères)
"""

import hashlib
import re
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.backups.draft import Draft
from retrobus.backups.facts import Values
from retrobus.backups.formats import Reading
from retrobus.backups.intake import Taken
from retrobus.backups.plan import DifferingRow, Pair
from retrobus.database.connection import AnyConnection
from retrobus.database.sql import row_of
from retrobus.model.resources import BY_NAME, Resource
from retrobus.model.rows import encoded
from retrobus.model.wire import moment

BEFORE = 12
"""Characters in front of the first difference that a shortened text keeps."""

HIDDEN = "(secret)"
_IMAGE = re.compile(r"data:([\w.+/-]{1,50});base64,([A-Za-z0-9+/=]{40,})")


class Detail(NamedTuple):
    """How much of the differences is shown: so many rows, and so many characters of each value."""

    rows: int
    width: int


SOME = Detail(20, 60)
"""For a plan: what a terminal shows."""

MOST = Detail(3000, 400)
"""For `--diff`: every row that the plan names."""


async def show_values(connection: AnyConnection, reading: Reading, draft: Draft, detail: Detail) -> None:
    """Puts both values of each differing column into the draft's plan, for its first rows.

    `reading` is a new pass through the same backup; it ends with the last of these rows. Memory holds one row of each
    side and the shortened texts.
    """
    rows = {(row.resource, row.key): row for row in draft.plan.differences}
    missing = set(list(rows)[: detail.rows])
    for found in reading if missing else ():
        place = (found.resource, found.key)
        if isinstance(found, Taken) and place in missing:
            missing.remove(place)
            rows[place] = await _shown(connection, draft, rows[place], found, detail.width)
            if not missing:
                break
    draft.plan = replace(draft.plan, differences=list(rows.values()))


async def _shown(connection: AnyConnection, draft: Draft, row: DifferingRow, found: Taken, width: int) -> DifferingRow:
    """The row of the plan with its values; the backup's row is first made what the restore would write."""
    resource = BY_NAME[row.resource]
    there, here = found.row, await row_of(connection, resource, row.key)
    if resource.reference and there[resource.reference] in draft.lost[resource.name]:
        there[resource.reference] = None
    if found.password is not None:
        there["password_hash"] = found.password  # never shown: it only says that there is one
    return row if here is None else replace(row, values=_pairs(resource, row.columns, here, there, width))


def _pairs(resource: Resource, columns: list[str], here: Values, there: Values, width: int) -> dict[str, Pair]:
    pairs = {}
    for name in columns:
        column = resource.table.c[name]
        said = [_said(resource, column, row[name]) for row in (here, there)]
        common = _common(*(text or "" for text in said))
        pairs[name] = Pair(*(None if text is None else shortened(text, common, width) for text in said))
    return pairs


def _said(resource: Resource, column: Column[Any], value: Any) -> str | None:
    if value is None:
        return None
    return HIDDEN if column.name in resource.secret else text_of(column, value)


def text_of(column: Column[Any], value: Any) -> str:
    """A value as one line of text: images as their kind, size and sum, and no character that moves the cursor."""
    if isinstance(column.type, TIMESTAMP):
        return moment(value)
    if isinstance(value, bool):
        return "oui" if value else "non"
    text = _IMAGE.sub(_described, str(encoded(column, value)))
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _described(image: re.Match[str]) -> str:
    found = hashlib.sha256(image[0].encode()).hexdigest()
    return f"<{image[1]}, {len(image[2]) * 3 // 4000} Ko, sha256 {found[:8]}>"


def shortened(text: str, common: int, width: int) -> str:
    """At most `width` characters around the place where two texts part, after `common` characters, and the length."""
    if len(text) <= width:
        return text
    start = max(0, min(common - BEFORE, len(text) - width))
    end = start + width
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''} ({len(text)} caractères)"
