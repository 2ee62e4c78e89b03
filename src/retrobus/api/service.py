"""What the application hands to the routes: the store, the tokens, the throttle of logins, the limits, the metrics."""

from asyncio import Semaphore
from dataclasses import dataclass, field
from typing import Any, Protocol

from retrobus.accounts.throttle import Throttle
from retrobus.accounts.tokens import Tokens
from retrobus.backups.shelf import Shelf
from retrobus.changes.deletions import Deletions
from retrobus.changes.feed import ChangeFeed
from retrobus.changes.streams import Streams
from retrobus.checklist.overview import Overview
from retrobus.fallback.conflict_desk import Conflicts
from retrobus.metrics import Metrics
from retrobus.store.contract import Store
from retrobus.store.spool import Exports

IMAGES = 4
"""Images that are read at a time: more would take every connection to PostgreSQL, and some megabytes of memory each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that a request body may have: any body, and one that may hold images."""

    body: int
    image_body: int


class States(Protocol):
    """What the service can tell of itself."""

    async def status(self) -> dict[str, Any]:
        """The answer of /ready."""

    def measure(self) -> None:
        """Sets the figures of /metrics that are states, not events."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What managers and administrators look at and decide: deletions, conflicts, backups, the checklist."""

    deletions: Deletions
    conflicts: Conflicts
    shelf: Shelf
    overview: Overview


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service that routes use."""

    store: Store
    feed: ChangeFeed
    streams: Streams
    desk: Desk
    exports: Exports
    tokens: Tokens
    throttle: Throttle
    limits: Limits
    metrics: Metrics
    metrics_token: str | None
    """A client that sends it may read /metrics from elsewhere than this machine."""
    states: States
    image_turns: Semaphore = field(default_factory=lambda: Semaphore(IMAGES))
    """A request waits for its turn to read an image."""
