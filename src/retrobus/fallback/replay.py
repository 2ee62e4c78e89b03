"""Brings a journal into Postgres: in order, in one transaction, and never over what changed there meanwhile.

An entry is applied if Postgres still has what the entry was based on. For example: memory took "event e1: title A" on
the row of version 17. If e1 still has version 17 and the same content, the update is applied. If an operator changed
e1 in psql meanwhile, the entry becomes a conflict, and `retrobus resync` asks the operator. A delete is the exception:
it was acknowledged, so it wins, and the row that it removed is kept with the settled conflict.
"""

from collections.abc import Mapping, Sequence

from retrobus import logbook
from retrobus.database import identity
from retrobus.database.errors import state_of
from retrobus.database.pooler import OwnNames
from retrobus.database.session import LONG_TRANSACTION
from retrobus.fallback import conflicts
from retrobus.fallback.conflicts import Place
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.fallback.parts import ReplayPart, Report
from retrobus.store.confirmed import Asked, confirmed

IDENTITY = "SELECT id::text FROM database_identity"
PROGRESS = "SELECT journal::text, sequence FROM replay WHERE journal = ANY($1::uuid[])"
NOTE_PROGRESS = """INSERT INTO replay (journal, sequence) VALUES ($1, $2)
ON CONFLICT (journal) DO UPDATE SET sequence = greatest(replay.sequence, excluded.sequence), at = now()"""

ALONE = f"""SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s';
SET LOCAL idle_in_transaction_session_timeout = '60s'; {LONG_TRANSACTION};
SELECT pg_advisory_xact_lock(hashtext('retrobus:replay')), set_config('retrobus.cause', 'api', true);
LOCK TABLE vehicle, event, member IN SHARE ROW EXCLUSIVE MODE"""
"""Keeps every other writer out until the replay has ended."""

TOGETHER = 128
"""Entries in one savepoint. If Postgres refuses one, each half has a savepoint of its own, down to that entry."""

UNFIT_STATES = frozenset({"22", "23", "54"})
UNFIT = (LookupError, TypeError, ValueError)
"""Classes of SQLSTATEs, and other errors, that come back however often the entry is tried: the entry is the cause."""


class Replay:
    """One transaction's worth of a journal.

    Promise: each entry is applied, found to be there, or kept as a conflict; a second replay does nothing again.
    """

    def __init__(
        self, connection: OwnNames, journal: Journal, asked: Asked | None = None, most: int | None = None
    ) -> None:
        """Replays at most `most` entries that Postgres does not have yet; all of them without it."""
        self.report = Report()
        self._connection = connection
        self._asked = asked
        self._journal = journal
        self._most = most
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
            await self._bring_in(refusal, done)
            reached = {entry.journal: entry.sequence for entry in self._entries}
            await self._connection.executemany(NOTE_PROGRESS, reached.items())
        for entry in self.report.overruled:
            logbook.delete_won(entry.resource, entry.key)
        for entry, reason in self.report.conflicts:
            logbook.conflict(entry.resource, entry.key, entry.operation, reason)
        return max((entry.sequence for entry in self._entries), default=0)

    async def _bring_in(self, refusal: str | None, done: Mapping[str, int]) -> None:
        """Brings in the entries that are not `done`, `most` of them; later entries are left to another replay."""
        todo = [entry for entry in self._entries if entry.sequence > done.get(entry.journal, 0)]
        if self._most is not None and len(todo) > self._most:
            beyond, todo = todo[self._most].sequence, todo[: self._most]
            self._entries = [entry for entry in self._entries if entry.sequence < beyond]
        if refusal is not None:
            await self._refuse(todo, refusal)
            return
        for start in range(0, len(todo), TOGETHER):
            await self._together(todo[start : start + TOGETHER])

    async def _together(self, entries: Sequence[Entry]) -> None:
        """Applies entries in one savepoint; if Postgres refuses one, the halves, each in a savepoint of its own."""
        part = self._part()
        await self._connection.execute("SAVEPOINT part")
        try:
            await part.bring_in(entries)
        except Exception as error:
            reason = _reason(error)
            if reason is None:
                raise
        else:
            await self._connection.execute("RELEASE SAVEPOINT part")
            self._take(part)
            return
        await self._connection.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
        if len(entries) == 1:
            await self._refuse(entries, reason)
        else:
            middle = len(entries) // 2
            await self._together(entries[:middle])
            await self._together(entries[middle:])

    async def _refuse(self, entries: Sequence[Entry], reason: str) -> None:
        """Keeps entries as conflicts."""
        part = self._part()
        for entry in entries:
            await part.refuse(entry, reason)
        self._take(part)

    def _part(self) -> ReplayPart:
        return ReplayPart(self._connection, self._journals, self._in_conflict)

    def _take(self, part: ReplayPart) -> None:
        """Counts what a part did, now that it stands."""
        self.report.add(part.report)
        self._in_conflict = part.in_conflict

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


def _reason(error: Exception) -> str | None:
    """Why the entry is a conflict; None if the error says nothing about the entry (a lost line, a full disk)."""
    if state_of(error)[:2] in UNFIT_STATES or isinstance(error, UNFIT):
        return f"refusé par la base ({state_of(error) or type(error).__name__})"
    return None
