"""Opens a connection to the right one of the servers that DATABASE_URL names, whatever the order of their names.

address -> places (`url`) -> open each and ask what it is (`_ask`) -> judge (`_judge`) -> choose (`open`)

All are asked at once, so that a server that hangs costs nothing while another answers. A worked example: `a` is frozen,
`b` was promoted. The driver alone would spend its whole time on `a`; here `b` answers after some milliseconds. If `b`
is promoted only while `a` is still awaited, it is found at once too: a standby that answered is asked again meanwhile.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import Any, Generic, TypeVar

from retrobus.database.connection import AnyConnection
from retrobus.database.errors import CannotConnect, PoolerInTheWay, reason_of, state_of
from retrobus.database.server import Server, Timelines, facts_of
from retrobus.database.url import Place, places, wanted_session

GRACE = 0.05
"""Seconds that the other servers have to answer too once a suitable one did: one of them may be its successor."""

AGAIN = 0.1
"""Seconds after which a standby that answered is asked again, while another server is silent."""

SILENT = "aucune réponse à temps"
CROWDED = "53300"
"""SQLSTATE of a server that lives, and has no connection left to give."""


class Rank(IntEnum):
    """How well a server suits."""

    UNSUITABLE = 0
    ACCEPTABLE = 1
    """Taken if no other server is better."""
    IDEAL = 2
    """Taken at once."""


UNSUITABLE, ACCEPTABLE, IDEAL = Rank
RANKS: dict[str, Callable[[Server], Rank]] = {
    "first": lambda _: IDEAL,
    "any": lambda _: IDEAL,
    "a primary": lambda server: UNSUITABLE if server.standby else IDEAL if server.writable else ACCEPTABLE,
    "primary": lambda server: UNSUITABLE if server.standby else IDEAL,
    "standby": lambda server: IDEAL if server.standby else UNSUITABLE,
    "read-write": lambda server: IDEAL if server.writable else UNSUITABLE,
    "read-only": lambda server: UNSUITABLE if server.writable else IDEAL,
    "prefer-standby": lambda server: IDEAL if server.standby else ACCEPTABLE,
}
"""How well a server is what `target_session_attrs` asks for.

