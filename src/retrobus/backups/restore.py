"""Puts a backup back into PostgreSQL: a draft first, then one transaction that does all of it or nothing."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from retrobus.backups import BadBackup, create
from retrobus.backups.backup_side import There, read_there
from retrobus.backups.create import Progress, silent
from retrobus.backups.differences import SOME, Detail, show_values
from retrobus.backups.draft import Draft, drafted
from retrobus.backups.formats import Hints, Reading, open_reading
from retrobus.backups.manifest import Manifest
from retrobus.backups.plan import Plan
from retrobus.backups.predecessor_copy import Copy
from retrobus.backups.rules import Rules
from retrobus.backups.sheet_source import Sheet, SheetReading
from retrobus.backups.tables_side import mark_of
from retrobus.backups.writing import prepare, verify, write_rows
from retrobus.database.connection import AnyConnection
from retrobus.store.confirmed import confirmed
from retrobus.store.statements import BARRIER

MAINTENANCE = "retrobus:maintenance"
"""Name of the advisory lock that restore, clean and reset share."""

LOCK_TIMEOUT = "10s"
TABLES = "vehicle, event, member, deletion"
RENEW_IDENTITY = "UPDATE database_identity SET id = gen_random_uuid(), created_at = now()"
"""From here on no journal of the time before is replayed by itself, and every mirror reads everything again."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which backup to restore, by which rules. `empty`: a backup without any row may empty the tables."""

    source: Path | Copy | Sheet
    rules: Rules
    public_when_missing: bool = False
    empty: bool = False

    def opened(self) -> AbstractContextManager[Reading]:
        """A pass through the backup, from its beginning."""
        if isinstance(self.source, Sheet):
            return nullcontext(SheetReading(self.source))
        only = self.rules.resources[0] if len(self.rules.resources) == 1 else None
        return open_reading(self.source, Hints(self.public_when_missing, only))

    def read(self) -> There:
        """The facts of the backup."""
        return read_there(self.opened(), self.rules)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done, and the backup of what the tables held before."""

    plan: Plan
    safety: Manifest


async def planned(connection: AnyConnection, request: Request, detail: Detail = SOME) -> Draft:
    """What a restore would do now, with the values of the first differing rows; changes nothing and locks nothing."""
    there = request.read()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(create.UNHURRIED)
        await there.settle(connection, hashed=False)
        draft = await drafted(connection, there, request.rules)
        if draft.plan.differences:
            with request.opened() as reading:
                await show_values(connection, reading, draft, detail)
    return draft


async def restore(
    connection: AnyConnection, request: Request, folder: Path, progress: Progress = silent, draft: Draft | None = None
) -> Restored:
    """Restores in one transaction: whatever fails or is killed, the tables are as before or as planned.

    A draft that the operator confirmed is carried out as it is, unless the tables changed since it was made: then it
    is made again under the lock, so that no write in between is lost.
    """
    with create.alone(folder):
        async with confirmed(connection):
            await connection.execute(create.UNHURRIED)
            await lock_maintenance(connection)
            there = draft.there if draft else request.read()
            await there.settle(connection, hashed=True)  # takes long: before the tables are locked
            await lock_tables(connection)
            note = f"avant {'l’import' if there.sheet else 'la restauration'} de {there.reading.name}"
            safety = await create.write(connection, folder, kind="safety", note=note, progress=progress)
            if draft is None or await mark_of(connection) != draft.mark:
                draft = await drafted(connection, there, request.rules)
            await _carry_out(connection, request, draft)
    return Restored(draft.plan, safety)


async def _carry_out(connection: AnyConnection, request: Request, draft: Draft) -> None:
    name = draft.plan.name
    if draft.plan.empties and not request.empty:
        raise BadBackup(f"{name} est vide : --replace viderait les tables. Confirmez par --yes-empty.")
    if draft.there.sheet and draft.headless:
        raise BadBackup(f"{name} ôterait le dernier ADMIN actif : nommez-en un autre d'abord. Rien n'a été changé.")
    await prepare(connection, draft)
    with request.opened() as reading:
        await write_rows(connection, reading, draft, later_epoch())
    if request.rules.replaces_all:
        await connection.execute(RENEW_IDENTITY)
    await verify(connection, draft)
    await connection.execute(BARRIER)  # the rows may be those of an earlier try that no standby confirmed


async def lock_maintenance(connection: AnyConnection) -> None:
    """Keeps every other restore, clean and reset out until the transaction ends; BadBackup if one runs."""
    free = await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", MAINTENANCE)
    if not free:
        raise BadBackup("Une restauration ou un nettoyage de cette base est en cours : attendez sa fin.")


async def lock_tables(connection: AnyConnection) -> None:
    """Keeps every other writer out until the transaction ends; readers go on."""
    await connection.execute(
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; LOCK TABLE {TABLES} IN SHARE ROW EXCLUSIVE MODE"
    )


def later_epoch() -> int:
    """A token epoch later than any that a member ever had, here or in another database: seconds since 2020."""
    return int(time.time()) - 1_577_836_800
