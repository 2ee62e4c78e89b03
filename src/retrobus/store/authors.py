"""Names in place of members' ids: who created, changed or deleted a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from retrobus.database.connection import AnyConnection

NAME = "coalesce(nullif(btrim(first_name || ' ' || last_name), ''), email)"
"""SQL: the name of a member, or the e-mail of one without a name."""

NAMES = f"SELECT id, {NAME} AS name FROM member WHERE id = ANY ($1::text[])"  # noqa: S608 - no value in it
COLUMNS = ("updated_by", "created_by")
"""The columns of a row that name a member."""


async def names_of(connection: AnyConnection, ids: Iterable[str | None]) -> dict[str, str]:
    """By id, the name of each of these members, or the e-mail of one without a name.

    A word (`sql`, `restore`) names no member, and the id of a deleted member has no name left: both are left out.
    """
    rows = await connection.fetch(NAMES, sorted({one for one in ids if one is not None}))
    return {row["id"]: row["name"] for row in rows}


def named(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same row with names in the columns that name a member; an id without a name stays."""
    return dict(row) | {name: names.get(row[name], row[name]) for name in COLUMNS if name in row}
