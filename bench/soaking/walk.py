"""The random walk: the next step of a client, of psql, of an operator, or the next fault."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from checking.client import Answer, Client, Request, now
from checking.judge import Judge
from checking.model import ROWS, Model
from checking.service import TOGGLES, Combination, Service, token
from soaking.author import Author
from soaking.crowd import Crowd
from soaking.hands import Hands
from soaking.oldfiles import JOURNAL, SNAPSHOT, OldFiles
from soaking.plants import Plant
from soaking.slots import SLOTS
from soaking.surroundings import Database

REFUSES_TO_START = 78
SETTLED_WITHIN = 20.0
FALLBACK, SAVE = TOGGLES[1:]
ENDS = ("kill -9", "kill -9", "kill -9", "stop", "immediate")
Choices = list[tuple[int, Callable[[], object]]]


class Stuck(Exception):
    """The service did not start, answer or settle in time."""


@dataclass(slots=True)
class World:
    """The random numbers, the database, the service and the old files of a run."""

    random: Random
    database: Database
    service: Service
    files: OldFiles


class Walk:
    """One run: a service, a Postgres, and the model of their promises."""

    def __init__(self, world: World, combinations: tuple[Combination, ...], bug: str | None) -> None:
        self.model = Model(SLOTS)
        self.taken = dict.fromkeys(combinations, 0)
        self._random = world.random
        self._database, self._service, self._files = world.database, world.service, world.files
        self._author = Author(world.random, self.model)
        self._hands = Hands(world.random, world.database, self.model, self._author)
        self._judge = Judge(self.model, world.database)
        self._client = Plant(Client(world.service.port, token()), world.database, bug)
        self._crowd = Crowd(world.random, world.database, world.service, self._author)

    @property
    def count(self) -> int:
        """The number of steps so far."""
        return self.model.steps.total()

    def step(self) -> None:
        """Takes the next step."""
        before = self.count
        choices: Choices = [(900, self._request), (10, self._copy), (12, self._restart), (14, self._burst)]
        choices += self._while_up() if self._database.up else [(75, self._find_postgres)]
        self._random.choices([step for _, step in choices], [weight for weight, _ in choices])[0]()
        self.taken[self._service.combination] += self.count - before

    def _while_up(self) -> Choices:
        return [
            (60, self._hands.any), (20, self._lose_postgres), (8, self._freeze), (6, self._cut), (5, self._duel),
            (4, self._export), (8, self.compare),
        ]  # fmt: skip

    def _did(self, step: str) -> None:
        self.model.steps[step] += 1
        self.model.tell(f"{now():.3f} {step}")

    def _request(self) -> None:
        request = self._author.any()
        self._did(request.step)
        self._judge.judge(request, self._client.send(request))

    def _copy(self) -> None:
        self._did("copy of the files")
        self._files.keep_copies()

    def _export(self) -> None:
        self._did("backup as the predecessor made them")
        self._files.export(self._database.psql)

    def _lose_postgres(self) -> None:
        how = self._random.choice(ENDS)
        self._did(f"postgres {how}")
        self._database.end(how)

    def _find_postgres(self) -> None:
        self._did("postgres start")
        self._database.start()
        if self._random.random() < 0.75:
            self.settle()

    def _freeze(self) -> None:
        self._did("postgres SIGSTOP")
        self._database.server.freeze()
        for _ in range(self._random.randint(1, 8)):
            self._request()
        self._database.server.thaw()
        if self._random.random() < 0.75:
            self.settle()

    def _cut(self) -> None:
        self._did("connections cut")
        self._database.cut()

    def _burst(self) -> None:
        if self._database.up:
            self.settle()  # the table of conflicts must be readable at the end
        name, trouble = self._crowd.trouble()
        exchanges = self._crowd.on_rows_of_their_own(trouble)
        self._did(f"burst with {name}")
        for request, answer in exchanges:
            self._did(request.step)
            self._judge.judge(request, answer)
        if not self._service.alive:
            self._ended()
            self.start_service()

    def _duel(self) -> None:
        """Several clients write one row at once: mirror and Postgres must end with the same state."""
        self.settle()
        slot = self._author.slot()
        track, sent = self.model.track(slot), now()
        self._did("duel")
        exchanges = self._crowd.on_one_row(slot)
        self.model.steps["request in a duel"] += len(exchanges)
        self._judge.judge_duel(exchanges, sent)
        shown = self._hands.look(slot)
        track.committed(shown, sent, now())
        if self._random.random() < 0.5:
            self._lose_postgres()
            self._judge.judge(*self._exchange(self._author.get(slot)))

    def _exchange(self, request: Request) -> tuple[Request, Answer]:
        self._did(request.step)
        return request, self._client.send(request)

    def _restart(self) -> None:
        how = self._random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        self._did(f"service {how.name}")
        self._service.end(how)
        self._ended()
        if self._database.up and self._random.random() < 0.5:
            self._database.end("kill -9")
        elif not self._database.up and self._random.random() < 0.2:
            self._database.start()
        self._meddle()
        self.start_service()

    def _ended(self) -> None:
        """Tells the model that the service has ended, and its memory with it."""
        self._client.close()
        at = now()
        for track in self.model.tracks.values():
            track.forget(perhaps_replayed=self._database.up, journal=self._files.journal_waits(), at=at)
        self._author.service_ended()

    def _meddle(self) -> None:
        """The operator puts old files back while the service is down."""
        files, journal = self._files, self._files.journal_waits()
        found: list[tuple[str, Callable[[], object]]] = [
            ("nothing", lambda: None), ("old snapshot", lambda: files.put_back(SNAPSHOT)),
            ("damaged snapshot", files.damage_snapshot), ("selection", files.select),
            ("torn journal", files.tear_journal) if journal else ("old journal", lambda: files.put_back(JOURNAL)),
        ]  # fmt: skip
        name, act = self._random.choices(found, (4, 3, 1, 2, 3))[0]
        self._did(f"boot with {name}")
        act()

    def start_service(self) -> None:
        """Starts the service in the combination that had the fewest steps."""
        least = min(self.taken.values())
        combination = self._random.choice([name for name, steps in self.taken.items() if steps <= least + 30])
        code = self._service.start(combination)
        if code == REFUSES_TO_START and SAVE not in combination and self._files.journal_waits():
            self._did("refused to start without the journal")
            code = self._service.start(self._with_journal())
        if code is not None:
            raise Stuck(f"the service ended with {code} in {self._service.combination}")
        self._did(f"started with {' '.join(self._service.combination) or 'no toggle'}")
        self._judge.contract.fallback = FALLBACK in self._service.combination
        self._judge.saves = SAVE in self._service.combination

    def _with_journal(self) -> Combination:
        """A combination that the service accepts although there is a journal."""
        saving = [name for name in self.taken if SAVE in name]
        if saving:
            return self._random.choice(saving)
        self._files.set_journal_aside()
        return next(iter(self.taken))

    def settle(self) -> None:
        """Waits until Postgres answers through the service."""
        end = time.monotonic() + SETTLED_WITHIN
        while time.monotonic() < end:
            request = self._author.list_all()
            answer = self._client.send(request)
            self._judge.judge(request, answer)
            if self.model.enough or (answer.status == 200 and answer.source == "postgres"):
                return
            time.sleep(0.01)
        raise Stuck(f"no answer from Postgres within {SETTLED_WITHIN} s")

    def compare(self) -> None:
        """Compares the whole database with the model."""
        self.settle()
        self._did("comparison")
        end = time.monotonic() + SETTLED_WITHIN
        while not (quiet := self._database.quiet()) and time.monotonic() < end:
            time.sleep(0.01)
        self.model.compare(self._database.psql.run(ROWS), now(), quiet=quiet)

    def finish(self) -> None:
        """Starts Postgres, waits until the journal is in it, and compares everything."""
        if not self._database.up:
            self._database.start()
        self.compare()
        self._client.close()
