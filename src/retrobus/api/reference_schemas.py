"""The schemas of the API reference, made from the tables and from what clients may send."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Boolean, Float, Integer, Numeric, Table
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from retrobus import schemas, tables
from retrobus.problems import KINDS
from retrobus.wire import PRIVATE, camel, wire_columns

INPUTS: tuple[type[BaseModel], ...] = (
    schemas.EventCreation,
    schemas.EventChange,
    schemas.VehicleCreation,
    schemas.VehicleChange,
    schemas.MemberCreation,
    schemas.MemberChange,
    schemas.OwnChange,
    schemas.Login,
    schemas.MemberLogin,
    schemas.PasswordChange,
)


def components() -> dict[str, Any]:
    """Every schema that the document refers to."""
    found: dict[str, Any] = {}
    for model in INPUTS:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    found["MemberChange"]["properties"]["id"] = {
        "type": "string",
        "description": "Only where the path has no id.",
    }
    rows = {"Event": tables.event, "Vehicle": tables.vehicle, "Member": tables.member}
    found |= {name: row_schema(table) for name, table in rows.items()}
    found["PublicVehicle"] = row_schema(tables.vehicle, without=PRIVATE)
    return found | _wrappers()


def row_schema(table: Table, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row as the wire shows it."""
    columns = [column for column in wire_columns(table) if column.name not in without]
    properties = {camel(column.name): _column_schema(column) for column in columns}
    required = [name for name in properties if name not in {"backgroundImage", "gallery"}]
    if table is tables.vehicle:
        left_out = {"type": "boolean", "description": "True in lists where the data URL itself is left out."}
        properties |= {"hasBackgroundImage": left_out, "hasGallery": left_out}
    return {"type": "object", "properties": properties, "required": required}


def _column_schema(column: Any) -> dict[str, Any]:
    schema = _type_schema(column)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


def _type_schema(column: Any) -> dict[str, Any]:
    kind = column.type
    if column is tables.event.c.extras:
        return {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object, as text.",
        }
    if isinstance(kind, JSONB):
        pair = {"type": "object", "properties": {"label": {"type": "string"}, "value": {"type": "string"}}}
        return {"type": "array", "items": pair if column.name == "caracteristiques" else {"type": "string"}}
    if isinstance(kind, TIMESTAMP):
        return {"type": "string", "format": "date-time", "examples": ["2025-09-20T14:00:00.000Z"]}
    plain = ((Boolean, "boolean"), (Integer, "integer"), (Float | Numeric, "number"))
    return {"type": next((name for types, name in plain if isinstance(kind, types)), "string")}


def _list_of(name: str, schema: str) -> dict[str, Any]:
    rows = {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}
    properties = {name: rows, "nextCursor": {"type": ["string", "null"]}}
    return {"type": "object", "properties": properties, "required": [name, "nextCursor"]}


def _wrappers() -> dict[str, Any]:
    text, flag = {"type": "string"}, {"type": "boolean"}
    user = dict.fromkeys(("id", "email", "firstName", "lastName", "role"), text)
    texts = {"type": "array", "items": text}
    person = {"type": "object", "properties": {**user, "roles": texts, "permissions": texts, "status": text}}
    session = {
        "token": text,
        "tokenType": {"const": "Bearer"},
        "expiresIn": {"type": "integer"},
        "user": person,
    }
    return {
        "EventList": _list_of("events", "Event"),
        "VehicleList": _list_of("vehicles", "Vehicle"),
        "MemberList": _list_of("members", "Member"),
        "PublicVehicles": {"type": "array", "items": {"$ref": "#/components/schemas/PublicVehicle"}},
        "PublicEvents": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
        "Done": {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]},
        "MemberKey": {"type": "object", "properties": {"id": text}, "required": ["id"]},
        "Session": {"type": "object", "properties": session, "required": list(session)},
        "Me": {"type": "object", "properties": {"user": person}, "required": ["user"]},
        "Health": {"type": "object", "properties": {"ok": flag, "time": text, "version": text}},
        "Ready": _ready(),
        "Problem": _problem(),
    }


_OBJECT: dict[str, Any] = {"type": "object"}


def _ready() -> dict[str, Any]:
    parts = dict.fromkeys(("toggles", "revision", "durability", "journal", "snapshot"), _OBJECT)
    parts |= {
        "ready": {"type": "boolean"},
        "database": {"type": "string", "enum": ["up", "down"]},
        "mode": {"type": "string", "enum": ["strict", "fallback", "memory"]},
        "conflicts": {"type": ["integer", "null"], "description": "null while the database is down."},
    }
    mirror = {"type": ["object", "null"], "description": "null in strict mode."}
    return {"type": "object", "properties": {**parts, "mirror": mirror}, "required": list(parts)}


def _problem() -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in ("error", "title", "type", "detail", "requestId")}
    pair = {"type": "object", "properties": {"field": {"type": "string"}, "message": {"type": "string"}}}
    properties = texts | {
        "code": {"type": "string", "enum": sorted(KINDS)},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": pair},
        "outcome": {"type": "string", "enum": ["not_applied", "unknown"]},
    }
    return {"type": "object", "properties": properties, "required": ["error", "code", "status", "title"]}
