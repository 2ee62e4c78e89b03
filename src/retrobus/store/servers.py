"""Which server the service speaks to: chosen at each new connection, remembered, and looked for again if need be."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from retrobus import logbook
from retrobus.hosts import Hosts
from retrobus.server import Server, Timelines
from retrobus.store.pool import Connection

SURVEY = 1.0
"""Seconds between two looks for a better server, where there may be one."""


class Servers:
    """Opens the service's connections.

    Promise: a primary in whose place another was promoted is left within seconds of the moment at which the other
    answers, even if the connections to it still work.
    """

    def __init__(
        self,
        url: str,
        opening: Callable[[Mapping[str, Any]], Awaitable[Connection]],
        seconds: float,
        timelines: Timelines,
    ) -> None:
        self.current: Server | None = None
        self._hosts = Hosts(url, opening, seconds, timelines)
        self._timelines = timelines

    @property
    def last_words(self) -> str:
        """What the servers last had against a connection."""
        return self._hosts.reason

    async def open(self) -> Connection:
        """A connection to the first server that suits; CannotConnect if there is none."""
        return self._arrived(*await self._hosts.open())

    async def open_newest(self) -> Connection:
        """The same after every server was heard, or let its time pass: for what must go to no former primary."""
        return self._arrived(*await self._hosts.open(hear_all=True))

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
                with suppress(Exception):  # whether Postgres is away, others find out
                    (await self.open()).terminate()

    def _arrived(self, connection: Connection, server: Server) -> Connection:
        connection.server = server
        was_short, self.current = self._is_short(), server
        if self._is_short() and not was_short:
            logbook.server_read_only(server.nature)
        elif was_short and not self._is_short():
            logbook.server_writable()
        return connection

    def _is_short(self) -> bool:
        """Whether the present server refuses the writes that the address asks for."""
        return self._hosts.wants_writes and self.current is not None and not self.current.writable
