"""What every store promises: find, get and write over any resource, each one transaction, and the errors they raise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from retrobus.model.resources import Resource
from retrobus.model.wire import View

Row = dict[str, Any]
"""A row by column name; jsonb columns hold JSON text, timestamps are aware and in UTC."""

Durability = Literal["journal", "memory"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The member whom a token names, as the token says; the store proves that it still holds."""

    id: str
    epoch: int
    role: str


@dataclass(frozen=True, slots=True)
class Once:
    """A write that a client may repeat: its Idempotency-Key, where it was sent, and what it said."""

    key: str
    method: str
    path: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition of a list; `fold` compares without regard to ASCII case.

    `json` on `extras`: not made invisible. `announced` on `status`: published, or archived by the last change, which
    found the row public: the public was never shown what changed later. Memory does not know what the public saw, so
    it takes published rows alone.
    """

    column: str
    operator: Literal["=", ">=", "<", "json", "announced"]
    value: Any
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows a list holds: every filter, after the cursor's row, at most `limit`."""

    view: View = "list"
    filters: tuple[Filter, ...] = ()
    after: tuple[Any, ...] | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an answer comes from, for its headers."""

    source: Literal["postgres", "memory"] = "postgres"
    as_of: str | None = None
    origin: str | None = None


POSTGRES = Origin()


@dataclass(frozen=True, slots=True)
class Document:
    """One row as JSON in UTF-8, with its ETag (quoted) and key.

    Bytes, because that is how PostgreSQL sends it and HTTP takes it: a text in between costs half of a list.
    """

    json: bytes
    etag: str
    key: str
    origin: Origin = POSTGRES
    durability: Durability | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: each row's JSON in UTF-8, and the sort values of the last row when more follow."""

    documents: list[bytes]
    next: tuple[Any, ...] | None
    origin: Origin = POSTGRES


class Sink(Protocol):
    """Takes the rows of a copy, in the order of lists."""

    async def begin(self) -> None:
        """The copy begins, perhaps again after a connection broke: what was taken before is to be forgotten."""

    async def add(self, documents: Sequence[bytes]) -> None:
        """Takes the next rows, each as JSON in UTF-8."""


@dataclass(frozen=True, slots=True)
class Sought:
    """One image of a row: its column, in a list of images the entry `at` (from 0), and tags that the reader has."""

    resource: Resource
    key: str
    column: str
    at: int | None = None
    known: tuple[str, ...] = ()


PIECE = 65_536
"""Bytes of an image that are read and decoded at a time: tenths of a millisecond, for which other requests wait."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a row holds as an image, an address or a data URL; `pieces` is None if the reader knows its tag already.

    Joined, the pieces are the value. The tag is a sum of the value: another version of the row with the same image has
    the same tag.
    """

    pieces: Sequence[bytes] | None
    tag: str
    origin: Origin = POSTGRES

    @property
    def value(self) -> bytes | None:
        """The whole value: a copy, in one step."""
        return None if self.pieces is None else b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Precondition:
    """The ETags that If-Match names; `*` matches any existing row."""

    etags: tuple[str, ...]

    def holds(self, etag: str) -> bool:
        """Whether the row's current ETag is among them."""
        return "*" in self.etags or etag in self.etags


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms a row is written: for whom, only if it still matches, once only."""

    caller: Caller | None
    match: Precondition | None = None
    once: Once | None = None

    @property
    def author(self) -> str:
        """What `updatedBy` says of the row; `api` for the service's own write, as for a password's better hash."""
        return "api" if self.caller is None else self.caller.id


Change = Row | Callable[[Row], Row]
"""The columns to change; or a function from the locked row to them, which refuses by raising."""

Check = Callable[[Row], None]
"""Looks at the locked row; refuses by raising."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Adds a row; Conflict if its key or a unique value is taken."""

    operation: ClassVar = "insert"
    resource: Resource
    values: Row
    terms: Terms

    @property
    def key(self) -> str:
        """The key of the new row."""
        key: str = self.values[self.resource.key]
        return key


@dataclass(frozen=True, slots=True)
class Update:
    """Changes the row as `change` says; the document is the row afterwards."""

    operation: ClassVar = "update"
    resource: Resource
    key: str
    change: Change
    terms: Terms

    def changes(self, row: Row) -> Row:
        """What differs from this row."""
        wanted = self.change(dict(row)) if callable(self.change) else self.change
        return {name: value for name, value in wanted.items() if row[name] != value}


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes the row and leaves a tombstone; the document is the last state of the row."""

    operation: ClassVar = "delete"
    resource: Resource
    key: str
    terms: Terms
    check: Check | None = None


Write = Insert | Update | Delete


class Store(Protocol):
    """What a store does. With a caller, each call proves in its own transaction that this member still has access."""

    @property
    def origin(self) -> Origin:
        """Where an answer that is given now comes from."""

    async def find(self, resource: Resource, query: Query, *, caller: Caller | None) -> Page:
        """One page of the rows that match, in the resource's order."""

    async def copy(self, resource: Resource, query: Query, into: Sink, *, caller: Caller | None) -> Origin:
        """Every row that matches, as it was at one instant, whatever is written meanwhile; no limit and no cursor."""

    async def get(
        self, resource: Resource, key: str, *, view: View, filters: tuple[Filter, ...] = (), caller: Caller | None
    ) -> Document:
        """The row with this key; NotFound if there is none or a filter hides it."""

    async def image(self, sought: Sought, *, filters: tuple[Filter, ...] = (), caller: Caller | None) -> Image:
        """One image of a row; NotFound if there is none, no such row, or a filter hides it."""

    async def write(self, write: Write) -> Document:
        """Does the write in one transaction: all of it, or nothing and an error says why."""

    async def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        """The member's row, secrets included, by e-mail or matricule (ASCII case ignored), or by id."""
