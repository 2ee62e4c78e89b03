"""One entry of the journal: a write that a client was told is done, and that Postgres does not have yet."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from retrobus.fallback.decisions import Decision
from retrobus.fallback.memory import Held
from retrobus.model.resources import Resource
from retrobus.model.rows import Row, content_hash, encode, encoded
from retrobus.model.wire import moment
from retrobus.store.contract import Terms


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged write: what it did, on what it was based, and whose it was."""

    sequence: int
    at: str
    resource: str
    key: str
    operation: str
    row: dict[str, Any] | None
    base: dict[str, Any] | None
    """The row as it was before this entry: its `version`, its content `hash`, the `sequence` of the entry before it.

    The base of a delete has the `nonce` of an earlier write of the row, if the outcome of that write is unknown.

    The base of an update has the old `values` of the changed columns, without images and secrets. An operator who
    decides about a conflict reads them with `retrobus resync --show`.
    """

    member: str | None
    once: dict[str, str] | None = None
    journal: str = ""
    """The id of the journal that numbered it."""


def tag_of(version: int, sequence: int) -> str:
    """How an ETag names a state of a row that the journal has and Postgres has not."""
    return f"{version}-j{sequence}"


def journaled(unknown: int, sequence: int, before: Held | None) -> tuple[int, str]:
    """Version and tag of the state that an entry leaves of a row.

    The version that the row had in Postgres stays, so that the replay knows what the first change met; `unknown` is
    the version of a row that Postgres never had. For example the fourth entry changes a row of version 17: `17-j4`.
    """
    version = unknown if before is None else before.row["version"]
    return version, tag_of(version, sequence)


def entry_of(decision: Decision, terms: Terms, *, sequence: int, journal: str) -> Entry:
    """The entry of a write that memory accepted."""
    after, once = decision.after, terms.once
    said = {} if once is None else {"key": once.key, "method": once.method, "path": once.path}
    return Entry(
        sequence=sequence,
        at=moment(datetime.now(UTC)),
        resource=decision.resource.name,
        key=decision.key,
        operation=decision.operation,
        row=None if after is None else encode(decision.resource, after.row),
        base=_base(decision),
        member=None if terms.caller is None else terms.caller.id,
        once=None if once is None else said | {"fingerprint": once.fingerprint.hex()},
        journal=journal,
    )


def noting(entry: Entry, nonce: int | None) -> Entry:
    """The entry of a delete with the nonce of an earlier write of its row that was answered `unknown`, if there is one.

    For example a POST was cut off, and the client made and deleted the same key in memory. If Postgres applied the POST
    all the same, its row stands in the way of the second POST; the delete meant it too.
    """
    if nonce is None or entry.operation != "delete":
        return entry
    return replace(entry, base=(entry.base or {}) | {"nonce": nonce})


def _base(decision: Decision) -> dict[str, Any] | None:
    """What the write changed: the row as Postgres had it, and the entry before this one if that changed it already."""
    before = decision.before
    if before is None:
        return None
    found = {"hash": content_hash(decision.resource, before.row), "version": before.row["version"]}
    _, journaled, sequence = before.tag.partition("-j")
    values = {} if decision.after is None else {"values": _replaced(decision.resource, before.row, decision.after.row)}
    return found | values | ({"sequence": int(sequence)} if journaled else {})


def _replaced(resource: Resource, before: Row, after: Row) -> Row:
    """What an update replaced, as JSON can hold it."""
    apart = {*resource.machinery, *resource.images, *resource.secret}
    changed = (c for c in resource.columns if c.name not in apart and before[c.name] != after[c.name])
    return {column.name: encoded(column, before[column.name]) for column in changed}
