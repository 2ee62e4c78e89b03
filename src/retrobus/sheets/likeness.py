"""Tells a value that a person changed from one that a spreadsheet program wrote in its own way.

For example, the row here has a mileage of 0.14285714285714285, `12:30` in a text, and a date with milliseconds. The
program writes 0.142857142857143, `12:30:00` and the date without them. Nobody changed any of these.
"""

import re
from datetime import datetime
from typing import Any

DIGITS = 15
"""Digits of a number that spreadsheet programs keep."""

_CLOCK = re.compile(r"\d{2}:\d{2}:00")


def is_doubtful(value: Any) -> bool:
    """Whether a program may have written this value in its own way; such a value is compared with the row here."""
    if isinstance(value, float):
        return len(repr(value)) >= DIGITS
    if isinstance(value, datetime):
        return value.microsecond == 0 and value.time() != datetime.min.time()
    return isinstance(value, str) and ("\n" in value or _CLOCK.fullmatch(value) is not None)


def are_alike(value: Any, here: Any) -> bool:
    """Whether a program that opened and saved `here` may have written `value`."""
    if isinstance(value, float) and isinstance(here, float):
        return f"{value:.{DIGITS}g}" == f"{here:.{DIGITS}g}"
    if isinstance(value, datetime) and isinstance(here, datetime):
        return value == here.replace(microsecond=0)
    if isinstance(value, str) and isinstance(here, str):
        return _even(value) == _even(here) or (_CLOCK.fullmatch(value) is not None and value == f"{here}:00")
    return False


def _even(text: str) -> str:
    """The text with one kind of line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
