"""Carries out a draft: a second pass through the backup writes its rows, then the tables are compared with it again."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from retrobus.backups import BadBackup, tables_side
from retrobus.backups.create import prefetch
from retrobus.backups.draft import Draft
from retrobus.backups.facts import compared, differing, uniques, without_lost
from retrobus.backups.formats import Reading
from retrobus.backups.intake import Taken
from retrobus.backups.sheet_source import AUTHOR
from retrobus.backups.verdicts import WRITTEN, Verdict
from retrobus.database import sql
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import BY_NAME, VEHICLE, Resource
from retrobus.model.rows import Row
from retrobus.model.tables import deletion

TOMBSTONE = ("resource", "key", "deleted_at", "actor", "cause", "batch")
LEARN = f"""INSERT INTO deletion (version, {", ".join(TOMBSTONE)}) SELECT retrobus_next_version(0), new.*
FROM {sql.batch([deletion.c[name] for name in TOMBSTONE])}"""

NUMBER_SEQUENCE = "pg_get_serial_sequence('vehicle', 'id')"
RAISE_NUMBERS = f"""SELECT setval({NUMBER_SEQUENCE}, greatest(
  pg_sequence_last_value({NUMBER_SEQUENCE}::regclass), (SELECT max(id) FROM vehicle), $1::bigint))"""
NEW_NUMBERS = f"SELECT nextval({NUMBER_SEQUENCE}) AS number FROM generate_series(1, $1)"


AS_IMPORT = f"SELECT set_config('retrobus.actor', '{AUTHOR}', true)"
"""Names the import as the author of the rows that this transaction writes: `updatedBy` says `import`."""

KEPT: tuple[Verdict, ...] = ("insert", "update", "same")
"""The verdicts on rows that are here as in the backup when the restore is done."""


class Kind(NamedTuple):
    """Rows that one statement writes: inserts of a resource, or updates of all its columns but the missing ones."""

    resource: Resource
    verdict: str
    missing: frozenset[str]


async def prepare(connection: AnyConnection, draft: Draft) -> None:
    """Notes the deletions that only the backup knows, deletes rows, and frees the values that rows of the backup need.

    The triggers write the cause `restore` into the tombstones of the deleted rows. From here on they leave the stamps
    of a row as the backup gives them; rows of a spreadsheet are changed now, by the import, and their stamps say so.
    """
    if draft.there.sheet:
        await connection.execute(AS_IMPORT)
    else:
        await connection.execute("SELECT set_config('retrobus.cause', 'restore', true)")
    values = ([getattr(found, name) for found in draft.learned] for name in TOMBSTONE)
    await connection.execute(LEARN, *values)
    for resource in reversed(draft.rules.resources):  # events before the vehicles that they refer to
        delete = f"DELETE FROM {resource.table.name} WHERE {resource.key} = ANY ($1)"
        await connection.execute(delete, draft.keys(resource, "delete"))
    if not draft.there.sheet:
        await connection.execute(sql.GIVEN_STAMPS)
    for resource in draft.rules.resources:
        await _free_values(connection, draft, resource)


async def _free_values(connection: AnyConnection, draft: Draft, resource: Resource) -> None:
    """Gives the rows that will be updated spare unique values.

    Two members may have exchanged their e-mails: otherwise the first update would break the unique index.
    """
    table, outcomes = resource.table.name, draft.outcomes[resource.name]
    updated = draft.keys(resource, "update")
    for column, _ in uniques(resource):
        spare = "NULL" if resource.table.c[column].nullable else f"md5({resource.key}) || '@restore.invalid'"
        keys = [key for key in updated if column in outcomes[key].columns]
        await connection.execute(f"UPDATE {table} SET {column} = {spare} WHERE {resource.key} = ANY ($1)", keys)


async def write_rows(connection: AnyConnection, reading: Reading, draft: Draft, epoch: int) -> None:
    """Inserts and updates rows in batches; the tokens of members who are written end, for they get a later epoch."""
    found = _rows(reading, draft, await _numbers(connection, draft))
    for _, group in groupby(found, lambda pair: pair[0].resource):
        waiting: defaultdict[Kind, list[Row]] = defaultdict(list)
        for kind, row in group:
            waiting[kind].append(row)
            if len(waiting[kind]) >= prefetch(kind.resource):
                await _put(connection, kind, waiting.pop(kind), epoch)
        for kind, rows in waiting.items():
            await _put(connection, kind, rows, epoch)


async def _numbers(connection: AnyConnection, draft: Draft) -> dict[str, int]:
    """Draws new numbers for vehicles whose number is taken; vehicles made later get numbers above all of the backup."""
    if VEHICLE not in draft.rules.resources:
        return {}
    highest = max((facts.number or 0 for facts in draft.there.rows[VEHICLE.name].values()), default=0)
    await connection.execute(RAISE_NUMBERS, highest or None)
    drawn = await connection.fetch(NEW_NUMBERS, len(draft.renumbered))
    return dict(zip(draft.renumbered, (row["number"] for row in drawn), strict=True))


def _rows(reading: Reading, draft: Draft, numbers: dict[str, int]) -> Iterator[tuple[Kind, Row]]:
    """The rows to write, with the hash, the reference and the number that they have here.

    Where the backup does not say who changed a row last, or the member was erased since, the row says `restore`.
    """
    for found in reading:
        if not isinstance(found, Taken):
            continue
        outcome = draft.outcomes.get(found.resource, {}).get(found.key)
        if outcome is None or outcome.verdict not in WRITTEN:
            continue
        resource, row = BY_NAME[found.resource], found.row
        if found.password is not None:
            row["password_hash"] = draft.there.hashes.get(found.key)
        if row["updated_by"] is None or row["updated_by"] in draft.erased:
            row["updated_by"] = "restore"
        if resource.reference and row[resource.reference] in draft.lost[resource.name]:
            row[resource.reference] = None
        if resource.number and found.key in numbers:
            row[resource.number] = numbers[found.key]
        yield Kind(resource, outcome.verdict, found.missing if outcome.verdict == "update" else frozenset()), row


async def _put(connection: AnyConnection, kind: Kind, rows: list[Row], epoch: int) -> None:
    """Writes a batch of one kind."""
    resource, table = kind.resource, kind.resource.table
    if kind.verdict == "insert":
        names = [column.name for column in resource.columns if column.name != "version"]
        for row in rows if "token_epoch" in names else ():
            row["token_epoch"] = max(row["token_epoch"] + 1, epoch)
        records = [[row[name] for name in names] for row in rows]
        await connection.copy_records_to_table(table.name, records=records, columns=names)
        return
    names = [*(name for name in compared(resource) if name not in kind.missing), "updated_by"]
    pairs = [f"{name} = new.{name}" for name in names]
    if "token_epoch" in table.c and "token_epoch" not in kind.missing:
        pairs.append(f"token_epoch = greatest(token_epoch + 1, {epoch})")
    source = sql.batch([resource.key_column, *(table.c[name] for name in names)])
    where = f"{table.name}.{resource.key} = new.{resource.key}"
    update = f"UPDATE {table.name} SET {', '.join(pairs)} FROM {source} WHERE {where}"
    await connection.execute(update, *([row[name] for row in rows] for name in (resource.key, *names)))


async def verify(connection: AnyConnection, draft: Draft) -> None:
    """Compares the tables with the facts of the backup; BadBackup if a row is missing, too many or different."""
    for resource in draft.rules.resources:
        if not await _is_done(connection, draft, resource):
            raise BadBackup(f"La vérification de {resource.name} n'a pas réussi : rien n'a été changé.")


async def _is_done(connection: AnyConnection, draft: Draft, resource: Resource) -> bool:
    name = resource.name
    outcomes, there, lost = draft.outcomes[name], draft.there.rows[name], draft.lost[name]
    counts = Counter(outcome.verdict for outcome in outcomes.values())
    rows = kept = 0
    async for key, facts in tables_side.rows_of(connection, resource):
        rows += 1
        if key in outcomes and outcomes[key].verdict in KEPT:
            kept += 1
            if differing(resource, facts, without_lost(resource, there[key], lost)):
                return False
    expected = draft.before[name] + counts["insert"] - counts["delete"]
    return rows == expected and kept == sum(counts[verdict] for verdict in KEPT)
