"""Opens a spreadsheet for an import: its rows by the rules of the API, each with a key that lasts."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrobus.backups import BadBackup
from retrobus.backups.sheet_rows import SheetEntry, SheetRows, writable
from retrobus.backups.sheet_source import AUTHOR, Sheet
from retrobus.database.connection import AnyConnection
from retrobus.model.columns import label_of
from retrobus.model.ids import new_id
from retrobus.model.resources import EVENT, MEMBER, Resource
from retrobus.model.rows import fold
from retrobus.sheets.grids import BadSheet
from retrobus.sheets.headings import Headings
from retrobus.sheets.reading import read_grid

MEMBERS_OF = """SELECT told.email, member.id, encode((retrobus_fingerprints(
  'import:' || lower(told.email COLLATE "C"), NULL, NULL, NULL))[1], 'hex') AS derived
FROM unnest($1::text[]) AS told (email)
LEFT JOIN member ON lower(member.email COLLATE "C") = lower(told.email COLLATE "C")"""
"""For each e-mail the member who has it, and a text that only this database can derive from it."""


KEYLESS = "vide, et la ligne a une version : exportez de nouveau, et gardez cette colonne"
"""Why a row that was exported stays out without its key."""


async def read_sheet(connection: AnyConnection, path: Path, resource: Resource) -> Sheet:
    """Reads a file and gives each row without a key the one that it has here, or a new one; BadBackup if it is no
    table of this resource.

    The file is read once: what it says is the same in the plan and in the work.
    """
    try:
        grid, headings = read_grid(path, resource)
    except BadSheet as error:
        raise BadBackup(f"{path} : {error}. Rien n'a été changé.") from None
    rows = SheetRows(resource, headings)
    entries = rows.entries(grid)
    await _identify(connection, resource, entries)
    await _settle(connection, resource, entries)
    _reject_doubles(resource, entries, headings)
    ignored = [said for name, said in headings.said.items() if name not in _read_columns(resource)]
    remarks = [*grid.remarks, *_unknown(headings), *_blank(rows)]
    return Sheet(resource, path.name, grid.shape, headings.said, entries, ignored, remarks)


def _read_columns(resource: Resource) -> frozenset[str]:
    return writable(resource) | {resource.key, "version"}


def _unknown(headings: Headings) -> list[str]:
    return [
        f"colonne inconnue, non lue : « {heading} »" + (f" (vouliez-vous dire « {alike} » ?)" if alike else "")
        for heading, alike in headings.unknown.items()
    ]


def _blank(rows: SheetRows) -> list[str]:
    said = ", ".join(f"« {rows.headings.said[name]} » ({count})" for name, count in sorted(rows.blanks.items()))
    return [f"cellules vides sans effet, la valeur reste ou est celle par défaut : {said}"] if said else []


async def _identify(connection: AnyConnection, resource: Resource, entries: list[SheetEntry]) -> None:
    """Gives rows without a key one that the same row would get again, so that a second import finds the first.

    A member is the one with this e-mail. Otherwise the key is derived: of a member from the e-mail, by a secret of
    this database, for an id must not tell the e-mail; of an event from its title, date and time. A row with a version
    is an old one, so it gets no new key: if it was deleted, nothing else would tell.
    """
    waiting = [entry for entry in entries if entry.key is None and entry.reason is None and entry.lacking is None]
    if resource is EVENT:
        for entry in waiting:
            said = "\n".join(str(entry.values.get(name) or "") for name in ("title", "date", "time"))
            entry.key = None if entry.refused or entry.version is not None else new_id(AUTHOR, said)
    if resource is MEMBER:
        rows = await connection.fetch(MEMBERS_OF, [entry.values.get("email") for entry in waiting])
        known = {row["email"]: dict(row) for row in rows if row["email"]}
        for entry in waiting:
            entry.key = _member_of(entry, known)
    for entry in entries:
        if entry.key is None and entry.reason is None and not entry.refused:
            entry.reason = entry.lacking or f"« {label_of(resource.key_column)} » : {KEYLESS}"


def _member_of(entry: SheetEntry, known: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The id of the member who has this e-mail, or a new one."""
    row = known.get(entry.values.get("email", ""))
    if row is None:
        return None
    present: str | None = row["id"]
    return present or (None if entry.version is not None else new_id(AUTHOR, row["derived"]))


async def _settle(connection: AnyConnection, resource: Resource, entries: list[SheetEntry]) -> None:
    """Compares doubtful values with those that the rows have here."""
    keys = [entry.key for entry in entries if entry.doubts and entry.key is not None]
    columns = sorted({name for entry in entries for name in entry.doubts} | {resource.key})
    sql = f"SELECT {', '.join(columns)} FROM {resource.table.name} WHERE {resource.key} = ANY ($1)"
    here = {row[resource.key]: dict(row) for row in await connection.fetch(sql, keys)}
    for entry in entries:
        entry.settle(here.get(entry.key or ""))


def _reject_doubles(resource: Resource, entries: list[SheetEntry], headings: Headings) -> None:
    """Rejects every row whose key or unique value another row has too: nothing tells which of them is right."""
    found: defaultdict[tuple[str, str], list[SheetEntry]] = defaultdict(list)
    folded = {unique.column: unique.folded for unique in resource.unique}
    for entry in entries:
        values = {name: entry.values.get(name) for name in folded} | {resource.key: entry.key}
        for name, value in values.items():
            if value is not None:
                found[name, fold(value) if folded.get(name) else value].append(entry)
    for (name, _), rows in found.items():
        label = headings.said.get(name) or label_of(resource.table.c[name])
        for entry in rows if len(rows) > 1 else ():
            others = [str(other.line) for other in rows if other is not entry]
            where = f"la ligne {others[0]}" if len(others) == 1 else f"les lignes {', '.join(others[:5])}"
            entry.reason = entry.reason or f"« {label} » : la même valeur est à {where}"
