"""Opens a connection to the right one of the servers that DATABASE_URL names, whatever the order of their names.

All are asked at once, so that a server that hangs costs nothing while another answers. A worked example: `a` is frozen,
`b` was promoted. The driver alone would spend its whole time on `a`; here `b` answers after some milliseconds.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import asyncpg

from retrobus.database.connecting import CannotConnect, opened, reason_of
from retrobus.database.pooler import OwnNames, PoolerInTheWay, explained
from retrobus.database.server import Asked, Server, Timelines, facts_of
from retrobus.database.url import Place, places, wanted_session

GRACE = 0.05
"""Seconds that the other servers have to answer too once a suitable one did: one of them may be its successor."""

UNSUITABLE, ACCEPTABLE, IDEAL = range(3)
"""Never taken; taken if no other server is better; taken at once."""

_EVERY = [(standby, read_only) for standby in (False, True) for read_only in (False, True)]
RANKS: dict[str, dict[tuple[bool, bool], int]] = {
    "first": dict.fromkeys(_EVERY, IDEAL),
    "any": dict.fromkeys(_EVERY, IDEAL),
    "a primary": {kind: UNSUITABLE if kind[0] else ACCEPTABLE if kind[1] else IDEAL for kind in _EVERY},
    "primary": {kind: UNSUITABLE if kind[0] else IDEAL for kind in _EVERY},
    "standby": {kind: IDEAL if kind[0] else UNSUITABLE for kind in _EVERY},
    "read-write": {kind: UNSUITABLE if kind[1] else IDEAL for kind in _EVERY},
    "read-only": {kind: IDEAL if kind[1] else UNSUITABLE for kind in _EVERY},
    "prefer-standby": {kind: IDEAL if kind[0] else ACCEPTABLE for kind in _EVERY},
}
"""How well a server (standby, read-only) is what `target_session_attrs` asks for.

Unsaid, one server is taken as it is; of several the primary is, preferably one that takes writes.
"""

C = TypeVar("C", bound=Asked)
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
        self._wanted = wanted_session(url)
        self._opening = opening
        self._seconds = seconds
        self.former: Server | None = None
        """The primary that was last found to have a successor."""

        self._said: dict[int, str] = {}

    @property
    def wants_writes(self) -> bool:
        """Whether a server that refuses writes is not what the address asks for."""
        return self._wanted in {None, "primary", "read-write"}

    @property
    def reason(self) -> str:
        """What each server last had against a connection."""
        if len(self.places) == 1:
            return "".join(self._said.values())
        return " ; ".join(f"serveur {number} : {text}" for number, text in sorted(self._said.items()))

    async def open(self, *, hear_all: bool = False) -> tuple[C, Server]:
        """A connection to the most suitable server, and what that server is; CannotConnect says why there is none.

        Takes the first that suits, or with `hear_all` waits until each has answered or let its time pass.
        """
        self._said = said = dict.fromkeys(range(1, len(self.places) + 1), "aucune réponse à temps")
        asked = {asyncio.create_task(self._ask(place)): number for number, place in enumerate(self.places, start=1)}
        best = None
        try:
            heard = await self._heard(asked, said, hear_all=hear_all)
            best = self._best(heard)
        finally:
            for task in asked:
                if task is not best:
                    task.cancel()
                    task.add_done_callback(_close)
        if best is None and len(asked) == 1:
            next(iter(asked)).result()  # raises its own error, which names the cause
        if best is None and any(isinstance(_error_of(task), PoolerInTheWay) for task in asked):
            raise PoolerInTheWay(self.reason)
        if best is None:
            raise CannotConnect(self.reason, crowded=any(_is_crowded(task) for task in asked))
        return best.result()

    async def _ask(self, place: Place) -> tuple[C, Server]:
        named = {"host": place.host, "port": place.port, "target_session_attrs": "any"}
        arguments = named if place.host else {}

        async def ask() -> tuple[C, Server]:
            connection = await self._opening(arguments)
            try:
                return connection, await facts_of(connection)
            except BaseException:
                connection.terminate()
                raise

        return await opened(ask, self._seconds)

    async def _heard(
        self, asked: "dict[Answer[C], int]", said: dict[int, str], *, hear_all: bool
    ) -> "dict[Answer[C], Server]":
        """The servers that answered while it was worth waiting for them."""
        heard: dict[Answer[C], Server] = {}
        pending, until = set(asked), math.inf
        while pending and time.monotonic() < until:
            rest = None if until == math.inf else until - time.monotonic()
            done, pending = await asyncio.wait(pending, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    heard[task] = task.result()[1]
                    self.timelines.note(heard[task])
                said[asked[task]] = self._objection(heard[task]) if error is None else reason_of(error)
            self.former = next(filter(self.timelines.is_left_behind, heard.values()), self.former)
            if until == math.inf and not hear_all and any(self._rank(server) == IDEAL for server in heard.values()):
                until = time.monotonic() + (GRACE if self.wants_writes else 0.0)
        return heard

    def _best(self, heard: "dict[Answer[C], Server]") -> "Answer[C] | None":
        suitable = [task for task, server in heard.items() if self._rank(server) > UNSUITABLE]
        return max(suitable, key=lambda task: (self._rank(heard[task]), heard[task].timeline), default=None)

    def _rank(self, server: Server) -> int:
        if self.timelines.is_left_behind(server):
            return UNSUITABLE
        wanted = self._wanted or ("first" if len(self.places) == 1 else "a primary")
        return RANKS[wanted][(server.standby, server.read_only)]

    def _objection(self, server: Server) -> str:
        """What speaks against a server that answered; empty if nothing does."""
        highest = self.timelines.highest.get(server.system or "", 0)
        if self.timelines.is_left_behind(server):
            return f"ancien primaire (ligne de temps {server.timeline}, la {highest} a été vue)"
        if self._rank(server) == IDEAL:
            return ""
        return server.nature


def _close(task: "Answer[C]") -> None:
    """Closes a connection that came too late or is not the best; its failure was told already."""
    if not task.cancelled() and task.exception() is None:
        task.result()[0].terminate()


def _is_crowded(task: "Answer[C]") -> bool:
    error = _error_of(task)
    return isinstance(error, CannotConnect) and error.crowded


def _error_of(task: "Answer[C]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


UNHURRIED = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""The limits of a command's session: none, except those that the command itself sets for its transactions."""


