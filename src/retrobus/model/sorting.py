"""What lists are sorted by: names without regard to accents and case, parc numbers by their value.

Postgres computes the same keys in generated columns (`retrobus_name_key`, `retrobus_parc_key`): a list has one order,
whether Postgres or memory answers, and no locale of the machine has a say in it.
"""

import re
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

from sqlalchemy import Table

from retrobus.model.tables import NAME_KEY, PARC_KEY, order_of

MARKS = "".join(map(chr, range(0x300, 0x370)))
"""The accents that remain beside their letter when a text is decomposed."""

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
    f"""CREATE FUNCTION {NAME_KEY}(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- The letters of a name without accents and without ASCII capitals; the body is bound to its functions when it is made.
RETURN lower(replace(replace(replace(replace(replace(
  translate(normalize(name, NFD), 'øØłŁ{MARKS}', 'oOlL'),
  'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss') COLLATE "C")""",
    f"""CREATE FUNCTION {PARC_KEY}(parc text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- Each number after its count of digits, so that 9 comes before 10.
RETURN (SELECT coalesce(string_agg(
    CASE WHEN found[1] ~ '^[0-9]' COLLATE "C"
      THEN lpad(length(ltrim(found[1], '0'))::text, 2, '0') || ltrim(found[1], '0') ELSE found[1] END,
    '' ORDER BY n), '')
  FROM regexp_matches({NAME_KEY}(parc), '[0-9]+|[^0-9]+' COLLATE "C", 'g') WITH ORDINALITY AS part(found, n))""",  # noqa: S608 - names of our own functions
)
"""The same two keys in Postgres; the migrations hold a copy of this text."""

_FUNCTIONS = {NAME_KEY: name_key, PARC_KEY: parc_key}


def sort_values(table: Table, value: Callable[[str], Any]) -> tuple[Any, ...]:
    """By what a row is placed in its table's order; `value` gives the row's value of a stored column."""
    found = []
    for column, _ in order_of(table):
        source = column.info.get("source")
        found.append(value(column.name) if source is None else _FUNCTIONS[column.info["function"]](value(source)))
    return tuple(found)


def is_place(table: Table, values: tuple[Any, ...]) -> bool:
    """Whether these sort values can stand together in this table's order: each key must be that of its own text."""
    named = {column.name: value for (column, _), value in zip(order_of(table), values, strict=True)}
    keys = [(column, column.info.get("source")) for column, _ in order_of(table)]
    return all(
        named[column.name] == _FUNCTIONS[column.info["function"]](named[source])
        for column, source in keys
        if source in named
    )
