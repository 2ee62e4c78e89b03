"""Brings a journal into Postgres: in order, in one transaction, and never over what changed there meanwhile.

An entry is applied if Postgres still has what the entry was based on. For example: memory took "event e1: title A" on
the row of version 17. If e1 still has version 17 and the same content, the update is applied. If an operator changed
e1 in psql meanwhile, the entry becomes a conflict, and `retrobus resync` asks the operator. A delete is the exception:
it was acknowledged, so it wins, and the row that it removed is kept with the settled conflict.
"""

from dataclasses import dataclass, field

from retrobus import logbook
from retrobus.database import identity, sql
from retrobus.database.errors import state_of
from retrobus.database.pooler import OwnNames
from retrobus.database.session import LONG_TRANSACTION
from retrobus.fallback import conflicts
from retrobus.fallback.conflicts import Place
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.model.resources import BY_NAME, Resource
from retrobus.model.rows import Row, content_hash, decode, encode
from retrobus.store import statements
from retrobus.store.confirmed import Asked, confirmed

ACTOR = "SELECT set_config('retrobus.actor', $1, true)"
IDENTITY = "SELECT id::text FROM database_identity"
PROGRESS = "SELECT journal::text, sequence FROM replay WHERE journal = ANY($1::uuid[])"
NOTE_PROGRESS = """INSERT INTO replay (journal, sequence) VALUES ($1, $2)
ON CONFLICT (journal) DO UPDATE SET sequence = greatest(replay.sequence, excluded.sequence), at = now()"""
KEEP_ANSWER = """INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"""
ANSWERED = """SELECT EXISTS (SELECT FROM idempotency
WHERE member_id = $1 AND method = $2 AND path = $3 AND key = $4 AND fingerprint = $5)"""

ALONE = f"""SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s';
SET LOCAL idle_in_transaction_session_timeout = '60s'; {LONG_TRANSACTION};
SELECT pg_advisory_xact_lock(hashtext('retrobus:replay')), set_config('retrobus.cause', 'api', true);
LOCK TABLE vehicle, event, member IN SHARE ROW EXCLUSIVE MODE"""
"""Keeps every other writer out until the replay has ended."""

UNFIT_STATES = frozenset({"22", "23", "54"})
UNFIT = (LookupError, TypeError, ValueError)
"""Classes of SQLSTATEs, and other errors, that come back however often the entry is tried: the entry is the cause."""


@dataclass(slots=True)
class Report:
    """What a replay did."""

    applied: int = 0
    already: int = 0
    """Entries that changed nothing: Postgres had them."""

    conflicts: list[tuple[Entry, str]] = field(default_factory=list)
    overruled: list[Entry] = field(default_factory=list)
    """Deletes that won over a row that had changed meanwhile; the row is kept with a settled conflict."""

    def add(self, later: "Report") -> None:
        """Adds what a later transaction of the same journal did."""
        self.applied += later.applied
        self.already += later.already
        self.conflicts += later.conflicts
        self.overruled += later.overruled


class NotApplicable(Exception):
    """Postgres has changed since the entry was written; the text is the reason that the operator reads."""


