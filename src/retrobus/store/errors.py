"""The errors of a store: each is an outcome of a call that is not its answer."""

from dataclasses import dataclass, field
from typing import Literal

from retrobus.store.contract import Origin

Outcome = Literal["not_applied", "unknown"]


class StoreError(Exception):
    """An outcome of a verb that is not its answer."""

    origin: Origin | None = None
    """Who said so, when it was not Postgres: a row that memory does not know may exist."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field, by its column name."""

    field: str
    message: str


class Unauthenticated(StoreError):
    """The caller's token no longer gives access."""


class Forbidden(StoreError):
    """The caller may not do this."""


class NotFound(StoreError):
    """No such row."""


class Conflict(StoreError):
    """A key or unique value is taken, or a rule about the whole table would break."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Stale(StoreError):
    """The row moved on since the client read it (If-Match)."""


class KeyReused(StoreError):
    """The Idempotency-Key was used for another request."""


class InProgress(StoreError):
    """A request with the same Idempotency-Key is still running."""


@dataclass(eq=False)
class Invalid(StoreError):
    """Values that the table refuses."""

    errors: list[FieldError] = field(default_factory=list)


@dataclass(eq=False)
class Unavailable(StoreError):
    """Postgres cannot be asked; `outcome` says what became of a write, `sent` whether its COMMIT was on its way."""

    outcome: Outcome = "not_applied"
    sent: bool = False
    nonce: int | None = None
    """The nonce of a write that Postgres may have applied: its row holds this number until another write of the row."""


@dataclass(eq=False)
class Busy(StoreError):
    """Postgres lives but could not do this now: lock, pool, deadlock, statement timeout."""

    outcome: Outcome = "not_applied"


@dataclass(eq=False)
class ReadOnly(StoreError):
    """Postgres answers reads and refuses writes: its disk is full, or it is a standby."""

    outcome: Outcome = "not_applied"


class SchemaOutdated(StoreError):
    """A table or column that this code needs is not there: the migrations have not run."""


class MissingRight(StoreError):
    """The role that serves lacks a right in Postgres; the text is the server's, and names the object."""


class Resync(StoreError):
    """A follower of changes must forget what it holds: its cursor is not of this database, caller or question."""


class TooManyStreams(StoreError):
    """This process serves as many streams of changes as it may, or is about to stop."""


class TooManyExports(StoreError):
    """This process prepares or sends as many files as it may."""


class NoRoom(StoreError):
    """The disk of the service does not take the rows of a file that a client asked for."""


class StatementLost(StoreError):
    """The server process that answered does not have the prepared statement: a pooler changed it under the service."""


class JournalFailed(StoreError):
    """The disk did not take the write's journal entry: nothing of it was done."""


class NoAnswer(Unavailable):
    """Postgres is away, and memory does not know enough to answer in its place."""
