"""Which server the service speaks to: chosen at each new connection, and looked for again where a better may be."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from retrobus import logbook
from retrobus.database.errors import CannotConnect, reason_of
from retrobus.database.hosts import Hosts
from retrobus.database.server import Server, Timelines
from retrobus.store.failover import Acknowledged, Failover
from retrobus.store.pool import Connection

SURVEY = 1.0
"""Seconds between two looks for a better server, where there may be one."""


class Servers:
    """Opens the service's connections.

    Promise: when another server was promoted, the service leaves the former primary within seconds after the other
    answers, even if its connections still work; and a failover that lost acknowledged writes is logged.
    """

    def __init__(
        self,
        url: str,
        opening: Callable[[Mapping[str, Any]], Awaitable[Connection]],
        seconds: float,
        timelines: Timelines,
    ) -> None:
        self.current: Server | None = None
        self.acknowledged = Acknowledged()
        self.failover: Failover | None = None
        self.lost = 0
        """Acknowledged writes that failovers lost since the start, as far as this process knows."""

        self._hosts = Hosts(url, opening, seconds, timelines)
        self._timelines = timelines
        self._examined = dict(timelines.highest)
        self._examining = asyncio.Lock()
        self._told_former: Server | None = None

    @property
    def last_words(self) -> str:
        """The reason of each server when they were last asked."""
        return self._hosts.reason

    async def open(self) -> Connection:
        """A connection to the first server that suits; CannotConnect if there is none."""
        return await self._opened(hear_all=False)

    async def open_newest(self) -> Connection:
        """The same, after every server has answered or its time is over: for writes that no former primary may get."""
        return await self._opened(hear_all=True)

    def is_current(self, connection: Connection) -> bool:
        """Whether the service still speaks to the server of this connection."""
        if self._timelines.is_left_behind(connection.server):
            return False
        return not self._hosts.wants_writes or connection.server == self.current

    async def watch(self) -> None:
        """Runs for as long as the service does: looks for a better server, if the address allows that there is one."""
        while True:
            await asyncio.sleep(SURVEY)
            if len(self._hosts.places) > 1 or self._is_short():
                with suppress(Exception):  # `Availability` finds out whether PostgreSQL is away
                    (await self.open()).terminate()

    async def _opened(self, *, hear_all: bool) -> Connection:
        try:
            connection, server = await self._hosts.open(hear_all=hear_all)
        finally:
            self._tell_former()
        connection.server = server
        self._arrive(server)
        try:
            await self._examine(connection)
        except Exception as error:  # the next connection is examined again
            if connection.is_closed():
                raise CannotConnect(reason_of(error)) from error
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _tell_former(self) -> None:
        """Logs a primary that does not know its successor yet, once for each."""
        former = self._hosts.former
        if former is not None and former != self._told_former:
            logbook.former_primary(former.timeline, self._timelines.highest[former.system or ""])
            self._told_former = former

    def _arrive(self, server: Server) -> None:
        was_short, self.current = self._is_short(), server
        if self._is_short() and not was_short:
            logbook.server_read_only(server.nature)
        elif was_short and not self._is_short():
            logbook.server_writable()

    def _is_short(self) -> bool:
        """Whether the present server refuses the writes that the address asks for."""
        return self._hosts.wants_writes and self.current is not None and not self.current.writable

    async def _examine(self, connection: Connection) -> None:
        """On a new timeline, before anything else: looks for the writes that were acknowledged on the one before."""
        server = connection.server
        if server.system is None or server.standby or server.timeline <= self._examined.get(server.system, 0):
            return
        async with self._examining:
            known = self._examined.get(server.system)
            if known is not None and known < server.timeline:
                self._tell_failover(await self.acknowledged.look_for(connection, server.timeline))
            self._examined[server.system] = max(server.timeline, known or 0)

    def _tell_failover(self, found: Failover) -> None:
        self.failover = found
        self.lost += len(found.lost)
        if found.lost:
            logbook.failover_lost(found.timeline, len(found.lost), found.checked, found.examples)
        else:
            logbook.failover_clean(found.timeline, found.checked)
