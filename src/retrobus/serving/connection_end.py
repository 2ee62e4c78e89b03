"""How a connection ends: neither an answer nor a request that is on its way is lost."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from retrobus.serving.cycle import Cycle
from retrobus.serving.last_bytes import SILENCE, Lingering
from retrobus.serving.unsent import Unsent

IDLE_SILENCE = 1.0
"""Seconds that an idle client has to notice that its connection ends."""

STOP_GRACE = 0.25
"""Seconds in which an idle connection may still bring a request that was on its way when the service stopped."""

READ_FIRST = 0.01
"""Seconds in which the loop reads what has arrived already."""


def _nothing() -> None:
    """What an answer that ends by itself does when the client sends no more."""


class State(ServerState):
    """The facts that all connections of one server share."""

    stopping = False
    """Whether every answer says `Connection: close`."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = Unsent()


class EndingConnection(HttpToolsProtocol):
    """uvicorn's connection. It prevents a reset, which would take an answer or a request away.

    It ends in the order of TCP: our last byte, the client's last byte, the close.
    """

    cycle: Cycle

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._begun = False
        """Whether the head of a request has begun and not ended."""
        self._deaf = False
        """Whether the bytes that come are thrown away."""
        self._heard_end = False
        self._deadline: asyncio.TimerHandle | None = None
        self._lingering: Lingering | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._forget_deadline()
        if self._lingering is not None:
            self._lingering.stop()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always closes; asyncio asks
        """The client sends no more; it may still wait for an answer."""
        self._heard_end = True
        if self._lingering is not None or not self._answering:
            return False
        if self.cycle.more_body:
            self.cycle.break_off()
        self._end_after_answer()
        self.cycle.scope["state"].get("on_end", _nothing)()  # an endless answer ends: nothing else would tell it
        return True

    def on_response_complete(self) -> None:
        cast("State", self.server_state).unsent.note(self.transport)
        if not self.cycle.last:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self._end(SILENCE if self.cycle.more_body or self._deaf else IDLE_SILENCE)

    def timeout_keep_alive_handler(self) -> None:
        self._end(IDLE_SILENCE)

    def announce_stop(self) -> None:
        """The service stops: an answer that has not begun says `Connection: close`."""
        if self._answering:
            self.cycle.last = True

    def shutdown(self) -> None:
        """Ends an idle connection, after a moment for a request that is on its way; others end with their answer."""
        self.announce_stop()
        self.loop.call_later(STOP_GRACE, self._look_once_more)

    def _look_once_more(self) -> None:
        """Lets the loop read first: uvloop looks at its timers before it reads what came while the process paused."""
        self.loop.call_later(READ_FIRST, self._end_if_idle)

    @property
    def _answering(self) -> bool:
        cycle = cast("Cycle | None", self.cycle)  # none before the first request
        return cycle is not None and not cycle.response_complete

    def _end_after_answer(self) -> None:
        self._deaf = True
        self.cycle.last = True

    def _end_if_idle(self) -> None:
        if not self._answering and not self._begun and self._lingering is None:
            self._end(IDLE_SILENCE)

    def _end(self, silence: float) -> None:
        self._unset_keepalive_if_required()
        self._forget_deadline()
        self._deaf = True
        if self._heard_end or self.transport.is_closing():
            self.transport.close()
            return
        self.flow.resume_reading()
        self._lingering = Lingering(self.transport, self.loop, silence)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
