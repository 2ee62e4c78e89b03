"""Mends what was found, in one transaction, after a safety backup of what was there."""

from pathlib import Path
from typing import Literal

from retrobus.backups import BadBackup, create
from retrobus.backups.create import Progress, silent
from retrobus.backups.manifest import Manifest
from retrobus.backups.restore import later_epoch, lock_maintenance, lock_tables
from retrobus.database import identity, sql
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import BY_NAME
from retrobus.model.wire import pieces
from retrobus.privacy import database as privacy
from retrobus.privacy.person import person_of
from retrobus.repair import parts
from retrobus.repair.findings import Findings, Keys, look
from retrobus.store.confirmed import confirmed

Choice = Literal["keep", "drop"]
"""What becomes of rows that were deleted and came back: `keep` makes them new rows, `drop` deletes them again."""

NOTE = "avant une réparation"
UNDECIDED = "Des lignes supprimées depuis le dump sont revenues : --returned keep ou --returned drop d'abord."
NUMBER = "SELECT setval('{0}_id_seq', (SELECT max(id) FROM {0}))"
END_TOKENS = "UPDATE member SET token_epoch = greatest(token_epoch + 1, $1)"


async def mend(
    connection: AnyConnection,
    folder: Path,
    choice: Choice | None = None,
    *,
    restored: bool = False,
    progress: Progress = silent,
) -> tuple[Findings, Findings, Manifest]:
    """Gives what was found, what is left of it, and the safety backup.

    `restored`: the operator says that this database is a copy, or was taken back to an earlier time. Rows that came
    back stay as they are without a choice; BadBackup if the new identity of a restored dump would forget them.
    """
    with create.alone(folder):
        async with confirmed(connection):
            await connection.execute(create.UNHURRIED)
            await lock_maintenance(connection)
            await lock_tables(connection)
            found = await look(connection, folder, restored=restored)
            moved = restored or not found.at_home
            if moved and found.returned and choice is None:
                raise BadBackup(UNDECIDED)  # under another identity no backup would tell of these rows any more
            await _mend_triggers(connection, found)
            await _mend_sequences(connection, found)
            await _erase(connection, found.erased)  # first: the safety backup must not hold them
            safety = await create.write(connection, folder, kind="safety", note=NOTE, progress=progress)
            await _mend_rows(connection, found, choice)
            if moved:
                await _settle(connection)
            await connection.execute(sql.READ_ALL_AGAIN)
            left = await look(connection, folder)
    return found, left, safety


async def _mend_triggers(connection: AnyConnection, found: Findings) -> None:
    for name in found.functions:
        await connection.execute(parts.FUNCTIONS[name].statement)
    for name in found.missing:
        await connection.execute(parts.TRIGGERS[name].statement)
    for name in found.disabled:
        if name in parts.TRIGGERS:
            await connection.execute(f"ALTER TABLE {parts.TRIGGERS[name].told} ENABLE TRIGGER {name}")
        else:
            await connection.execute(f"ALTER TABLE {name.split()[-1]} ENABLE TRIGGER ALL")


async def _mend_sequences(connection: AnyConnection, found: Findings) -> None:
    for name in found.sequences:
        if name == "row_version":
            await connection.execute("SELECT retrobus_version_above(0)")
        else:
            await connection.execute(NUMBER.format(name.removesuffix("_id_seq")))


async def _erase(connection: AnyConnection, ids: list[str]) -> None:
    for row in await connection.fetch("SELECT * FROM member WHERE id = ANY ($1::text[])", ids):
        await privacy.erase(connection, person_of(dict(row)))
    await connection.execute("SELECT set_config('retrobus.cause', 'sql', true)")


async def _mend_rows(connection: AnyConnection, found: Findings, choice: Choice | None) -> None:
    if choice == "drop":
        for name, keys in found.returned.items():
            resource = BY_NAME[name]
            gone = f"DELETE FROM {resource.table.name} WHERE {resource.key} = ANY ($1::text[])"
            await connection.execute(gone, keys)
    await connection.execute("UPDATE event SET vehicle_id = NULL WHERE id = ANY ($1::text[])", found.orphans)
    await _stamp(connection, found.stale)
    if choice == "keep":
        await _stamp(connection, found.returned)


async def _stamp(connection: AnyConnection, rows: Keys) -> None:
    """Has the trigger write JSON and version of these rows: it does so because one piece of the JSON changes.

    `updated_by` becomes `sql`: a program beside the service wrote these rows, and no trigger noted when.
    """
    for name, keys in rows.items():
        resource = BY_NAME[name]
        [piece, *_] = pieces(resource, "")
        change = f"UPDATE {resource.table.name} SET {piece} = {piece} || ' ' WHERE {resource.key} = ANY ($1::text[])"
        await connection.execute(change, keys)


async def _settle(connection: AnyConnection) -> None:
    """Gives this database an identity of its own: journals and ETags of the other database mean nothing here.

    Every token ends: one of them may have been ended in the other database after this copy was made.
    """
    for statement in identity.SETTLE:
        await connection.execute(statement)
    await connection.execute(END_TOKENS, later_epoch())