class Replay:
    """One transaction's worth of a journal.

    Promise: each entry is applied, found to be there, or kept as a conflict; a second replay does nothing again.
    """

    def __init__(self, connection: OwnNames, journal: Journal, asked: Asked | None = None) -> None:
        self.report = Report()
        self._connection = connection
        self._asked = asked
        self._journal = journal
        self._entries = list(journal.entries)
        self._journals = sorted({entry.journal for entry in self._entries})
        self._in_conflict: dict[Place, bool] = {}
        """Rows with an entry in conflict, and whether the journal's own row never came to Postgres."""

    async def run(self) -> int:
        """Replays what Postgres does not have yet and commits; the last sequence that it has now.

        Unconfirmed if a synchronous standby may lack it: the journal stays.
        """
        async with confirmed(self._connection, self._asked):
            await self._connection.execute(ALONE)
            self._in_conflict = await conflicts.refused(self._connection, self._journals)
            refusal = await self._refusal()
            done = {row["journal"]: row["sequence"] for row in await self._connection.fetch(PROGRESS, self._journals)}
            for entry in self._entries:
                if entry.sequence > done.get(entry.journal, 0):
                    await self._one(entry, refusal)
            reached = {entry.journal: entry.sequence for entry in self._entries}
            await self._connection.executemany(NOTE_PROGRESS, reached.items())
        for entry in self.report.overruled:
            logbook.delete_won(entry.resource, entry.key)
        for entry, reason in self.report.conflicts:
            logbook.conflict(entry.resource, entry.key, entry.operation, reason)
        return max((entry.sequence for entry in self._entries), default=0)

    async def _refusal(self) -> str | None:
        """Why no entry of this journal may be applied to this database; None if all is well."""
        if self._journal.refusal is not None:
            return f"journal {self._journal.refusal}"
        if self._journal.identity is None:
            return f"journal sans base connue (origine {self._journal.origin})"
        if await self._connection.fetchval(IDENTITY) != self._journal.identity:
            return "journal d'une autre base"
        if not await identity.is_at_home(self._connection):
            return "base restaurée ou copiée depuis"
        return None

    async def _one(self, entry: Entry, refusal: str | None) -> None:
        """Applies an entry in a savepoint of its own, or keeps it as a conflict."""
        reason = refusal
        if reason is None:
            try:
                async with self._connection.transaction():
                    await self._connection.execute(ACTOR, entry.member or "")
                    await self._apply(entry)
            except Exception as error:
                reason = _reason(error)
                if reason is None:
                    raise
        if reason is not None:
            place = (entry.resource, entry.key)
            self._in_conflict[place] = self._in_conflict.get(place, False) or entry.operation == "insert"
            self.report.conflicts.append((entry, reason))
            await conflicts.note(self._connection, entry, reason)

    async def _apply(self, entry: Entry) -> None:
        resource = BY_NAME[entry.resource]
        if await self._is_answered(entry):
            self.report.already += 1  # Postgres had done it when its answer was lost, and the client asked again
            return
        present = await sql.row_of(self._connection, resource, entry.key, lock=True)
        if entry.row is None:
            await self._remove(resource, entry, present)
        elif (entry.resource, entry.key) in self._in_conflict:
            raise NotApplicable("une modification antérieure de la même ligne est en conflit")
        else:
            await self._put(resource, entry, present, decode(resource, entry.row))
        await self._keep_answer(resource, entry)

    async def _put(self, resource: Resource, entry: Entry, present: Row | None, wanted: Row) -> None:
        if present is not None and _content(resource, present) == _content(resource, wanted):
            self.report.already += 1
            return
        if entry.operation == "insert":
            if present is not None:
                raise NotApplicable("une autre ligne porte déjà cette clé")
        elif present is None:
            raise NotApplicable("la ligne a été supprimée entre-temps")
        elif not _is_base(resource, entry, present):
            raise NotApplicable("la ligne a changé entre-temps")
        await sql.put_row(self._connection, resource, wanted, replace=present is not None)
        self.report.applied += 1

    async def _remove(self, resource: Resource, entry: Entry, present: Row | None) -> None:
        """Deletes the row that the client meant, even if it changed meanwhile; not a new row under the same key."""
        if present is None or not await self._is_meant(resource, entry, present):
            self.report.already += 1
        else:
            if not _is_base(resource, entry, present):
                image = encode(resource, present)
                reason = "supprimée bien que modifiée entre-temps"
                await conflicts.note(self._connection, entry, reason, "applied", image=image)
                self.report.overruled.append(entry)
            await sql.delete_row(self._connection, resource, entry.key)
            self.report.applied += 1
        if self._in_conflict.pop((entry.resource, entry.key), None) is not None:
            await conflicts.overtake(self._connection, self._journals, entry)

    async def _is_meant(self, resource: Resource, entry: Entry, present: Row) -> bool:
        """Whether the row is the one that the delete was about: it was not deleted and created again meanwhile."""
        if self._in_conflict.get((entry.resource, entry.key)):
            return False
        if _is_base(resource, entry, present):
            return True
        known: int = (entry.base or {}).get("version", 0)
        return await sql.latest_tombstone(self._connection, resource, entry.key) <= known

    async def _is_answered(self, entry: Entry) -> bool:
        if entry.once is None:
            return False
        fingerprint = bytes.fromhex(entry.once["fingerprint"])
        found: bool = await self._connection.fetchval(ANSWERED, *_scope(entry, entry.once), fingerprint)
        return found

    async def _keep_answer(self, resource: Resource, entry: Entry) -> None:
        """Keeps the answer that a client gets who repeats the write with the same Idempotency-Key."""
        if entry.once is None:
            return
        answer, etag = '{"ok": true}', ""
        if entry.row is not None:
            statement = statements.get(resource, "one", (), access=False)
            [row] = await self._connection.fetch(statement.sql, entry.key)
            answer, etag = row["json"].decode(), row["etag"]
        fingerprint = bytes.fromhex(entry.once["fingerprint"])
        place = _scope(entry, entry.once)
        await self._connection.execute(KEEP_ANSWER, *place, fingerprint, answer, etag, entry.key)


def _reason(error: Exception) -> str | None:
    """Why the entry is a conflict; None if the error says nothing about the entry (a lost line, a full disk)."""
    if isinstance(error, NotApplicable):
        return str(error)
    if state_of(error)[:2] in UNFIT_STATES or isinstance(error, UNFIT):
        return f"refusé par la base ({state_of(error) or type(error).__name__})"
    return None


def _scope(entry: Entry, once: dict[str, str]) -> tuple[str, str, str, str]:
    """Where an Idempotency-Key counts."""
    return entry.member or "", once["method"], once["path"], once["key"]


def _content(resource: Resource, row: Row) -> str:
    return content_hash(resource, row)


def _is_base(resource: Resource, entry: Entry, present: Row) -> bool:
    """Whether the row is the one that the entry changed: as Postgres had it, or as the entry before left it."""
    base = entry.base or {}
    untouched = "sequence" in base or base.get("version") == present["version"]
    return untouched and base.get("hash") == _content(resource, present)
