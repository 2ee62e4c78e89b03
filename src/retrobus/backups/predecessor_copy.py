r"""The tables of the predecessor's live database, copied to a file without a name, so that a restore reads them twice.

Each line of the file is a row in the text format of COPY: its key as JSON, a tab, the row as JSON. For example:

    "920"	{"parc":"920","description":"un \\"Citaro\\""}
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from retrobus.backups.intake import Damaged, Illegible, TableRead
from retrobus.backups.lines import LARGEST_LINE
from retrobus.model.jsontext import BadJson, strict
from retrobus.model.resources import Resource

SHAPE = "PostgreSQL"
"""What a plan says of its source: no file, a live database."""


class CopiedTable(NamedTuple):
    """One table of the copy, by its name there, and how many rows were copied."""

    name: str
    resource: Resource
    rows: int


@dataclass(slots=True)
class Copy:
    """What one read-only snapshot of the predecessor's database held.

    `name` is its address without user and password, `timestamp` the instant of the snapshot (RFC 3339). `foreign`
    counts the rows of tables that are not ours. The rows of each table follow one another in `file`.
    """

    name: str
    file: BinaryIO = field(repr=False)
    timestamp: str = ""
    tables: list[CopiedTable] = field(default_factory=list)
    foreign: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def tables(copy: Copy) -> Iterator[TableRead]:
    """Every table with its rows from the beginning; the caller takes all rows of one before it asks for the next."""
    copy.file.seek(0)
    for table in copy.tables:
        yield TableRead(table.name, (_row(copy.file, table.resource.key) for _ in range(table.rows)))


def _row(file: BinaryIO, key: str) -> Any:
    line = file.readline()
    if not line.endswith(b"\n"):
        raise Damaged("la copie de cette base est coupée")
    named, _, text = line[:-1].replace(b"\\\\", b"\\").partition(b"\t")
    if not text:
        return Illegible({key: _value(named)}, f"la ligne dépasse {LARGEST_LINE >> 20} Mio")
    try:
        return strict(text.decode())
    except (BadJson, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, BadJson) else "texte qui n'est pas en UTF-8"
        return Illegible({key: _value(named)}, reason)


def _value(named: bytes) -> Any:
    """The key of a row that cannot be read, as far as it can be read itself."""
    try:
        return strict(named.decode(errors="replace"))
    except BadJson:
        return None
