"""How far a follower has read, as the text that it keeps between two requests."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from retrobus.changes.snapshots import Look

LONGEST = 8192
"""Characters of a cursor, at most: it names every transaction that was running."""

HIGHEST = 2**63
MARK = 12
"""Characters of the hashes in a cursor."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a follower is told of: `names` of resources, as the public sees them or with all columns.

    Of members: all of them, or of the caller's own row alone if `own` is its id.
    """

    names: tuple[str, ...]
    public: bool = False
    own: str | None = None

    def origin(self, seen: Look) -> str:
        """What a cursor is good for: this scope, in this database, on this timeline, since its last erasure."""
        told = [seen.identity, seen.marker, seen.timeline, self.names, self.public, self.own]
        return _hash(json.dumps(told))


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a follower holds: every change up to version `highest`, but those of the transactions in `late`.

    Each of these ran when the follower read. What it commits has versions above the number that stands beside it.
    `place`: the follower is in the middle of a reading, at this version; it holds the above once that ends. `first`: it
    is the reading of everything, in which no deletion is told.
    """

    origin: str
    highest: int = 0
    late: dict[int, int] = field(default_factory=dict)
    place: int | None = None
    first: bool = False

    def start(self, running: frozenset[int]) -> int:
        """After which version to read on when these transactions still run: lower if a late one has ended."""
        return min((low for number, low in self.late.items() if number not in running), default=self.highest)

    def text(self) -> str:
        """The cursor for an address or a header."""
        late = [[number, self.late[number]] for number in sorted(self.late)]
        told = json.dumps([self.origin, self.highest, late, self.place, self.first], separators=(",", ":"))
        return urlsafe_b64encode(f"{_hash(told)}{told}".encode()).decode().rstrip("=")


def cursor_in(text: str) -> Cursor:
    """The cursor that this text is; ValueError for any text that `Cursor.text` does not give."""
    if len(text) > LONGEST:
        raise ValueError(text[:MARK])
    try:
        plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
        found = _cursor(*json.loads(plain[MARK:]))
    except (TypeError, RecursionError) as error:
        raise ValueError(text[:MARK]) from error
    if found.text() != text:
        raise ValueError(text[:MARK])
    return found


def _cursor(origin: Any, highest: Any, late: Any, place: Any, first: Any) -> Cursor:
    transactions = {_whole(number): _whole(low) for number, low in late}
    if not isinstance(origin, str) or type(first) is not bool:
        raise TypeError
    found = Cursor(origin, _whole(highest), transactions, None if place is None else _whole(place), first)
    if any(low > found.highest for low in transactions.values()):
        raise ValueError(highest)
    return found


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < HIGHEST:
        raise ValueError(value)
    return value


def _hash(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()[:MARK]
