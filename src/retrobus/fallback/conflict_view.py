"""One conflict field by field, for the operator who decides: the journal, the row of today, what the client changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from retrobus.database import sql
from retrobus.database.pooler import OwnNames
from retrobus.fallback.conflicts import Resolution
from retrobus.fallback.resync import wanted_row
from retrobus.model.names import camel
from retrobus.model.resources import BY_NAME, Resource
from retrobus.model.rows import Row, decoded, encode
from retrobus.model.wire import form_of, moment
from retrobus.store.authors import COLUMNS

ONE = """SELECT id AS number, resource, key, operation, reason, resolution, resolved_at, entry::text AS entry
FROM conflict WHERE id = $1"""


@dataclass(frozen=True, slots=True)
class Field:
    """One field in three states, as JSON holds it: what the write wants, what is there now, what the client changed.

    `based` is false if the journal does not say the last: it keeps the fields that the write changed, without images.
    """

    column: str
    name: str
    journal: Any
    present: Any
    base: Any
    based: bool

    @property
    def values(self) -> tuple[Any, Any, Any]:
        """The three values."""
        return self.journal, self.present, self.base


@dataclass(frozen=True, slots=True)
class ConflictView:
    """One conflict and the row of today; `version` is None if there is no such row. It holds no secret."""

    number: int
    resource: str
    key: str
    operation: str
    reason: str
    at: str
    member: str | None
    base: dict[str, Any] | None
    fields: list[Field]
    version: int | None
    updated_at: str | None
    updated_by: str | None
    resolution: Resolution | None
    resolved_at: datetime | None
    resolved_by: str | None
    """A member's id, or `cli` for a command; None if the replay decided, or before this was kept."""

    kept: bool


async def view_of(connection: OwnNames, number: int) -> ConflictView | None:
    """The conflict with this number, open or settled, field by field; None if there is none."""
    found = await connection.fetchrow(ONE, number)
    if found is None:
        return None
    entry, resource = json.loads(found["entry"]), BY_NAME[found["resource"]]
    row, wanted = await sql.row_of(connection, resource, found["key"]), wanted_row(resource, entry)
    present = None if row is None else encode(resource, row)
    journal = None if wanted is None else encode(resource, wanted)
    base = entry["base"]
    return ConflictView(
        **{name: found[name] for name in ("number", "resource", "key", "operation", "reason")},
        at=entry["at"],
        member=entry["member"],
        base=None if base is None else {name: base[name] for name in ("version", "sequence") if name in base},
        fields=_fields(resource, journal, present, (base or {}).get("values", {})),
        version=None if present is None else present["version"],
        updated_at=None if row is None else moment(row["updated_at"]),
        updated_by=None if present is None else present["updated_by"],
        resolution=found["resolution"],
        resolved_at=found["resolved_at"],
        resolved_by=entry.get("resolvedBy"),
        kept=found["resolution"] is not None and isinstance(entry.get("image"), dict),
    )


def ids_in(view: ConflictView) -> list[str | None]:
    """The ids of the members whom a conflict mentions, and words that name none."""
    ids = [value for field in view.fields if field.column in COLUMNS for value in field.values]
    return [view.member, view.updated_by, view.resolved_by, *ids]


def document_of(view: ConflictView, names: Mapping[str, str]) -> dict[str, Any]:
    """One conflict as a client or script reads it, with values as rows of the API have them.

    A base that the journal does not hold is left out.
    """
    said = {"number": view.number, "resource": view.resource, "key": view.key, "operation": view.operation}
    present = {"version": view.version, "updatedAt": view.updated_at, "updatedBy": view.updated_by}
    fields = {field.name: _states(BY_NAME[view.resource], field) for field in view.fields}
    about = {"reason": view.reason, "at": view.at, "member": view.member, "resolution": view.resolution}
    at = None if view.resolved_at is None else moment(view.resolved_at)
    resolved = {"resolvedAt": at, "resolvedBy": view.resolved_by, "kept": view.kept}
    named = {one: names[one] for one in ids_in(view) if one is not None and one in names}
    rows = {"postgres": None if view.version is None else present, "base": view.base, "fields": fields}
    return said | about | resolved | {"names": named} | rows


def _states(resource: Resource, field: Field) -> dict[str, Any]:
    column = resource.table.c[field.column]
    told = [
        None if value is None else json.loads(form_of(column).python(decoded(column, value))) for value in field.values
    ]
    return dict(zip(("journal", "postgres", "base") if field.based else ("journal", "postgres"), told, strict=False))


def _fields(resource: Resource, journal: Row | None, present: Row | None, base: Row) -> list[Field]:
    """The fields that differ between two of the three states; for a delete, all that the row of today says."""
    hidden = resource.secret | resource.machinery | {resource.key}
    found = []
    for name in (column.name for column in resource.columns if column.name not in hidden):
        wanted, there = (journal or {}).get(name), (present or {}).get(name)
        if wanted != there or (name in base and base[name] != wanted):
            found.append(Field(name, camel(name), wanted, there, base.get(name), name in base))
    return found
