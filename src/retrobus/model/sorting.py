"""The order of lists: names without regard to accents and case, parc numbers by their value.

PostgreSQL computes the same sort keys in generated columns (`retrobus_name_key`, `retrobus_parc_key`), without any
locale of the machine: a list has the same order whether PostgreSQL or memory answers.
"""

import re
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

from retrobus.model.columns import NAME_SORT, PARC_SORT
from retrobus.model.resources import Resource

MARKS = "".join(map(chr, range(0x300, 0x370)))
"""The accents that Unicode decomposition puts after their letter."""

LIGATURES = {"œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae", "ß": "ss", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l"}
_PLAIN = str.maketrans(LIGATURES | dict.fromkeys(MARKS, "") | {chr(code): chr(code + 32) for code in range(65, 91)})
_DIGITS = re.compile("[0-9]+")


def name_key(text: str) -> str:
    """The letters of a name: `Éluard` and `ELUARD` give `eluard`."""
    return normalize("NFD", text).translate(_PLAIN)


def parc_key(text: str) -> str:
    """Each number after its count of digits, so that 9 comes before 10: `9` gives `019`, `10` gives `0210`."""
    return _DIGITS.sub(lambda found: _counted(found.group().lstrip("0")), name_key(text))


def _counted(digits: str) -> str:
    return f"{len(digits):02}{digits}"


FUNCTIONS_SQL = (
    f"""CREATE FUNCTION {NAME_SORT}(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- The letters of a name without accents and without ASCII capitals; the body is bound to its functions when it is made.
RETURN lower(replace(replace(replace(replace(replace(
  translate(normalize(name, NFD), 'øØłŁ{MARKS}', 'oOlL'),
  'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss') COLLATE "C")""",
    f"""CREATE FUNCTION {PARC_SORT}(parc text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- Each number after its count of digits, so that 9 comes before 10.
RETURN (SELECT coalesce(string_agg(
    CASE WHEN found[1] ~ '^[0-9]' COLLATE "C"
      THEN lpad(length(ltrim(found[1], '0'))::text, 2, '0') || ltrim(found[1], '0') ELSE found[1] END,
    '' ORDER BY n), '')
  FROM regexp_matches({NAME_SORT}(parc), '[0-9]+|[^0-9]+' COLLATE "C", 'g') WITH ORDINALITY AS part(found, n))""",  # noqa: S608 - names of our own functions
)
"""The two functions in PostgreSQL; the migrations hold a copy of this text."""

_FUNCTIONS = {NAME_SORT: name_key, PARC_SORT: parc_key}


def sort_values(resource: Resource, value: Callable[[str], Any]) -> tuple[Any, ...]:
    """The values that place a row in the order of lists; `value` gives the row's value of a stored column."""
    found = []
    for column in (resource.table.c[step.column] for step in resource.order):
        source = column.info.get("source")
        found.append(value(column.name) if source is None else _FUNCTIONS[column.info["function"]](value(source)))
    return tuple(found)


def is_place(resource: Resource, values: tuple[Any, ...]) -> bool:
    """Whether a row could have these sort values: each key must be that of its own text, if the text is among them.

    For vehicles, `("019", "9")` is a place and `("019", "10")` is none: the key of 10 is `0210`.
    """
    named = dict(zip((step.column for step in resource.order), values, strict=True))
    keyed = (resource.table.c[name] for name in named)
    return all(
        named[column.name] == _FUNCTIONS[column.info["function"]](named[column.info["source"]])
        for column in keyed
        if column.info.get("source") in named
    )
