"""The clients of one service, in a process of their own: they must not share the interpreter's lock with the proxy."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from checking.client import Client
from checking.kinds import Slot
from checking.service import token
from proving.follower import Copy, Follower
from proving.people import Exchange, Person

EARLY = 4 * 3600
"""Seconds before now at which the token says that it was issued: a service whose clock is slow takes it too."""


@dataclass(frozen=True)
class Work:
    """What one client did."""

    name: str
    slots: set[Slot]
    exchanges: list[Exchange]
    error: str | None
    """What ended it before it was stopped: then the run proves nothing."""


@dataclass(frozen=True)
class Done:
    """What all clients did, and what the follower of changes copied."""

    works: list[Work]
    followed: Work
    copy: Copy

    @property
    def all(self) -> list[Work]:
        """The work of each client, the follower's too."""
        return [*self.works, self.followed]


class Crowd:
    """Starts clients, and gives back what they did. Made before any thread is: it forks."""

    def __init__(self) -> None:
        context = get_context("fork")
        self._link, other = context.Pipe()
        context.Process(target=_serve, args=(other,), daemon=True).start()

    def open(self, names: list[str], port: int) -> None:
        """Lets clients of these names begin; with the first ones a follower begins."""
        self._ask("open", names, port)

    def strangers(self, slots: Iterable[Slot]) -> None:
        """These rows are written by psql too."""
        self._ask("strangers", set(slots))

    def close(self) -> Done:
        """Ends the clients; each got its last answer when this returns."""
        done: Done = self._ask("close")
        return done

    def _ask(self, *words: Any) -> Any:
        self._link.send(words)
        return self._link.recv()


class _Desk:
    """The other end: the threads of the clients."""

    def __init__(self) -> None:
        self._people: list[Person] = []
        self._follower: Follower | None = None

    def open(self, names: list[str], port: int) -> None:
        people = [Person(name, Client(port, token(EARLY))) for name in names]
        if self._follower is None:
            self._follower = Follower("follower", Client(port, token(EARLY)))
            self._follower.start()
        self._people += people
        for person in people:
            person.start()

    def strangers(self, slots: set[Slot]) -> None:
        for person in self._people:
            person.strangers |= slots

    def close(self) -> Done:
        people, follower = self._people, self._follower
        self.__init__()  # type: ignore[misc]
        if follower is None:
            raise ValueError("nothing was opened")
        for thread in (*people, follower):
            thread.stop()
        for thread in (*people, follower):
            thread.join(60)
        works = [Work(person.name, set(person.known), person.exchanges, _text(person.error)) for person in people]
        return Done(works, Work("follower", set(), follower.exchanges, _text(follower.error)), follower.copy)


def _text(error: BaseException | None) -> str | None:
    return None if error is None else repr(error)


def _serve(link: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program that started it ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    desk = _Desk()
    while True:
        word, *values = link.recv()
        link.send(getattr(desk, word)(*values))
