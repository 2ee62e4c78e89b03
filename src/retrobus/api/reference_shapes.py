"""The schemas of answers that are no rows: a session, the readiness, an error."""

from collections.abc import Iterable
from typing import Any

from retrobus.api.reference_hints import words_for
from retrobus.http.problems import KINDS
from retrobus.model.resources import BY_NAME
from retrobus.model.tables import CAUSES

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
OBJECT: Schema = {"type": "object"}


def reference_to(schema: str) -> Schema:
    """A reference to a component of the OpenAPI document."""
    return {"$ref": f"#/components/schemas/{schema}"}


def record(properties: Schema, required: Iterable[str] | None = None) -> Schema:
    """An object with these properties, all of them required unless names are given."""
    found = list(properties if required is None else required)
    return OBJECT | {"properties": properties} | ({"required": found} if found else {})


def parameter(place: str, name: str, schema: Schema, **more: Any) -> Schema:
    """A parameter of an operation: in its path, its query or its headers."""
    return {"name": name, "in": place, "required": place == "path", "schema": schema, **more}


def listed(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def _or_null(kind: str, description: str) -> Schema:
    return {"type": [kind, "null"], "description": description}


def _worded(*values: str) -> Schema:
    """One of these words, for each of which there is a French text."""
    return TEXT | {"enum": list(values), "x-words": words_for(values)}


_PERSON = record(
    {
        **dict.fromkeys(("id", "email", "firstName", "lastName", "role", "status"), TEXT),
        **dict.fromkeys(("roles", "permissions"), listed(TEXT)),
    },
    required=(),
)
_READY = {
    **dict.fromkeys(("toggles", "revision", "durability", "journal", "snapshot"), OBJECT),
    "ready": FLAG,
    "database": TEXT | {"enum": ["up", "down"]},
    "reason": _or_null("string", "Why PostgreSQL is down, or what the server that answers does not do; in French."),
    "failover": _or_null(
        "object", "The last failover since the start: `timeline`, acknowledged writes `checked` and `lost`."
    ),
    "mode": _worded("strict", "fallback", "memory"),
    "conflicts": _or_null("integer", "null while the database is down."),
    "missingRights": listed(TEXT)
    | {"description": "What the role of DATABASE_URL may not do and must: `retrobus db grant`."},
}
_PROBLEM = {
    **dict.fromkeys(("error", "title", "type", "detail", "requestId"), TEXT),
    "code": TEXT | {"enum": sorted(KINDS)},
    "status": WHOLE,
    "errors": listed(record({"field": TEXT, "message": TEXT}, required=())),
    "outcome": TEXT | {"enum": ["not_applied", "unknown"]},
}


def _changes(names: dict[str, str]) -> Schema:
    """A page of changes; `names` has the component of each resource's rows."""
    change = {
        "resource": TEXT | {"enum": list(names)},
        "key": TEXT | {"description": "The id of an event or member, the parc of a vehicle."},
        "version": WHOLE | {"description": "The higher version of a key wins."},
        "deleted": FLAG,
        "row": {"anyOf": [reference_to(name) for name in names.values()], "description": "Absent after a deletion."},
    }
    items = listed(record(change, required=("resource", "key", "version", "deleted")))
    return record({"changes": items, "cursor": TEXT, "more": FLAG})


_MOMENT = TEXT | {"format": "date-time"}
_DELETION = {
    "version": WHOLE | {"description": "Higher than every version that the row had."},
    "resource": TEXT | {"enum": list(BY_NAME)},
    "key": TEXT | {"description": "The id of an event or member, the parc of a vehicle."},
    "deletedAt": _MOMENT,
    "deletedBy": _or_null("string", "The id of a member, or a word as in `updatedBy`."),
    "deletedByName": _or_null("string", "The name of that member; null if no member has this id now."),
    "cause": _worded(*CAUSES),
    "batch": WHOLE | {"description": "The transaction: deletes with the same number were one."},
}
_HOLDER = {"name": TEXT, "timestamp": TEXT, "kind": TEXT, "restore": _or_null("string", "The command.")}
_HELD = {
    "present": FLAG | {"description": "Whether a row has this key again."},
    "erased": FLAG | {"description": "Whether the member was erased for good."},
    "backups": listed(record(_HOLDER)) | {"description": "The backups that hold the row, the newest first."},
    "unread": listed(record({"name": TEXT, "reason": TEXT})) | {"description": "Backups that may hold the row too."},
}
_STATES = record({name: {} for name in ("journal", "postgres", "base")}, required=("journal", "postgres"))
_CONFLICT = {
    "number": WHOLE,
    "resource": TEXT | {"enum": list(BY_NAME)},
    "key": TEXT,
    "operation": _worded("insert", "update", "delete"),
    "reason": TEXT | {"description": "Why the replay could not apply the write; in French."},
    "at": _MOMENT | {"description": "When the write was acknowledged."},
    "member": _or_null("string", "The id of the member who made the write."),
    "resolution": {"enum": ["applied", "discarded", None], "x-words": words_for(("applied", "discarded"))},
    "resolvedAt": _or_null("string", "When it was decided."),
    "resolvedBy": _or_null("string", "The id of the member who decided, or `cli`; null if the replay did."),
    "kept": FLAG | {"description": "Whether the row that was replaced is kept: `retrobus resync --restore`."},
    "names": OBJECT | {"additionalProperties": TEXT, "description": "The names of the members mentioned, by id."},
    "postgres": _or_null("object", "`version`, `updatedAt` and `updatedBy` of the row of today; null without one."),
    "base": _or_null("object", "The `version` that the client had read; null for a new row, or if it is not known."),
    "fields": OBJECT | {"additionalProperties": _STATES, "description": "What differs, by the name of the field."},
}
_BACKUP = {
    "name": TEXT,
    "timestamp": TEXT | {"description": "When it was made; empty if nothing tells."},
    "kind": TEXT | {"description": "`safety`: made before a restore or a clean-up."},
    "note": _or_null("string", "Why it was made."),
    "rows": _or_null("integer", "Events, vehicles and members."),
    "deletions": _or_null("integer", "Tombstones."),
    "size": _or_null("integer", "Bytes."),
    "present": FLAG | {"description": "False if its folder was removed by hand."},
    "verifiedAt": _or_null("string", "When it was last read back whole and found sound."),
    "restore": TEXT | {"description": "The command that shows what a restore would change."},
    "selected": FLAG | {"description": "Whether an operator chose it for a start without PostgreSQL."},
}
_CHECK = {"level": TEXT | {"enum": ["ok", "warning", "error"]}, **dict.fromkeys(("name", "found", "cure"), TEXT)}
_STATUS = {
    "version": TEXT,
    "time": _MOMENT,
    "meaning": TEXT | {"description": "What an acknowledged write is worth now, in French."},
    "checks": listed(record(_CHECK)) | {"description": "The points of `retrobus doctor`, in French."},
    "counts": _or_null("object", "Rows of each table, and `deletions`."),
    "changes": {"type": ["array", "null"], "items": OBJECT, "description": "Items as in `/api/changes`, latest first."},
    "cursor": _or_null("string", "From which `/api/changes` tells what happens next."),
    "backups": OBJECT | {"description": "`count`, the `newest` ordinary one, and the `schedule`."},
}

SHAPES: Schema = {
    "Changes": _changes({"Vehicle": "Vehicle", "Event": "Event", "Member": "Member"}),
    "PublicChanges": _changes({"Vehicle": "PublicVehicle", "Event": "PublicEvent"}),
    "DeletionList": record({"deletions": listed(record(_DELETION)), "nextCursor": {"type": ["string", "null"]}}),
    "BackupList": record({"backups": listed(record(_BACKUP))}),
    "Backup": record(_BACKUP | {"trouble": _or_null("string", "What went wrong after it was made; in French.")}),
    "ConflictList": record({"conflicts": listed(reference_to("Conflict")), "nextCursor": {"type": ["string", "null"]}}),
    "Conflict": record(_CONFLICT),
    "Deletion": record(_DELETION | _HELD),
    "PublicVehicles": listed(reference_to("PublicVehicle")),
    "PublicEvents": listed(reference_to("PublicEvent")),
    "Done": record({"ok": {"const": True}}),
    "Session": record({"token": TEXT, "tokenType": {"const": "Bearer"}, "expiresIn": WHOLE, "user": _PERSON}),
    "Me": record({"user": _PERSON}),
    "Health": record({"ok": FLAG, "time": TEXT, "version": TEXT}, required=()),
    "Status": record(_READY | _STATUS | {"mirror": _or_null("object", "null in strict mode.")}),
    "Ready": record(_READY | {"mirror": _or_null("object", "null in strict mode.")}, required=_READY),
    "Problem": record(_PROBLEM, required=("error", "code", "status", "title")),
}
"""By the name of the component."""
