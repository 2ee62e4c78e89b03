"""The answer to each Idempotency-Key, held in memory: a repeated write gets its first answer in an outage too."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from retrobus.store.contract import (
    Document,
    Terms,
)
from retrobus.store.errors import KeyReused

REMEMBERED = 10_000
"""Answers that are kept; the oldest goes first."""

REMEMBERED_SIZE = 1 << 26
"""Bytes of kept answers: a vehicle's answer holds its images."""

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer, and by what its request is recognised."""

    fingerprint: bytes
    document: Document
    at: float


class Answers:
    """The answers of the last day; bounded, the oldest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], KeptAnswer] = OrderedDict()
        self._size = 0

    def of(self, terms: Terms) -> Document | None:
        """The answer to the same request; None if this is the first time, KeyReused if the key is another's."""
        kept = self._kept.get(_scope(terms) or ())
        if kept is None or terms.once is None or kept.at < time.monotonic() - DAY:
            return None
        if kept.fingerprint != terms.once.fingerprint:
            raise KeyReused
        return kept.document

    def keep(self, terms: Terms, document: Document) -> None:
        """Keeps the answer of a write, if its client gave a key."""
        scope = _scope(terms)
        if scope is None or terms.once is None:
            return
        self._drop(scope)
        self._kept[scope] = KeptAnswer(terms.once.fingerprint, document, time.monotonic())
        self._size += len(document.json)
        while len(self._kept) > REMEMBERED or self._size > REMEMBERED_SIZE:
            self._drop(next(iter(self._kept)))

    def _drop(self, scope: tuple[str, ...]) -> None:
        dropped = self._kept.pop(scope, None)
        self._size -= 0 if dropped is None else len(dropped.document.json)


def _scope(terms: Terms) -> tuple[str, ...] | None:
    """Where a key counts: for one member, method and path."""
    if terms.caller is None or terms.once is None:
        return None
    return (terms.caller.id, terms.once.method, terms.once.path, terms.once.key)
