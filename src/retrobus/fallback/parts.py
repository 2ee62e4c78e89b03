"""A few entries of a journal in one savepoint: each applied, found to be there, or kept as a conflict; in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrobus.database import sql
from retrobus.database.pooler import OwnNames
from retrobus.fallback import conflicts
from retrobus.fallback.conflicts import Place
from retrobus.fallback.entries import Entry
from retrobus.fallback.present import Present
from retrobus.model.resources import BY_NAME, Resource
from retrobus.model.rows import Row, content_hash, decode, encode


@dataclass(slots=True)
class Report:
    """What a replay did."""

    applied: int = 0
    already: int = 0
    """Entries that changed nothing: Postgres had them."""

    conflicts: list[tuple[Entry, str]] = field(default_factory=list)
    overruled: list[Entry] = field(default_factory=list)
    """Deletes that won over a row that had changed meanwhile; the row is kept with a settled conflict."""

    @property
    def entries(self) -> int:
        """How many entries were replayed."""
        return self.applied + self.already + len(self.conflicts)

    def add(self, later: "Report") -> None:
        """Adds what a later transaction of the same journal did."""
        self.applied += later.applied
        self.already += later.already
        self.conflicts += later.conflicts
        self.overruled += later.overruled


class NotApplicable(Exception):
    """Postgres has changed since the entry was written; the text is the reason that the operator reads."""


class ReplayPart:
    """A few entries. `in_conflict` holds rows with an entry in conflict, and whether they never came to Postgres."""

    def __init__(self, connection: OwnNames, journals: list[str], in_conflict: Mapping[Place, bool]) -> None:
        self.report = Report()
        self.in_conflict = dict(in_conflict)
        self._connection = connection
        self._journals = journals
        self._present = Present(connection)

    async def bring_in(self, entries: Sequence[Entry]) -> None:
        """Carries out the entries; raises what Postgres raises, and then none of them may count as done."""
        await self._present.read(entries)
        for entry in entries:
            try:
                await self._apply(entry)
            except NotApplicable as reason:
                await self.refuse(entry, str(reason))
        await self._present.write_answers()

    async def refuse(self, entry: Entry, reason: str) -> None:
        """Keeps the entry as a conflict."""
        place = (entry.resource, entry.key)
        self.in_conflict[place] = self.in_conflict.get(place, False) or entry.operation == "insert"
        self.report.conflicts.append((entry, reason))
        await conflicts.note(self._connection, entry, reason)

    async def _apply(self, entry: Entry) -> None:
        resource = BY_NAME[entry.resource]
        if self._present.is_answered(entry):
            self.report.already += 1  # Postgres had done it when its answer was lost, and the client asked again
            return
        present = await self._present.row(resource, entry.key)
        if entry.row is None:
            await self._remove(resource, entry, present)
        elif (entry.resource, entry.key) in self.in_conflict:
            raise NotApplicable("une modification antérieure de la même ligne est en conflit")
        else:
            await self._put(resource, entry, present, decode(resource, entry.row))

    async def _put(self, resource: Resource, entry: Entry, present: Row | None, wanted: Row) -> None:
        if present is not None and content_hash(resource, present) == content_hash(resource, wanted):
            await self._present.keep_answer(resource, entry)
            self.report.already += 1
            return
        if entry.operation == "insert":
            if present is not None:
                raise NotApplicable("une autre ligne porte déjà cette clé")
        elif present is None:
            raise NotApplicable("la ligne a été supprimée entre-temps")
        elif not _is_base(resource, entry, present):
            raise NotApplicable("la ligne a changé entre-temps")
        await self._present.put(resource, entry, wanted)
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
            await self._present.remove(resource, entry)
            self.report.applied += 1
        if self.in_conflict.pop((entry.resource, entry.key), None) is not None:
            await conflicts.overtake(self._connection, self._journals, entry)
        await self._present.keep_answer(resource, entry)

    async def _is_meant(self, resource: Resource, entry: Entry, present: Row) -> bool:
        """Whether the row is the one that the delete was about: it was not deleted and created again meanwhile."""
        if self.in_conflict.get((entry.resource, entry.key)):
            return await self._present.is_left_by(resource, entry.key, (entry.base or {}).get("nonce"))
        if _is_base(resource, entry, present):
            return True
        known: int = (entry.base or {}).get("version", 0)
        return await sql.latest_tombstone(self._connection, resource, entry.key) <= known


def _is_base(resource: Resource, entry: Entry, present: Row) -> bool:
    """Whether the row is the one that the entry changed: as Postgres had it, or as the entry before left it."""
    base = entry.base or {}
    untouched = "sequence" in base or base.get("version") == present["version"]
    return untouched and base.get("hash") == content_hash(resource, present)
