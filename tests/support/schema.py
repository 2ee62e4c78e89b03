"""The part of JSON Schema that the API reference uses, to hold documents and answers to it."""

from collections.abc import Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float),
}  # fmt: skip
KNOWN = {
    "type", "properties", "required", "items", "enum", "const", "anyOf", "$ref", "title", "description", "default",
    "examples", "format", "pattern", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems",
    "maxItems", "contentMediaType", "additionalProperties", "writeOnly", "readOnly", "not", "propertyNames",
    "x-label", "x-order", "x-kind", "x-hint", "x-words", "x-column",
}  # fmt: skip


def resolved(document: dict[str, Any], reference: str) -> Any:
    """What a `$ref` of the document points to."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a part of the document."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def faults(schema: dict[str, Any], where: str = "$") -> Iterator[str]:
    """What is wrong with a schema itself."""
    yield from (f"{where}: unknown keyword {name}" for name in schema.keys() - KNOWN)
    types = schema.get("type", [])
    yield from (
        f"{where}: no type {name}" for name in ([types] if isinstance(types, str) else types) if name not in TYPES
    )
    yield from (f"{where}: requires {name}" for name in schema.get("required", []) if name not in schema["properties"])
    for name, part in schema.get("properties", {}).items():
        yield from faults(part, f"{where}.{name}")
    for part in (*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])):
        yield from faults(part, f"{where}[]")


def complaints(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str = "$") -> Iterator[str]:
    """Where a value is not what a schema of the document says; an object has no key that is not declared."""
    if "$ref" in schema:
        schema = resolved(document, schema["$ref"])
    yield from (f"{where}: {value!r}" for fits in _facts(schema, value) if not fits)
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{where}: {name} is not declared" for name in value.keys() - schema["properties"].keys())
        yield from (f"{where}: {name} is missing" for name in set(schema.get("required", [])) - value.keys())
        for name in value.keys() & schema["properties"].keys():
            yield from complaints(document, schema["properties"][name], value[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from complaints(document, schema["items"], item, f"{where}[{number}]")


def _facts(schema: dict[str, Any], value: Any) -> Iterator[bool]:
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        allowed = tuple(kind for name in names for kind in TYPES[name])
        yield isinstance(value, allowed) and (not isinstance(value, bool) or "boolean" in names)
    if "enum" in schema:
        yield value in schema["enum"]
    if "const" in schema:
        yield bool(value == schema["const"])
