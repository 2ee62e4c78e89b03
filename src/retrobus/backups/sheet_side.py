"""Says which rows of a spreadsheet may not be written, from what the tables hold at this moment."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from retrobus.backups.rules import Rules
from retrobus.backups.sheet_rows import SheetEntry
from retrobus.backups.sheet_source import Sheet
from retrobus.database.connection import AnyConnection
from retrobus.model.members import refusal
from retrobus.model.resources import EVENT, MEMBER

REFERENCE = EVENT.reference
"""The column of an event that names its vehicle."""


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What may keep a row of the file out. `present` has the version of each row that is here, by key."""

    sheet: Sheet
    entries: Mapping[str, SheetEntry]
    present: Mapping[str, int]
    vehicles: AbstractSet[str]
    rules: Rules

    def refusal(self, key: str, columns: tuple[str, ...] | None) -> str | None:
        """Why the row may not be written, None if it may; `columns` are those that differ, None for a new row."""
        entry = self.entries[key]
        if columns is None:
            return entry.lacking or self._bad_value(entry, tuple(entry.values))
        return self._moved(key, entry) or self._bad_value(entry, columns)

    def _moved(self, key: str, entry: SheetEntry) -> str | None:
        """The reason if the row was changed here after the file was made: that change would be lost.

        For example: m1 has version 812 in the file and 840 here. An operator who names m1 by `--only` overrules it.
        """
        name, here = self.sheet.resource.name, self.present[key]
        if entry.version in {None, here} or self.rules.names(name, key):
            return None
        return (
            f"modifié dans la base depuis l'export (version {here}, {entry.version} dans le fichier) : exportez de "
            f"nouveau et refaites le changement, ou imposez cette ligne du fichier par --only {name.lower()}:{key}"
        )

    def _bad_value(self, entry: SheetEntry, columns: tuple[str, ...]) -> str | None:
        """The reason if the row names a vehicle that is not here, or if a member may not be given such a value."""
        names, member = self.sheet.names, self.sheet.resource is MEMBER
        for name in columns:
            value = entry.values[name]
            if name == REFERENCE and value is not None and value not in self.vehicles:
                return f"« {names[name]} » : aucun véhicule {value} ici"
            reason = refusal(name, value) if member else None
            if reason is not None:
                return f"« {names[name]} » : {reason}"
        return None


async def obstacles(connection: AnyConnection, sheet: Sheet, vehicles: AbstractSet[str], rules: Rules) -> Obstacles:
    """What the open transaction sees of the rows of this file."""
    resource = sheet.resource
    sql = f"SELECT {resource.key} AS key, version FROM {resource.table.name} WHERE {resource.key} = ANY ($1)"
    present = {row["key"]: row["version"] for row in await connection.fetch(sql, list(sheet.lines))}
    entries = {entry.key: entry for entry in sheet.entries if entry.key is not None}
    return Obstacles(sheet, entries, present, vehicles, rules)
