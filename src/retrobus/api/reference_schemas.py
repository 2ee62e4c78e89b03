"""The schemas of the API reference, made from the tables and from what clients may send."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Boolean, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from retrobus.api.bodies import Body
from retrobus.api.reference_hints import add_hints
from retrobus.api.reference_shapes import SHAPES, TEXT, listed, record, reference_to
from retrobus.model import patterns
from retrobus.model.fields import Wire
from retrobus.model.names import camel
from retrobus.model.resources import ALL, EVENT, VEHICLE, Resource
from retrobus.model.rows import defaults
from retrobus.model.wire import address_name, known_names

READ_ONLY = frozenset({"version", "created_at", "updated_at", "updated_by", "created_by", "current_participants"})
UPDATED_BY = (
    "Who changed the row last: the id of a member, or a word: `sql` for psql and other programs, `cli` for a command of"
    " the operator, `import` for a spreadsheet, `restore` for a backup, `clean` for a clean-up, `api` for the service"
    " itself. Null if not known."
)


def components(bodies: Iterable[Body]) -> dict[str, Any]:
    """Every schema that the document refers to, for routes that take these bodies."""
    bodies = list(bodies)
    found = {body.component: _body_schema(body) for body in bodies if body.component is not None}
    found["JsonValue"] = _JSON_VALUE
    for resource in ALL:
        found[resource.name] = row_schema(resource)
        found[f"{resource.name}List"] = _list_of(resource)
    found |= {f"Public{one.name}": row_schema(one, without=one.private) for one in (VEHICLE, EVENT)}
    for resource in ALL:
        rows = [found[name] for name in (resource.name, f"Public{resource.name}") if name in found]
        add_hints(resource, rows, [found[name] for name in sorted(_sent(resource, bodies))])
    return found | SHAPES


def _sent(resource: Resource, bodies: Sequence[Body]) -> set[str]:
    """The names of what clients send of a resource, and of a part of it: a member's change of the own record."""
    models = {base for body in bodies if body.resource is resource and body.model for base in body.model.__mro__}
    found = (body for body in bodies if body.resource is resource or body.model in models)
    return {body.component for body in found if body.component is not None}


def _body_schema(body: Body) -> dict[str, Any]:
    """What a client may send; the key of the row besides, where the body names it."""
    schema: dict[str, Any] = {"type": "object"}
    if body.model is not None:
        schema = _input_schema(body.model, body.resource)
    if body.key is None:
        return schema
    properties = {"id": body.key, **schema.get("properties", {})}
    named = {"title": body.component} if "title" in schema else {}
    return {**schema, "properties": properties, "required": ["id"], **named}


def _input_schema(model: type[Wire], resource: Resource | None) -> dict[str, Any]:
    """The fields of a model: a creation tells what becomes of a missing field, a change leaves it as it is."""
    schema = model.model_json_schema()
    properties, required = schema["properties"], schema.get("required", [])
    known = properties.keys() | (known_names(resource) if resource is not None else set())
    for field in properties.values():
        _say_empty(field)
    if resource is not None and model.__name__.endswith("Creation"):
        for name, value in default_row(resource).items():
            if name in properties.keys() - {"id", *required}:
                properties[name]["default"] = value
    if "extras" in properties:
        properties["extras"]["anyOf"][0]["additionalProperties"] = _ANY_VALUE
    if not required:  # the names of required fields need no second rule
        schema["not"] = {"propertyNames": {"not": {"enum": sorted(known)}}}
        schema["description"] += " At least one known field; unknown and read-only ones are ignored."
    return schema


def _say_empty(field: dict[str, Any]) -> None:
    """The empty text is null wherever null is taken, also where a text must follow a rule."""
    branches: list[dict[str, Any]] = field.get("anyOf", [])
    ruled = [branch for branch in branches if "minLength" in branch or not re.search(branch.get("pattern", ""), "")]
    if {"type": "null"} in branches and ruled:
        branches.insert(-1, {"type": "string", "maxLength": 0})


def default_row(resource: Resource) -> dict[str, Any]:
    """By wire name, the value of each column that a new row has without being told."""
    row = defaults(resource)
    columns = [column for column in resource.shown if column.name in row]
    return {camel(c.name): json.loads(row[c.name]) if _is_list(c, row) else row[c.name] for c in columns}


def _is_list(column: Any, row: dict[str, Any]) -> bool:
    return isinstance(column.type, JSONB) and row[column.name] is not None


_ANY_VALUE = reference_to("JsonValue")
_JSON_VALUE: dict[str, Any] = {
    "description": "Any JSON value without the character NUL, at most 64 levels deep.",
    "not": {  # what generators of clients pass over: they take any value
        "anyOf": [
            {"type": "string", "pattern": r"\x00"},
            {"type": "array", "contains": {"not": _ANY_VALUE}},
            {"type": "object", "not": {"additionalProperties": _ANY_VALUE}},
            {"type": "object", "not": {"propertyNames": {"pattern": patterns.STORABLE}}},
        ]
    },
}


def row_schema(resource: Resource, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row as the wire shows it; `x-order` is the place of a field for programs that draw forms and lists."""
    columns = [column for column in resource.shown if column.name not in without]
    properties = {camel(c.name): _column_schema(c) | {"x-order": place} for place, c in enumerate(columns)}
    required = [camel(column.name) for column in columns if column.name not in resource.images]
    left_out = {"type": "boolean", "description": "True in lists where the data URL itself is left out."}
    properties |= {camel(f"has_{name}"): left_out for name in resource.images}
    properties |= {address_name(resource, name): _address_schema(resource, name) for name in resource.images}
    return record(properties, required)


def _address_schema(resource: Resource, name: str) -> dict[str, Any]:
    """Where a list tells the address of an image that it leaves out."""
    if not isinstance(resource.table.c[name].type, JSONB):
        return TEXT | {
            "format": "uri-reference",
            "description": "In lists, in place of a data URL: the path at which the image is.",
        }
    said = (
        "In lists, in place of a gallery with data URLs: where each of its images is, a path of ours or what it holds."
    )
    return listed(TEXT) | {"description": said}


def _column_schema(column: Any) -> dict[str, Any]:
    schema = _type_schema(column)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    if column.name in READ_ONLY:
        schema["readOnly"] = True
    if column.name == "updated_by":
        schema["description"] = UPDATED_BY
    return schema


def _type_schema(column: Any) -> dict[str, Any]:
    kind = column.type
    if column.info.get("as_text"):
        return TEXT | {"contentMediaType": "application/json", "description": "A JSON object, as text."}
    if isinstance(kind, JSONB):
        pair = record({"label": TEXT, "value": TEXT}, required=())
        return listed(pair if column.name == "caracteristiques" else TEXT)
    if isinstance(kind, TIMESTAMP):
        return {"type": "string", "format": "date-time", "examples": ["2025-09-20T14:00:00.000Z"]}
    plain = ((Boolean, "boolean"), (Integer, "integer"), (Float | Numeric, "number"))
    return {"type": next((name for types, name in plain if isinstance(kind, types)), "string")}


def _list_of(resource: Resource) -> dict[str, Any]:
    return record({resource.plural: listed(reference_to(resource.name)), "nextCursor": {"type": ["string", "null"]}})
