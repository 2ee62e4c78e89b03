"""Clients that write down what they were told, and what of it a database does not keep."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

from builders import an_event
from harness import LONGEST, Api, run_sql

KEPT = 5
"""Events that each client has before it deletes its oldest."""


@dataclass
class Ledger:
    """Keys of events, by what the service said of them."""

    created: set[str] = field(default_factory=set)
    """Answered 201."""
    deleting: set[str] = field(default_factory=set)
    """A delete was sent, and not answered with 'not applied'."""
    deleted: set[str] = field(default_factory=set)
    """Answered 200."""
    denied: set[str] = field(default_factory=set)
    """Their creation was answered with 'not applied'."""
    surprises: set[str] = field(default_factory=set)
    """Answers that no outage explains."""

    @property
    def acknowledged(self) -> int:
        """How many writes were answered with success."""
        return len(self.created) + len(self.deleted)

    def broken_promises(self, url: str) -> dict[str, set[str]]:
        """The keys whose fate in the database is not what was said; empty if every word was kept."""
        kept = {row["id"] for row in run_sql(url, "SELECT id FROM event")}
        found = {
            "lost": self.created - self.deleting - kept,
            "resurrected": self.deleted & kept,
            "applied all the same": self.denied & kept,
            "answered strangely": self.surprises,
        }
        return {name: keys for name, keys in found.items() if keys}

    def create(self, api: httpx.Client, key: str) -> bool:
        """Creates an event; whether that was acknowledged."""
        answer = api.post("/api/events", json=an_event(id=key))
        if answer.status_code == 201:
            self.created.add(key)
        elif self._outcome(answer) == "not_applied":
            self.denied.add(key)
        return answer.status_code == 201

    def delete(self, api: httpx.Client, key: str) -> None:
        """Deletes an event."""
        self.deleting.add(key)
        answer = api.delete(f"/api/events/{key}")
        if answer.status_code == 200:
            self.deleted.add(key)
        elif self._outcome(answer) == "not_applied":
            self.deleting.discard(key)

    def _outcome(self, answer: httpx.Response) -> str:
        if answer.status_code != 503:
            self.surprises.add(f"{answer.request.method} {answer.status_code} {answer.text}")
            return "unknown"
        return str(answer.json()["outcome"])


@contextmanager
def traffic(api: Api, headers: dict[str, str], clients: int = 4) -> Iterator[Ledger]:
    """While open, clients create events and delete every other one of them, whatever happens to the service."""
    ledger, over = Ledger(), threading.Event()

    def write(client: int) -> None:
        number, mine = 0, list[str]()
        with httpx.Client(base_url=api.base_url, headers=headers, timeout=LONGEST) as own:
            while not over.is_set():
                number += 1
                with suppress(httpx.TransportError):  # the service was killed: nobody promised anything
                    if ledger.create(own, f"{client}-{number}"):
                        mine.append(f"{client}-{number}")
                    if len(mine) > KEPT and number % 2:
                        ledger.delete(own, mine.pop(0))

    threads = [threading.Thread(target=write, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        over.set()
        for thread in threads:
            thread.join()
