"""Several clients at once, and faults in the middle of their requests."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from checking.client import Answer, Client, Request
from checking.kinds import Slot
from checking.service import Service, token
from soaking.author import Author
from soaking.slots import SLOTS
from soaking.surroundings import Database

PEOPLE = 5
Exchange = tuple[Request, Answer]


class Crowd:
    """Sends the planned requests of several clients at the same time, each on its own connection."""

    def __init__(self, random: Random, database: Database, service: Service, author: Author) -> None:
        self._random = random
        self._database = database
        self._service = service
        self._author = author

    def on_rows_of_their_own(self, trouble: Callable[[], object]) -> list[Exchange]:
        """Each client works on one row and a fault happens meanwhile; the exchanges in the order of their answers."""
        slots = self._random.sample(SLOTS, PEOPLE)
        return self._run([self._author.plan(slot, self._random.randint(5, 12)) for slot in slots], trouble)

    def on_one_row(self, slot: Slot) -> list[Exchange]:
        """All clients write the same row."""
        return self._run([self._author.plan(slot, 4) for _ in range(PEOPLE)], lambda: None)

    def _run(self, plans: list[list[Request]], trouble: Callable[[], object]) -> list[Exchange]:
        delay = self._random.uniform(0, 0.03)
        with ThreadPoolExecutor(PEOPLE) as people:
            futures = [people.submit(self._work, plan) for plan in plans]
            time.sleep(delay)
            trouble()
            done = [exchange for future in futures for exchange in future.result()]
        return sorted(done, key=lambda exchange: exchange[1].received)

    def _work(self, plan: list[Request]) -> list[Exchange]:
        client = Client(self._service.port, token())
        try:
            return [(request, client.send(request)) for request in plan]
        finally:
            client.close()

    def trouble(self) -> tuple[str, Callable[[], object]]:
        """A fault that can happen now, and its name."""
        found: list[tuple[str, Callable[[], object]]] = [("nothing", lambda: None), ("service kill -9", self._kill)]
        if not self._database.up:
            found += [("postgres start", self._database.start)] * 3
        else:
            found += [("postgres kill -9", lambda: self._database.end("kill -9"))] * 3
            found += [("freeze", self._freeze), ("cut", self._database.cut)]
        return self._random.choice(found)

    def _kill(self) -> None:
        self._service.end(signal.SIGKILL)

    def _freeze(self) -> None:
        self._database.server.freeze()
        time.sleep(self._random.uniform(0.05, 0.8))
        self._database.server.thaw()