An address without it takes its only server as it is; of several servers it takes the primary, preferably one that
takes writes.
"""

C = TypeVar("C", bound=AnyConnection)
Answer = asyncio.Task[tuple[C, Server]]


class Hosts(Generic[C]):
    """The servers of one address.

    `opening` opens a connection with the driver's arguments for one server. Each server has `seconds` to answer.
    """

    def __init__(
        self,
        url: str,
        opening: Callable[[Mapping[str, Any]], Awaitable[C]],
        seconds: float,
        timelines: Timelines | None = None,
    ) -> None:
        self.places = places(url)
        self.timelines = timelines or Timelines()
        self.former: Server | None = None
        """The primary that was last found to have a successor."""

        self._wanted = wanted_session(url)
        self._rank_of = RANKS[self._wanted or ("first" if len(self.places) == 1 else "a primary")]
        self._opening = opening
        self._seconds = seconds
        self._answers: list[Answer[C]] = []

    @property
    def wants_writes(self) -> bool:
        """Whether a server that refuses writes is not what the address asks for."""
        return self._wanted in {None, "primary", "read-write"}

    @property
    def reason(self) -> str:
        """Why each server gave no connection when they were last asked; every server has a reason."""
        reasons = [self._objection(answer) for answer in self._answers]
        if len(reasons) == 1:
            return reasons[0]
        return " ; ".join(f"serveur {number} : {text}" for number, text in enumerate(reasons, start=1))

    async def open(self, *, hear_all: bool = False) -> tuple[C, Server]:
        """A connection to the most suitable server, and what that server is; CannotConnect says why there is none.

        Takes the first that suits, or with `hear_all` waits until each has answered or its time is over.
        """
        self._answers = answers = [asyncio.create_task(self._ask(place)) for place in self.places]
        best = None
        try:
            await self._listen(answers, hear_all=hear_all)
            best = max(answers, key=lambda answer: (self._judge(answer), _timeline_of(answer)))
            if self._judge(best) is UNSUITABLE:
                best = None
        finally:
            for answer in answers:
                if answer is not best:
                    answer.cancel()
                    answer.add_done_callback(_close)
        if best is None:
            raise self._failure([_error_of(answer) for answer in answers])
        return best.result()

    async def _ask(self, place: Place) -> tuple[C, Server]:
        """Opens a connection to one server and asks what it is; CannotConnect for every failure."""
        named = {"host": place.host, "port": place.port, "target_session_attrs": "any"}
        try:
            async with asyncio.timeout(self._seconds):
                connection = await self._opening(named if place.host else {})
                try:
                    return connection, await facts_of(connection)
                except BaseException:
                    connection.terminate()
                    raise
        except CannotConnect:
            raise
        except Exception as error:
            raise CannotConnect(reason_of(error), crowded=state_of(error) == CROWDED) from error

    async def _listen(self, answers: "list[Answer[C]]", *, hear_all: bool) -> None:
        """Waits for answers while it is worth it: until an ideal server answered, and a grace after it for others.

        While a server is silent, the standbys beside it are asked again, and their later answers take the place of the
        earlier ones.
        """
        again: dict[int, Answer[C]] = {}
        first, until = list(answers), math.inf
        try:
            while time.monotonic() < until and (silent := {answer for answer in first if not answer.done()}):
                rest = None if until == math.inf else until - time.monotonic()
                await asyncio.wait(silent | {*again.values()}, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
                self._renew(answers, again)
                self._note(answers)
                if until == math.inf and not hear_all and any(self._judge(answer) is IDEAL for answer in answers):
                    until = time.monotonic() + (GRACE if self.wants_writes else 0.0)
        finally:
            for answer in again.values():
                answer.cancel()
                answer.add_done_callback(_close)

    def _renew(self, answers: "list[Answer[C]]", again: "dict[int, Answer[C]]") -> None:
        """Puts the later answers of standbys in their places, and asks each standby that does not suit once more."""
        for number, answer in [each for each in again.items() if each[1].done()]:
            answers[number] = answer
            del again[number]
        for number, answer in enumerate(answers):
            server = _server_of(answer)
            if number not in again and server and server.standby and self._judge(answer) is UNSUITABLE:
                again[number] = asyncio.create_task(_ask_again(answer.result()[0]))

    def _note(self, answers: "list[Answer[C]]") -> None:
        """Remembers the timelines of the primaries that answered, and which of them has a successor."""
        heard = [server for server in map(_server_of, answers) if server]
        for server in heard:
            self.timelines.note(server)
        self.former = next(filter(self.timelines.is_left_behind, heard), self.former)

    def _judge(self, answer: "Answer[C]") -> Rank:
        server = _server_of(answer)
        if server is None or self.timelines.is_left_behind(server):
            return UNSUITABLE
        return self._rank_of(server)

    def _objection(self, answer: "Answer[C]") -> str:
        """Why this server gave no usable connection; a server that suits gave one, which was silent afterwards."""
        server, error = _server_of(answer), _error_of(answer)
        if error is not None:
            return reason_of(error)
        if server is None or self._judge(answer) is IDEAL:
            return SILENT
        above = self.timelines.above(server)
        return f"ancien primaire (ligne de temps {server.timeline}, la {above} a été vue)" if above else server.nature

    def _failure(self, errors: list[BaseException | None]) -> BaseException:
        """The error of the only server, which names its cause; of several, one error with the reason of each."""
        if len(errors) == 1 and errors[0] is not None:
            return errors[0]
        if any(isinstance(error, PoolerInTheWay) for error in errors):
            return PoolerInTheWay(self.reason)
        return CannotConnect(self.reason, crowded=any(isinstance(e, CannotConnect) and e.crowded for e in errors))


async def _ask_again(connection: C) -> tuple[C, Server]:
    """What the server of this connection is a moment later; CannotConnect if the connection is lost."""
    await asyncio.sleep(AGAIN)
    try:
        return connection, await facts_of(connection)
    except Exception as error:
        connection.terminate()
        raise CannotConnect(reason_of(error)) from error


def _error_of(answer: "Answer[C]") -> BaseException | None:
    return answer.exception() if answer.done() and not answer.cancelled() else None


def _server_of(answer: "Answer[C]") -> Server | None:
    """What the server said of itself; None if it has not answered."""
    heard = answer.done() and not answer.cancelled() and answer.exception() is None
    return answer.result()[1] if heard else None


def _timeline_of(answer: "Answer[C]") -> int:
    server = _server_of(answer)
    return -1 if server is None else server.timeline


def _close(answer: "Answer[C]") -> None:
    """Closes a connection that came too late or is not the best; its failure was told already."""
    if _error_of(answer) is None and not answer.cancelled():
        answer.result()[0].terminate()
