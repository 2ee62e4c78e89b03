"""Planted bugs: a client that lies as a faulty service would, to prove that the checker sees it."""

from collections.abc import Callable
from dataclasses import replace

from checking.client import Answer, Client, Request
from soaking.hands import DELETES, INSERTS
from soaking.surroundings import Database

EVERY = 4
"""The client lies at every so many occasions."""

FLAGS = ("x-data-source", "x-data-as-of", "x-data-origin")


class Plant:
    """Sends requests as a client does, and falsifies some requests or answers."""

    def __init__(self, client: Client, database: Database, bug: str | None) -> None:
        self._client = client
        self._database = database
        self._lie = self._lies()[bug]
        self._occasions = 0
        self._seen: dict[str, Answer] = {}

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def send(self, request: Request) -> Answer:
        """Sends a request; the answer may be falsified."""
        return self._lie(request)

    def _lies(self) -> dict[str | None, Callable[[Request], Answer]]:
        return {
            None: self._client.send,
            "lost": self._lose,
            "ghost": self._resurrect,
            "stale": self._show_the_past,
            "unflagged": self._hide_the_source,
            "duplicate": self._do_twice,
        }

    def _taken(self, *, occasion: bool) -> bool:
        self._occasions += occasion
        return occasion and self._occasions % EVERY == 0

    def _lose(self, request: Request) -> Answer:
        """Bug `lost`: an acknowledged row does not exist."""
        answer = self._client.send(request)
        if request.slot is not None and self._taken(occasion=answer.status == 201):
            self._database.psql.run(DELETES[request.slot[0]], request.slot[1])
        return answer

    def _resurrect(self, request: Request) -> Answer:
        """Bug `ghost`: a deleted row comes back."""
        answer = self._client.send(request)
        deleted = request.slot is not None and request.method == "DELETE" and answer.status == 200
        if request.slot is not None and self._taken(occasion=deleted):
            key = ["back-again"] if request.slot[0] == "Member" else []
            self._database.psql.run(INSERTS[request.slot[0]], request.slot[1], "m0", *key)
        return answer

    def _show_the_past(self, request: Request) -> Answer:
        """Bug `stale`: a read gets the answer of the first read."""
        answer = self._client.send(request)
        if request.writes or answer.status != 200 or answer.source != "postgres":
            return answer
        first = self._seen.setdefault(request.path, answer)
        if not self._taken(occasion=first.body != answer.body):
            return answer
        return replace(first, sent=answer.sent, received=answer.received)

    def _hide_the_source(self, request: Request) -> Answer:
        """Bug `unflagged`: an answer from memory does not say so."""
        answer = self._client.send(request)
        if self._taken(occasion=answer.source == "memory"):
            answer.headers = {name: value for name, value in answer.headers.items() if name not in FLAGS}
        return answer

    def _do_twice(self, request: Request) -> Answer:
        """Bug `duplicate`: the Idempotency-Key is ignored."""
        if request.once is None or request.method != "POST" or "location" not in (request.body or {}):
            return self._client.send(request)
        self._client.send(replace(request, once=None))
        return self._client.send(request)
