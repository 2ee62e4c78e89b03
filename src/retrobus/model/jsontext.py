"""JSON texts: read strictly, and written as PostgreSQL writes jsonb."""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, NoReturn

DEPTH = 64
VALUES = 50_000
"""Values in one text: far more than any request holds. Eight megabytes of `{},` would cost seconds to parse."""

_TEXT = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL
)  # also without its last quote, so that no input makes the search go back


class BadJson(ValueError):
    """A text that is refused; the message says why and never quotes the input."""


def parse(body: bytes) -> Any:
    """The value of a UTF-8 JSON text as `strict` reads it; BadJson also for a BOM and for lone surrogates."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadJson("le corps doit être en UTF-8") from None
    if text.startswith("\ufeff"):
        raise BadJson("le corps commence par une marque d'ordre des octets (BOM)")
    value = strict(text)
    if "\\u" in text:
        _refuse_bad_text(value)
    return value


def strict(text: str, *, values: int = VALUES) -> Any:
    """The value of a JSON text; BadJson for duplicate keys, NaN, infinite numbers, or more than 64 levels.

    BadJson also for more than `values` values, before any of them is made.
    """
    if _marks(text) > values and _too_many(text, values):
        raise BadJson(f"au plus {values} valeurs")
    try:
        value = _DECODER.decode(text)
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        where = f" (ligne {error.lineno}, colonne {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadJson(f"JSON mal formé{where}") from None
    if too_deep(value, text):
        raise BadJson(f"au plus {DEPTH} niveaux d'imbrication")
    return value


def _marks(text: str) -> int:
    """An upper bound of the number of values: each but the first stands after one of these marks."""
    return text.count(",") + text.count("[") + text.count("{")


def _too_many(text: str, values: int) -> bool:
    """Whether the marks outside of quoted texts are too many: a data URL may hold thousands of commas."""
    quotes = text.count('"') - text.count('\\"')
    return quotes > 4 * values or _marks(_TEXT.sub("", text)) > values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("clé en double dans un objet")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJson("nombre hors des limites")
    return number


def _integer(text: str) -> int:
    if len(text) > 300:
        _finite(text)
    return int(text)


def _no_constant(_: str) -> NoReturn:
    raise BadJson("NaN et Infinity ne sont pas du JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant, parse_int=_integer
)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def too_deep(value: Any, text: str) -> bool:
    """Whether a value, read from this text, nests more than 64 levels: some versions of Python read thousands."""
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    level, depth = [value], 0
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list)]
        if depth > DEPTH:
            return True
    return False


def _refuse_bad_text(value: Any) -> None:
    """BadJson if a text in the value holds a lone surrogate, which PostgreSQL cannot store."""
    texts = json.dumps(value, ensure_ascii=False)
    try:
        texts.encode()
    except UnicodeEncodeError:
        raise BadJson("texte Unicode invalide (demi-codet isolé)") from None


def canonical(value: Any) -> str:
    """The text that PostgreSQL gives back for this value as jsonb; BadJson if jsonb cannot hold the value."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
        return "{" + ", ".join(f"{_string(key)}: {canonical(item)}" for key, item in ordered) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(canonical(item) for item in value) + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return f"{Decimal(repr(value + 0)):f}"  # jsonb knows no negative zero
    return json.dumps(value)


def _string(value: str) -> str:
    if "\x00" in value:
        raise BadJson("sans caractère NUL")
    return encode_basestring(value)
