"""Reads `data.json` of our own format line by line: memory holds one row, however many rows there are.

For example, where one table ends and the next one begins:

    {"id":"e1","title":"Fête"},
    {"id":"e2","title":"Visite"}]},
    "members": {"count": 0, "data": []}},
    "tombstones": {"count": 1, "data": [
    {"version":12,"resource":"Vehicle","key":"415"}]}}
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, BinaryIO

from sqlalchemy import Column, Float, Numeric
from sqlalchemy.dialects.postgresql import TIMESTAMP

from retrobus.backups.intake import Damaged, TableRead, Taken, Tombstone
from retrobus.model.jsontext import BadJson, strict
from retrobus.model.names import camel
from retrobus.model.resources import Resource
from retrobus.model.rows import completed

LARGEST_LINE = 32 << 20
"""Bytes of one row: one with images as data URLs has a few millions."""

NOTHING: frozenset[str] = frozenset()
HEAD = b'{"format": "retrobus-'
_TABLE = re.compile(rb'"(\w+)": \{"count": (\d+), "data": \[(\]\}\}?,?)?\n')
_LAST = (b"]}\n", b"]},\n", b"]}},\n", b"]}}\n")


def tables(file: BinaryIO) -> Iterator[TableRead]:
    """Every table in the order of the file; the caller takes all rows of one before it asks for the next."""
    if not _line(file).startswith(HEAD):
        raise Damaged("fichier coupé ou mal formé")
    while line := _line(file):
        found = _TABLE.fullmatch(line)
        if found is None:
            raise Damaged("fichier coupé ou mal formé")
        yield TableRead(found[1].decode(), iter(()) if found[3] else _rows(file), int(found[2]))


def table_in(line: bytes) -> str | None:
    """The name of the table that begins at this line; None in the middle of a table."""
    found = _TABLE.fullmatch(line)
    return None if found is None else found[1].decode()


def _rows(file: BinaryIO) -> Iterator[Any]:
    last = False
    while not last:
        line = _line(file)
        last = line.endswith(_LAST)
        ending = line[line.rindex(b"]}") :] if last else b",\n"
        try:
            yield strict(line.removesuffix(ending).decode())
        except (BadJson, UnicodeDecodeError):
            raise Damaged("fichier coupé ou mal formé") from None


def _line(file: BinaryIO) -> bytes:
    line = file.readline(LARGEST_LINE + 1)
    if len(line) > LARGEST_LINE:
        raise Damaged("une valeur dépasse 32 Mio")
    return line


def taken(resource: Resource, raw: Any) -> Taken:
    """A row of our own file, value for value what PostgreSQL held; an older schema had fewer columns."""
    readers = _readers(resource)
    try:
        values = {name: read(raw[said]) if read else raw[said] for name, said, read in readers if said in raw}
        missing = NOTHING if len(values) == len(readers) else frozenset({name for name, _, _ in readers} - set(values))
        found = Taken(resource.name, completed(resource, values) if missing else values, missing)
        found.key.encode()
    except (ValueError, TypeError, ArithmeticError, KeyError, AttributeError):
        raise Damaged(f"une ligne de {resource.name} est illisible") from None
    return found


@lru_cache
def _readers(resource: Resource) -> tuple[tuple[str, str, Callable[[Any], Any] | None], ...]:
    """Each column's name here, its name in the file, and how its value is read; None: it is as JSON gives it."""
    return tuple((column.name, camel(column.name), _reader(column)) for column in resource.columns)


def _reader(column: Column[Any]) -> Callable[[Any], Any] | None:
    kinds: tuple[tuple[type, Callable[[Any], Any]], ...] = (
        (TIMESTAMP, _instant),
        (Float, lambda raw: None if raw is None else float(raw)),
        (Numeric, lambda raw: None if raw is None else Decimal(str(raw))),
    )
    return next((read for kind, read in kinds if isinstance(column.type, kind)), None)


def _instant(raw: Any) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw).astimezone(UTC)


def tombstone(raw: Any) -> Tombstone:
    """A deletion of our own file."""
    try:
        at = datetime.fromisoformat(raw["deletedAt"]).astimezone(UTC)
        return Tombstone(raw["resource"], raw["key"], at, raw["cause"], raw["batch"], raw["actor"])
    except (ValueError, TypeError, KeyError):
        raise Damaged("une suppression y est illisible") from None
