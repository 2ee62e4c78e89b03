"""Reads the files of the predecessor, in any of its five shapes (docs/backups.md): small ones, read whole."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from retrobus.backups.intake import NAMES, Damaged, TableRead
from retrobus.backups.lines import HEAD
from retrobus.model.jsontext import BadJson, strict

LARGEST = 256 << 20
"""Bytes of a file: those of the predecessor have some megabytes, images included."""

VALUES = 1_000_000
"""Values of a file: 30,000 rows or so. Without this bound, twelve megabytes of `{},` would fill the memory."""


BARE = "A"
"""The shape of one table alone: an array of rows, as `json_agg` gives it."""


def document(file: BinaryIO) -> dict[str, Any] | list[Any]:
    """The whole file; Damaged if it is neither the JSON object that a backup is nor an array of rows."""
    if os.fstat(file.fileno()).st_size > LARGEST and not file.read(len(HEAD)) == HEAD:
        raise Damaged("il dépasse 256 Mio")
    file.seek(0)
    content = file.read(LARGEST)
    if not content.strip():
        raise Damaged("il est vide : la commande qui devait l'écrire n'a rien donné")
    if content.startswith(HEAD):
        raise Damaged("son manifest.json manque")
    try:
        found = strict(content.decode("utf-8-sig"), values=VALUES)
    except UnicodeDecodeError:
        raise Damaged("texte qui n'est pas en UTF-8") from None
    except BadJson as error:
        raise Damaged(str(error)) from None
    if not isinstance(found, dict | list):
        raise Damaged("objet ou tableau JSON attendu")
    if isinstance(found, dict) and "format" in found:
        raise Damaged("son manifest.json manque")
    return found


def shape_of(said: Mapping[str, Any]) -> str:
    """The shape's name in docs/backups.md."""
    for name, shape in (("tables", "T2"), ("state", "R")):
        if isinstance(found := said.get(name), dict):
            if any(isinstance(table, dict) and "columns" in table for table in found.values()):
                return "T1"
            return "T3" if shape == "T2" and any(isinstance(table, list) for table in found.values()) else shape
    return "F"


def tables(said: Mapping[str, Any]) -> Iterator[TableRead]:
    """Every table with its rows: the members of `tables` and `state`, and every list beside them.

    A table of ours that is null has no rows: `json_agg` gives that of an empty table.
    """
    for name, value in said.items():
        if name in {"tables", "state"} and isinstance(value, dict):
            yield from (_table(name, table) for name, table in value.items())
        elif isinstance(value, list) or (value is None and name in NAMES):
            yield TableRead(name, iter(value or ()))


def _table(name: str, said: Any) -> TableRead:
    """A table given as a list of rows, or as an object with `data`, which is an object in some tables of others."""
    if isinstance(said, list):
        return TableRead(name, iter(said))
    described = said if isinstance(said, dict) else {}
    data = described.get("data")
    readable = isinstance(data, list) or (isinstance(data, dict) and name not in NAMES)
    return TableRead(name, iter(data or ()) if readable else None, described.get("count"))