WITHOUT_END = """SELECT set_config('transaction_timeout', '0', {local})
WHERE current_setting('transaction_timeout', true) <> '0' AND {where}"""
"""Lifts a limit that PostgreSQL has since version 17 only, and that older ones refuse at connect."""

LONG_TRANSACTION = WITHOUT_END.format(local="true", where="true")
"""The same for the transaction under way."""


async def _patient(connection: OwnNames) -> OwnNames:
    """The same connection without a limit on transactions; behind a pooler it is left alone, for it is shared."""
    own = f"pg_backend_pid() = {connection.get_server_pid()}"
    try:
        await connection.execute(WITHOUT_END.format(local="false", where=own))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _connected(url: str, place: Mapping[str, Any], seconds: float, settings: dict[str, str]) -> OwnNames:
    connection: OwnNames = await asyncpg.connect(
        url,
        **place,
        timeout=seconds,
        statement_cache_size=0,
        server_settings=settings,
        connection_class=OwnNames,
    )
    return connection


async def connect_for_command(url: str, seconds: float, name: str, timelines: Timelines | None = None) -> OwnNames:
    """The connection of one command or migration, to the server that suits; CannotConnect says why there is none.

    It keeps no prepared statement beyond its transaction, so that it works behind a pooler too. Limits that an
    operator gave the database or the role are for the short work of a service: they do not cut a command short.
    With `timelines` every server is heard first, and no former primary is taken: for what must not be lost.
    """

    async def opening(place: Mapping[str, Any]) -> OwnNames:
        try:
            return await _patient(await _connected(url, place, seconds, {"application_name": name} | UNHURRIED))
        except asyncpg.ProtocolViolationError:  # a pooler that knows no such parameter
            pass
        except asyncpg.PostgresError as error:
            raise explained(error) from error
        try:
            return await _connected(url, place, seconds, {"application_name": name})
        except asyncpg.PostgresError as error:
            raise explained(error) from error

    connection, _ = await Hosts[OwnNames](url, opening, seconds, timelines).open(hear_all=timelines is not None)
    return connection
