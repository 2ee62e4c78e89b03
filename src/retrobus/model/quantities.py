"""The rules of instants and numbers that clients send; ValueError says what is wrong."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from retrobus.model.limits import FIRST_YEAR, LAST_YEAR

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]([01]\d|2[0-3]):\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]{1,3})?")


def moment_of(value: object) -> datetime:
    """An instant from RFC 3339 or `YYYY-MM-DD` (that day, 00:00 UTC), cut to the millisecond."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not (_DAY.fullmatch(value) or _INSTANT.fullmatch(value)):
        raise ValueError("date attendue : AAAA-MM-JJ, ou RFC 3339 comme 2025-09-20T14:00:00Z")
    try:
        found = datetime.fromisoformat(value.upper().replace(" ", "T"))
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("cette date n'existe pas") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"année entre {FIRST_YEAR} et {LAST_YEAR}")
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def number(value: object) -> Decimal:
    """A finite number; clients also send it as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("nombre attendu")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError("nombre attendu")
    found = Decimal(text)
    if abs(found) > 10**15:
        raise ValueError("nombre hors des limites")
    return found


def measure(value: object) -> float:
    """A number that the database keeps as binary floating point."""
    return float(number(value))


def money(value: object) -> Decimal:
    """An amount with at most two decimals; minus zero becomes zero."""
    found = number(value)
    if found != round(found, 2):
        raise ValueError("au plus deux décimales")
    return round(found, 2) + 0


def integer(value: object) -> int:
    """A whole number; `12.0` is one."""
    found = number(value)
    if found != int(found):
        raise ValueError("nombre entier attendu")
    return int(found)
