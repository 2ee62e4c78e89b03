"""The rules of JSON values in rows: each takes the value or its JSON text and gives the text that PostgreSQL keeps."""

from typing import Any

from retrobus.model.jsontext import BadJson, canonical, parse
from retrobus.model.limits import GALLERY_ENTRIES, JSON_BYTES, PERMISSIONS, SHORT
from retrobus.model.texts import image, lines, one_line

_EMPTY_PAIR = '{"label": "", "value": ""}'


def none_is_null(value: object) -> object:
    """None for an empty text, and for the text "null" that some clients send in place of null."""
    return None if isinstance(value, str) and value.strip() in {"", "null"} else value


def extras(value: object) -> str:
    """An object of at most JSON_BYTES."""
    value = _parsed(value)
    if not isinstance(value, dict):
        raise ValueError("objet JSON attendu")
    try:
        return _sized(canonical(value))
    except BadJson as error:
        raise ValueError(str(error)) from None


def characteristics(value: object) -> str:
    """A list of `{"label", "value"}`; other keys are dropped and numbers become texts."""
    value = _list(value)
    if value is None or not all(isinstance(item, dict) for item in value):
        raise ValueError('liste de {"label", "value"} attendue')
    if len(value) * len(_EMPTY_PAIR) > JSON_BYTES:
        raise ValueError(f"au plus {JSON_BYTES} octets de JSON")
    kept = [{name: _characteristic(item.get(name)) for name in ("label", "value")} for item in value]
    return _sized(canonical(kept))


def gallery(value: object) -> str:
    """A list of images."""
    value = _list(value)
    if value is None or not all(isinstance(item, str) for item in value):
        raise ValueError("liste d'adresses d'images attendue")
    if len(value) > GALLERY_ENTRIES:
        raise ValueError(f"au plus {GALLERY_ENTRIES} images")
    return canonical([image(str(one_line(item))) for item in value])


def permissions(value: object) -> str:
    """A list of short texts."""
    value = _list(value)
    if value is None or len(value) > PERMISSIONS:
        raise ValueError(f"liste d'au plus {PERMISSIONS} textes attendue")
    if not all(isinstance(item, str) and len(item) <= SHORT for item in value):
        raise ValueError(f"textes d'au plus {SHORT} caractères attendus")
    return _sized(canonical([one_line(item) for item in value]))


def _list(value: object) -> list[Any] | None:
    """The list; an empty one for null; None if it is something else."""
    value = none_is_null(value)
    found = [] if value is None else _parsed(value)
    return found if isinstance(found, list) else None


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse(value.encode())
    except (BadJson, UnicodeEncodeError):
        raise ValueError("JSON valide attendu") from None


def _characteristic(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        raise ValueError("label et value sont des textes")
    return str(lines(str(value)))


def _sized(text: str) -> str:
    if len(text.encode()) > JSON_BYTES:
        raise ValueError(f"au plus {JSON_BYTES} octets de JSON")
    return text
