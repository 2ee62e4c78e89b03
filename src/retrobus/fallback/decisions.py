"""What memory answers in Postgres' place: reads, and for each write the decision that Postgres would take.

A write is decided first and shown later: the journal must have it before a client sees it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from retrobus.fallback.answers import Answers
from retrobus.fallback.memory import Effect, Held, Memory, passes
from retrobus.model.resources import ALL, MEMBER, Resource
from retrobus.model.rows import Row, completed, now
from retrobus.model.wire import View
from retrobus.store.contract import (
    PIECE,
    Caller,
    Delete,
    Document,
    Filter,
    Image,
    Insert,
    Origin,
    Page,
    Query,
    Sink,
    Sought,
    Terms,
    Update,
    Write,
)
from retrobus.store.errors import (
    Conflict,
    FieldError,
    Invalid,
    NoAnswer,
    NotFound,
    Stale,
    Unauthenticated,
)
from retrobus.store.steps import LAST_ONE, has_values, loses_one

COPIED = 100
"""Rows that are copied at a time, so that other requests have their turn between them."""

TAKEN = "cette valeur est déjà prise."

Stamp = Callable[[Held | None], tuple[int, str]]
"""Gives a new state of a row its version and the last part of its ETag, from the state before it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A write that memory accepts: `effects` are all rows that it changes; none if nothing changes.

    `replayed` is the answer kept for the same Idempotency-Key: then nothing is done again.
    """

    operation: str
    resource: Resource
    key: str
    before: Held | None = None
    effects: tuple[Effect, ...] = ()
    replayed: Document | None = None

    @property
    def after(self) -> Held | None:
        """The row that the write leaves under its key."""
        own = (effect.held for effect in self.effects if (effect.resource, effect.key) == (self.resource, self.key))
        return next(own, None)


class MemoryStore:
    """Answers from rows in memory with the verdicts that Postgres gives."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.answers = Answers()
        self.identity = "00000000"
        self.origin = Origin("memory")
        self._highest_number: dict[Resource, int] = {}

    async def find(self, resource: Resource, query: Query, *, caller: Caller | None) -> Page:
        """One page of the rows that match."""
        self._admit(caller)
        return self.memory.of(resource).page(query, self.origin)

    async def copy(self, resource: Resource, query: Query, into: Sink, *, caller: Caller | None) -> Origin:
        """Every row that matches; what is written meanwhile replaces rows and changes none."""
        self._admit(caller)
        rows = self.memory.of(resource)
        page = rows.page(replace(query, after=None, limit=len(rows) + 1), self.origin)
        await into.begin()
        for start in range(0, len(page.documents), COPIED):
            await into.add(page.documents[start : start + COPIED])
        return page.origin

    async def get(
        self, resource: Resource, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key."""
        self._admit(caller)
        held = self.memory.of(resource).get(key)
        if held is None or not passes(held.row, filters):
            raise NotFound
        return self.document(resource, held, view)

    async def image(self, sought: Sought, *, filters: tuple[Filter, ...] = (), caller: Caller | None) -> Image:
        """One image of a row, with the tag that PostgreSQL gives it."""
        self._admit(caller)
        held = self.memory.of(sought.resource).get(sought.key)
        value = None if held is None or not passes(held.row, filters) else held.image(sought.column, sought.at)
        if value is None:
            raise NotFound
        tag = sha256(value).hexdigest()[:32]
        starts = range(0, max(len(value), 1), PIECE)
        return Image(None if tag in sought.known else [value[at : at + PIECE] for at in starts], tag, self.origin)

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member's row; the e-mail wins over a matricule that looks like it."""
        members = self.memory.of(MEMBER)
        key = member_id
        if identifier is not None:
            owners = members.owners({"email": identifier, "matricule": identifier})
            key = owners.get("email", owners.get("matricule"))
        held = None if key is None else members.get(key)
        return None if held is None else dict(held.row)

    def decide(self, write: Write, stamp: Stamp) -> Decision:
        """What the write does, with nothing done yet; raises what Postgres would."""
        self._admit(write.terms.caller)
        kept = self.answers.of(write.terms)
        if kept is not None:
            return Decision(write.operation, write.resource, write.key, replayed=kept)
        match write:
            case Insert():
                return self._insert(write, stamp)
            case Update():
                return self._update(write, stamp)
            case Delete():
                return self._delete(write, stamp)

    def answer(self, decision: Decision) -> Document:
        """What the client of a decided write is told."""
        if decision.replayed is not None:
            return replace(decision.replayed, origin=self.origin)
        held = decision.after or decision.before
        if held is None:
            raise AssertionError("a write leaves or had a row")
        return self.document(decision.resource, held)

    def orphans(self, resource: Resource, key: str, stamp: Stamp, author: str | None = None) -> Iterator[Effect]:
        """Rows whose reference to a deleted row becomes null, as the foreign key says; `author` deleted it."""
        for other in ALL:
            links = [link for link in other.table.foreign_keys if link.column.table is resource.table]
            for column in (link.parent.name for link in links):
                for held in self.memory.of(other).referring(column, key):
                    version, tag = stamp(held)
                    stamps = {"version": version, "updated_at": now()} | ({"updated_by": author} if author else {})
                    row = held.row | {column: None} | stamps
                    yield Effect(other, row[other.key], Held(row, tag))

    def _admit(self, caller: Caller | None) -> None:
        """Access as memory knows it: 503, not 401, for a member whom memory does not know, but Postgres may."""
        if caller is None:
            return
        held = self.memory.of(MEMBER).get(caller.id)
        if held is None and caller.id not in self.memory.deleted_members:
            raise NoAnswer
        if held is None or held.row["token_epoch"] != caller.epoch or held.row["status"] != "active":
            raise Unauthenticated

    def document(self, resource: Resource, held: Held, view: View = "one") -> Document:
        """A held row as an answer."""
        return Document(held.text(resource, view), self._etag(held), held.row[resource.key], self.origin)

    def _etag(self, held: Held) -> str:
        return f'"{self.identity[:8]}-{held.tag}"'

    def _insert(self, write: Insert, stamp: Stamp) -> Decision:
        resource = write.resource
        if self.memory.of(resource).get(write.key) is not None:
            raise Conflict(TAKEN, resource.key)
        self._check_values(resource, write.values, None)
        version, tag = stamp(None)
        row = completed(resource, write.values | {"version": version, "updated_by": write.terms.author})
        if resource.number is not None:
            row[resource.number] = self._next_number(resource, resource.number)
        return Decision("insert", resource, write.key, None, (Effect(resource, write.key, Held(row, tag)),))

    def _update(self, write: Update, stamp: Stamp) -> Decision:
        resource, before = write.resource, self._matched(write.resource, write.key, write.terms)
        changes = write.changes(before.row)
        if not changes:
            return Decision("update", resource, write.key, before)
        after = before.row | changes
        self._keep_one(resource, before.row, after)
        self._check_values(resource, changes, write.key)
        if resource is MEMBER and "token_epoch" not in changes and {"role", "status"} & changes.keys():
            after["token_epoch"] = before.row["token_epoch"] + 1
        version, tag = stamp(before)
        after |= {"version": version, "updated_at": now(), "updated_by": write.terms.author}
        return Decision("update", resource, write.key, before, (Effect(resource, write.key, Held(after, tag)),))

    def _delete(self, write: Delete, stamp: Stamp) -> Decision:
        resource, before = write.resource, self._matched(write.resource, write.key, write.terms)
        if write.check is not None:
            write.check(dict(before.row))
        self._keep_one(resource, before.row, None)
        orphans = self.orphans(resource, write.key, stamp, write.terms.author)
        effects = (Effect(resource, write.key, None), *orphans)
        return Decision("delete", resource, write.key, before, effects)

    def _matched(self, resource: Resource, key: str, terms: Terms) -> Held:
        held = self.memory.of(resource).get(key)
        if held is None:
            raise NotFound
        if terms.match is not None and not terms.match.holds(self._etag(held)):
            raise Stale
        return held

    def _check_values(self, resource: Resource, values: Row, own: str | None) -> None:
        """Refuses a unique value that another row has, and a reference to a row that is not there."""
        for column, owner in self.memory.of(resource).owners(values).items():
            if owner != own:
                raise Conflict(TAKEN, column)
        for link in resource.table.foreign_keys:
            value = values.get(link.parent.name)
            target = next(other for other in ALL if other.table is link.column.table)
            if value is not None and self.memory.of(target).get(value) is None:
                raise Invalid([FieldError(link.parent.name, "désigne une ligne qui n'existe pas")])

    def _keep_one(self, resource: Resource, before: Row, after: Row | None) -> None:
        if not loses_one(resource, before, after):
            return
        others = (held.row for held in self.memory.of(resource) if held.row[resource.key] != before[resource.key])
        if not any(has_values(row, resource.keep_one) for row in others):
            raise Conflict(LAST_ONE, "role")

    def _next_number(self, resource: Resource, column: str) -> int:
        """A number above all that memory ever gave or holds; Postgres gives the row its own at the replay."""
        held = (held.row[column] or 0 for held in self.memory.of(resource))
        self._highest_number[resource] = max(self._highest_number.get(resource, 0), *held, 0) + 1
        return self._highest_number[resource]
