"""Writes one backup of the database: every row of one instant, in a folder that appears whole or not at all."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import JSONB

from retrobus.backups import BadBackup, catalog
from retrobus.backups.manifest import DATA, FORMAT, MANIFEST, Manifest
from retrobus.backups.manifest import Kind as BackupKind
from retrobus.database.connection import AnyConnection
from retrobus.database.session import LONG_TRANSACTION
from retrobus.files import folder as files
from retrobus.files.error_texts import is_of_a_file, told
from retrobus.model.names import camel
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.tables import deletion
from retrobus.model.wire import JSON_AS_STRING, Form, form_of, moment

LOCK = ".backup.lock"
RUNNING = "Un autre backup ou une restauration est en cours"
"""How the refusal begins while another process holds the lock."""

TABLES = {"Vehicle": VEHICLE, "Event": EVENT, "members": MEMBER}
"""The names of the tables in data.json: those of the predecessor, in its order."""

PREFETCH, LARGE_ROWS = 500, 2
"""Rows in memory at a time; fewer of a table whose rows may carry images of many megabytes."""

Progress = Callable[[str, int, int], None]
"""Hears the name of a table, how many of its rows are written, and how many there are."""

UNHURRIED = f"""SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
{LONG_TRANSACTION}"""
"""Lifts the role's time limits, which are meant for requests: a slow disk must not end a backup or a restore."""

FACTS = """SELECT (SELECT id::text FROM database_identity) AS identity,
  (SELECT version_num FROM alembic_version) AS revision,
  (SELECT last_value FROM row_version) AS row_version,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS lsn"""


class Source(Protocol):
    """Where the rows of a backup come from."""

    async def count(self, table: Table) -> int:
        """How many rows the source will give."""

    def rows(self, name: str, table: Table) -> AsyncIterator[str]:
        """Each row as JSON, in the order of its key."""


@dataclass(frozen=True, slots=True)
class About:
    """What the manifest says beside counts and sums."""

    kind: BackupKind
    note: str | None
    revision: str | None
    identity: str | None
    position: dict[str, Any]


def prefetch(resource: Resource | None) -> int:
    """How many rows of a resource (None: tombstones) may be in memory at a time."""
    return LARGE_ROWS if resource is VEHICLE else PREFETCH


def silent(_table: str, _done: int, _total: int) -> None:
    """Shows no progress."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, so that no other process writes a backup there; removes what killed processes left."""
    with ExitStack() as stack:  # only the lock itself may say that it is taken, not the work under it
        try:
            stack.enter_context(files.locked(folder, LOCK))
        except files.Locked:
            said = f"{RUNNING} dans {folder} : attendez sa fin."
            raise BadBackup(said) from None
        files.sweep(folder, "backup*")
        yield


async def create(
    connection: AnyConnection, folder: Path, *, note: str | None = None, progress: Progress = silent
) -> Manifest:
    """Makes a backup of one instant of the database; writers go on meanwhile."""
    with alone(folder):
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(UNHURRIED)
            return await write(connection, folder, note=note, progress=progress)


async def write(
    connection: AnyConnection,
    folder: Path,
    *,
    kind: BackupKind = "normal",
    note: str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Makes a backup of what the open transaction sees. The caller is `alone`, and no table changes meanwhile."""
    [facts] = await connection.fetch(FACTS)
    position = {"rowVersion": facts["row_version"], "walLsn": facts["lsn"]}
    about = About(kind, note, facts["revision"], facts["identity"], position)
    return await put(_Tables(connection), folder, about, progress)


async def put(source: Source, folder: Path, about: About, progress: Progress = silent) -> Manifest:
    """Makes a backup of what a source gives. The caller is `alone`."""
    at = datetime.now(UTC)
    name = catalog.new_name(at)
    try:
        with files.new_folder(folder, name) as inside:
            with files.new_file(inside, DATA) as file:
                written = _Sum(file)
                counts = await _write_data(source, written, moment(at), progress)
            sums = (written.size, written.sum.hexdigest(), counts)
            place = (about.revision, about.identity, about.position)
            manifest = Manifest(name, moment(at), FORMAT, about.kind, about.note, *sums, *place)
            files.write_atomically(inside, MANIFEST, [manifest.written()])
    except OSError as error:
        if not is_of_a_file(error):
            raise  # the error of a connection to PostgreSQL, not of the disk
        raise BadBackup(f"{told(error, folder)}. Aucun backup n'a été fait.") from error
    return _listed(folder, manifest)


def _listed(folder: Path, manifest: Manifest) -> Manifest:
    """Lists the backup in the index. The backup is whole on the disk: a failure here is its `trouble`, not its end."""
    try:
        files.sync(folder)
    except OSError as error:
        return replace(manifest, trouble=f"une coupure de courant peut encore le perdre : {told(error, folder)}")
    try:
        catalog.add(folder, manifest)
    except OSError as error:
        return replace(manifest, trouble=f"absent de l'index : {told(error, folder)}")
    return manifest


class _Sum:
    """A file that adds up the size and the SHA-256 of what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.sum = hashlib.sha256()
        self.size = 0
        self._file = file

    def write(self, text: str) -> None:
        content = text.encode()
        self._file.write(content)
        self.sum.update(content)
        self.size += len(content)


async def _write_data(source: Source, file: _Sum, at: str, progress: Progress) -> dict[str, int]:
    """Writes data.json with one row a line, so that `grep` and `diff` work on it; gives the rows of each table."""
    counts = {}
    file.write(f'{{"format": "{FORMAT}", "timestamp": "{at}", "tables": {{')
    for position, (name, resource) in enumerate(TABLES.items()):
        file.write(("," if position else "") + f'\n"{name}": ')
        counts[name] = await _write_table(source, file, name, resource.table, progress)
    file.write('},\n"tombstones": ')
    counts["tombstones"] = await _write_table(source, file, "tombstones", deletion, progress)
    file.write("}\n")
    return counts


async def _write_table(source: Source, file: _Sum, name: str, table: Table, progress: Progress) -> int:
    total = await source.count(table)
    file.write(f'{{"count": {total}, "data": [')
    done = 0
    async for row in source.rows(name, table):
        file.write(("," if done else "") + "\n" + row)
        done += 1
        progress(name, done, total)
    file.write("]}")
    if done != total:
        raise BadBackup(f"La table {table.name} a changé pendant le backup : rien n'a été gardé.")
    return total


class _Tables:
    """The rows that an open transaction sees."""

    def __init__(self, connection: AnyConnection) -> None:
        self._connection = connection

    async def count(self, table: Table) -> int:
        found: int = await self._connection.fetchval(f"SELECT count(*) FROM {table.name}")
        return found

    async def rows(self, name: str, table: Table) -> AsyncIterator[str]:
        resource = TABLES.get(name)
        columns, key = (deletion.columns, "version") if resource is None else (resource.columns, resource.key)
        members = " || ',' || ".join(_member(column) for column in columns)
        sql = f"SELECT '{{' || {members} || '}}' FROM {table.name} ORDER BY {key}"
        async for row in self._connection.cursor(sql, prefetch=prefetch(resource)):
            yield row[0]


def written_as(column: Column[Any]) -> Form:
    """How a column is written: as in the API, but jsonb as its text in a string, so that no number loses a digit."""
    return JSON_AS_STRING if isinstance(column.type, JSONB) else form_of(column)


def _member(column: Column[Any]) -> str:
    value = written_as(column).sql.format(column.name)
    return f"""'"{camel(column.name)}":' || {f"coalesce({value}, 'null')" if column.nullable else value}"""
