"""The backup's side of a restore: the facts of its rows, its tombstones, and the passwords that it holds in clear."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from retrobus.accounts.passwords import check_password, hash_password
from retrobus.backups import BadBackup
from retrobus.backups.facts import Facts, facts_of, with_value
from retrobus.backups.formats import Reading
from retrobus.backups.intake import Taken, Tombstone
from retrobus.backups.rules import Only, Rules
from retrobus.backups.sheet_source import Sheet, SheetReading
from retrobus.database.connection import AnyConnection
from retrobus.model.names import camel
from retrobus.model.resources import ALL, BY_NAME, EVENT, MEMBER, VEHICLE

UNSETTLED = "!"
"""Stands for the hash of a password in clear until it is known: equal to no hash."""

REFERENCE = "vehicle_id"
"""The column of an event that names its vehicle."""

Place = tuple[str, str, int, datetime]
"""What tells one deletion from another: resource, key, batch and time."""


@dataclass(slots=True, repr=False)
class There:
    """One backup, read to its end. `rows` are the facts of its rows, by resource (those in scope) and key.

    `authors` are who changed them last. `clear` are the passwords that the file holds in clear, by the member's id;
    `hashes` are their hashes once known.
    `companions` are the events of the vehicles that `only` names, without being named themselves: the vehicle by id.
    `sheet` is the spreadsheet that these rows are from, if they are from one.
    """

    reading: Reading
    rows: dict[str, dict[str, Facts]]
    tombstones: dict[Place, Tombstone] = field(default_factory=dict)
    authors: set[str | None] = field(default_factory=set)
    clear: dict[str, str] = field(default_factory=dict, repr=False)
    hashes: dict[str, str] = field(default_factory=dict, repr=False)
    companions: dict[str, str] = field(default_factory=dict)
    sheet: Sheet | None = None

    async def settle(self, connection: AnyConnection, *, hashed: bool) -> None:
        """Finds a hash for each password in clear: the one that the member has here, if the password fits it.

        Such a password is no difference. The others are hashed if `hashed`, which takes some 50 ms each.
        """
        sql = "SELECT id, password_hash FROM member WHERE id = ANY($1) AND password_hash IS NOT NULL"
        here = {row["id"]: row["password_hash"] for row in await connection.fetch(sql, list(self.clear))}

        async def one(key: str) -> None:
            if key in here and (await check_password(self.clear[key], here[key]))[0]:
                self.hashes[key] = here[key]
            elif hashed:
                self.hashes[key] = await hash_password(self.clear[key])

        await asyncio.gather(*(one(key) for key in self.clear if key not in self.hashes))
        rows = self.rows[MEMBER.name]
        for key in self.clear:
            rows[key] = with_value(MEMBER, rows[key], "password_hash", self.hashes.get(key, UNSETTLED))


def read_there(opened: AbstractContextManager[Reading], rules: Rules) -> There:
    """The facts of a whole backup; BadBackup if any part of it is damaged, also beyond the scope.

    With `only`, the facts and tombstones of the rows that it names; BadBackup if one of them is not in the backup.
    """
    with opened as reading:
        there = There(reading, {resource.name: {} for resource in ALL})
        there.sheet = reading.sheet if isinstance(reading, SheetReading) else None
        for found in reading:
            if isinstance(found, Tombstone):
                if not rules.only or rules.names(found.resource, found.key):
                    there.tombstones[found.resource, found.key, found.batch, found.deleted_at] = found
            elif rules.wants(found.resource, found.key):
                _keep(there, found)
            elif found.resource == EVENT.name and rules.names(VEHICLE.name, found.row[REFERENCE] or ""):
                there.companions[found.key] = found.row[REFERENCE]
    for row in rules.only:
        if row.key not in there.rows[row.resource]:
            raise BadBackup(f"--only {row.said} : {_absence(reading, row)}")
    reading.intake.forget()
    return there


def _keep(there: There, found: Taken) -> None:
    there.rows[found.resource][found.key] = facts_of(BY_NAME[found.resource], found.row, found.missing)
    there.authors.add(found.row["updated_by"])
    if found.password is not None:
        there.clear[found.key] = found.password


def _absence(reading: Reading, row: Only) -> str:
    """Why a row that the operator names does not come out of the backup."""
    for reject in reading.intake.rejects:
        if (reject.resource, reject.key) == (row.resource, row.key):
            return f"la ligne de {reading.name} ne convient pas : {reject.reason}."
    column = camel(BY_NAME[row.resource].key)
    return f"{reading.name} n'a aucune ligne de {row.resource} dont {column} est {row.key}."
