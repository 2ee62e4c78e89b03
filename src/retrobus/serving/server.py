"""How one process of the service stops: load balancers hear of it first, then running requests finish."""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import cast

import uvicorn
from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn, LifespanSendMessage

from retrobus import logbook
from retrobus.serving.connection_end import EndingConnection, State
from retrobus.serving.listening import address_of, refuse_new
from retrobus.toggles import CannotStart

NOTICE = 1.0
"""Seconds between /ready turning 503 and the end of listening: about as often as load balancers look."""

LONGEST_ANSWER = 30
"""Seconds that running requests have to finish before the stop cuts them."""

LATECOMERS = 0.4
"""Seconds for connections that are half made, or wait in the kernel's queue, to reach us."""

LOOKED_EVERY = 0.5
"""Seconds between two looks of a supervisor at its processes: it hears of a stop at most so much later."""


class Lifespan(LifespanOn):
    """uvicorn's start of the application. It prevents that a refusal to start is buried in a trace.

    For example: after the command's checks another service takes the folder of the journal. The operator reads that
    sentence alone.
    """

    refused = False
    """Whether the application refused to start with these settings."""

    async def send(self, message: LifespanSendMessage) -> None:
        error = sys.exception()  # the application tells of its failure while it handles the error
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CannotStart):
            self.refused = True
            sys.stderr.write(f"❌ {error}.\n")
            self.logger.setLevel(logging.CRITICAL)  # uvicorn has only the trace to add, and the process ends
        await super().send(message)


class PoliteServer(uvicorn.Server):
    """uvicorn's server. It prevents that a stop resets connections, or surprises the load balancer.

    1. /ready says 503 and every answer `Connection: close`, while new connections are still served (not at Ctrl-C).
    2. No new connection begins; those that are in the kernel's queue are still taken.
    3. Idle connections end, running requests finish (30 s at most), the application closes its store.

    Where another process goes on listening at the same socket (a reload; SIGUSR1 from the supervisor), 3 is enough.
    """

    def __init__(self, config: Config, *, replaces_dead: bool = False, reloads: bool = False) -> None:
        super().__init__(config)
        self.server_state: State = State()
        self._replaces_dead = replaces_dead
        self._reloads = reloads

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Starts the application, then listens; a refusal to start ends the process with exit code 78."""
        self.lifespan = lifespan = Lifespan(self.config)
        try:
            await super().startup(sockets)
        except SystemExit:
            if lifespan.refused:
                sys.exit(os.EX_CONFIG)
            raise
        if self._replaces_dead:
            self.lifespan.state["count_death"]()
        for listener in (listener for server in self.servers for listener in server.sockets):
            logbook.listening(address_of(listener))

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stops in the three steps above, or in the last alone."""
        self.server_state.stopping = True
        for connection in list(self.server_state.connections):
            cast("EndingConnection", connection).announce_stop()
        self.lifespan.state["end_streams"]()
        if self._captured_signals and not self._reloads:
            self.lifespan.state["stop"]()
            await self._give_notice()
            await self._take_latecomers(sockets or [])
        await super().shutdown(sockets)

    async def _take_latecomers(self, listeners: list[socket]) -> None:
        if multiprocessing.parent_process() is None:
            refuse_new(listeners)
            await asyncio.sleep(LATECOMERS)
        else:  # the supervisor alone knows whether no other process goes on listening
            await asyncio.sleep(LOOKED_EVERY + LATECOMERS)

    async def _give_notice(self) -> None:
        """Waits until load balancers have noticed; not at Ctrl-C."""
        if signal.SIGINT not in self._captured_signals:
            await asyncio.sleep(NOTICE)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A closed terminal (SIGHUP) stops the service like SIGTERM; a worker leaves that signal to its supervisor.

        SIGUSR1 ends a worker whose place another has taken: the service goes on, so it gives no notice.
        """
        alone = multiprocessing.parent_process() is None
        with super().capture_signals():
            if threading.current_thread() is not threading.main_thread():
                yield  # signals are the main thread's
                return
            before = signal.signal(signal.SIGHUP, self.handle_exit if alone else signal.SIG_IGN)
            if not alone:
                signal.signal(signal.SIGUSR1, self._retire)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, before)

    def _retire(self, *_: object) -> None:
        self.should_exit = True
