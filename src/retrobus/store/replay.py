"""Brings a journal into Postgres: in order, in one transaction, and never over what changed there meanwhile."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import Table

from retrobus import logbook
from retrobus.rows import Row, content_hash, decode
from retrobus.store.journal import Entry, Journal
from retrobus.tables import RESOURCES, key_column, number_column, stored_columns
from retrobus.wire import view_sql

PROGRESS = "SELECT sequence FROM replay WHERE journal = $1"
NOTE_PROGRESS = """INSERT INTO replay (journal, sequence) VALUES ($1, $2)
ON CONFLICT (journal) DO UPDATE SET sequence = excluded.sequence, at = now()"""
ADD_CONFLICT = """INSERT INTO conflict
  (journal, sequence, resource, key, operation, entry, reason, resolution, resolved_at)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8::text, CASE WHEN $8::text IS NOT NULL THEN now() END)
ON CONFLICT (journal, sequence) DO NOTHING"""
KEEP_ANSWER = """INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"""
ETAG = """'"' || (SELECT left(id::text, 8) FROM database_identity) || '-' || version || '"'"""
BURIED = "SELECT max(version) FROM deletion WHERE resource = $1 AND key = $2"
IDENTITY = "SELECT id::text FROM database_identity"


@dataclass(slots=True)
class Report:
    """What a replay did."""

    applied: int = 0
    already: int = 0
    conflicts: list[tuple[Entry, str]] = field(default_factory=list)


class Refused(Exception):
    """An entry that Postgres cannot take as it is; the text is the reason."""


class Replay:
    """One transaction's worth of a journal."""

    def __init__(self, connection: Any, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        self._refused: set[tuple[str, str]] = set()
        self._start = 0
        self.report = Report()

    async def run(self) -> int:
        """Replays what Postgres does not have yet and commits; the last sequence that it has now."""
        last = self._journal.last
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'")
            await self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('retrobus:replay'))")
            await self._connection.execute("SELECT set_config('retrobus.cause', 'api', true)")
            await self._connection.execute("LOCK TABLE vehicle, event, member IN SHARE ROW EXCLUSIVE MODE")
            refusal = await self._refusal()
            done = await self._connection.fetchval(PROGRESS, self._journal.id) or 0
            self._start = await self._connection.fetchval("SELECT last_value FROM row_version")
            for entry in [entry for entry in self._journal.entries if done < entry.sequence <= last]:
                await self._one(entry, refusal)
            await self._connection.execute(NOTE_PROGRESS, self._journal.id, last)
        for entry, reason in self.report.conflicts:
            logbook.conflict(entry.resource, entry.key, entry.operation, reason)
        return last

    async def _refusal(self) -> str | None:
        if self._journal.refusal is not None:
            return f"journal {self._journal.refusal}"
        if self._journal.identity is None:
            return f"journal sans base connue (origine {self._journal.origin})"
        if await self._connection.fetchval(IDENTITY) != self._journal.identity:
            return "journal d'une autre base"
        return None

    async def _one(self, entry: Entry, refusal: str | None) -> None:
        reason = refusal
        if reason is None:
            try:
                async with self._connection.transaction():
                    await self._connection.execute("SELECT set_config('retrobus.actor', $1, true)", entry.member or "")
                    await self._apply(entry)
            except Refused as error:
                reason = str(error)
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, LookupError, ValueError) as error:
                reason = f"refusé par la base ({getattr(error, 'sqlstate', None) or type(error).__name__})"
        if reason is not None:
            self._refused.add((entry.resource, entry.key))
            self.report.conflicts.append((entry, reason))
            await self._note(entry, reason)

    async def _note(self, entry: Entry, reason: str, resolution: str | None = None, **more: Any) -> None:
        text = json.dumps(asdict(entry) | more, ensure_ascii=False)
        place = (self._journal.id, entry.sequence, entry.resource, entry.key, entry.operation)
        await self._connection.execute(ADD_CONFLICT, *place, text, reason, resolution)

    async def _apply(self, entry: Entry) -> None:
        if (entry.resource, entry.key) in self._refused:
            raise Refused("une modification antérieure de la même ligne est en conflit")
        table = RESOURCES[entry.resource]
        present = await locked_row(self._connection, table, entry.key)
        wanted = None if entry.row is None else decode(table, entry.row)
        if wanted is None:
            await self._remove(table, entry, present)
        elif present is not None and content_hash(table, present) == content_hash(table, wanted):
            self.report.already += 1
        elif entry.operation == "insert":
            if present is not None:
                raise Refused("une autre ligne porte déjà cette clé")
            await put_row(self._connection, table, wanted, replace=False)
            self.report.applied += 1
        else:
            await self._change(table, entry, present, wanted)
        await self._keep_answer(table, entry)

    async def _change(self, table: Table, entry: Entry, present: Row | None, wanted: Row) -> None:
        if present is None:
            raise Refused("la ligne a été supprimée entre-temps")
        if not self._is_base(table, entry, present):
            raise Refused("la ligne a changé entre-temps")
        await put_row(self._connection, table, wanted, replace=True)
        self.report.applied += 1

    def _is_base(self, table: Table, entry: Entry, present: Row) -> bool:
        """Whether the row is the one that the entry changed: as it was, or as this replay has just left it."""
        if present["version"] > self._start:
            return True
        base = entry.base or {}
        same = base.get("hash") == content_hash(table, present)
        return same and ("version" not in base or base["version"] == present["version"])

    async def _remove(self, table: Table, entry: Entry, present: Row | None) -> None:
        base = (entry.base or {}).get("version")  # none if an entry before this one left the row
        buried = await self._connection.fetchval(BURIED, entry.resource, entry.key) or 0
        if present is None or (base is not None and base < buried <= self._start):
            self.report.already += 1  # gone already; a row made anew since then is another one
            return
        if not self._is_base(table, entry, present):
            image = json.dumps({c.name: str(present[c.name]) for c in stored_columns(table)}, ensure_ascii=False)
            await self._note(entry, "supprimée bien que modifiée entre-temps", "applied", image=image)
        await self._connection.execute(
            f"DELETE FROM {table.name} WHERE {key_column(table).name} = $1",  # noqa: S608 - names of our own tables
            entry.key,
        )
        self.report.applied += 1

    async def _keep_answer(self, table: Table, entry: Entry) -> None:
        """The answer that a repeat of the same Idempotency-Key gets from now on: the replayed one."""
        if entry.once is None or entry.member is None:
            return
        scope = (entry.member, entry.once["method"], entry.once["path"], entry.once["key"])
        answer, etag = '{"ok": true}', ""
        if entry.row is not None:
            row = await self._connection.fetchrow(
                f"SELECT {view_sql(table, 'one')} AS json, {ETAG} AS etag"  # noqa: S608 - names of our own tables
                f" FROM {table.name} WHERE {key_column(table).name} = $1",
                entry.key,
            )
            answer, etag = row["json"], row["etag"]
        fingerprint = bytes.fromhex(entry.once["fingerprint"])
        await self._connection.execute(KEEP_ANSWER, *scope, fingerprint, answer, etag, entry.key)


async def locked_row(connection: Any, table: Table, key: str) -> Row | None:
    """The row of a key, held until the transaction ends."""
    names = ", ".join(column.name for column in stored_columns(table))
    found = await connection.fetchrow(
        f"SELECT {names} FROM {table.name} WHERE {key_column(table).name} = $1 FOR UPDATE",  # noqa: S608 - our own names
        key,
    )
    return None if found is None else dict(found)


async def put_row(connection: Any, table: Table, row: Row, *, replace: bool) -> None:
    """Inserts a row, or gives the row of its key these values; number and version are the database's."""
    number = number_column(table)
    left_out = {"version", *([number.name] if number is not None else [])}
    names = [column.name for column in stored_columns(table) if column.name not in left_out]
    places = [f"${place}" for place in range(1, len(names) + 1)]
    if replace:
        pairs = ", ".join(f"{name} = {place}" for name, place in zip(names, places, strict=True))
        key = key_column(table).name
        sql = f"UPDATE {table.name} SET {pairs} WHERE {key} = {places[names.index(key)]}"  # noqa: S608 - our own names
    else:
        sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(places)})"  # noqa: S608 - our own names
    await connection.execute(sql, *(row[name] for name in names))
