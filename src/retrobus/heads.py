"""How the service reads the head of a request: neither its size nor its slowness can hold the process up."""

import asyncio
import secrets
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from retrobus.problems import Problem, answer

HEAD_BYTES = 65_536
"""Bytes after which an unfinished head is refused; a finished one over 16 KiB is refused by the edge."""

HEAD_DEADLINE = 15.0
"""Seconds within which a head must have arrived."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's reader, which by itself waits for the end of a head for ever, and keeps all of it meanwhile."""

    _reading = True
    _received = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        unfinished = self._reading
        super().data_received(data)
        if unfinished and self._reading:
            self._received += len(data)
            if self._received > HEAD_BYTES:
                self._refuse()
        elif self._reading and self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        self._reading, self._received = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._reading = False
        self._rest()
        super().on_headers_complete()

    def _watch(self) -> None:
        self._timer = self.loop.call_later(HEAD_DEADLINE, self.transport.close)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self) -> None:
        """Ends the connection with the one error body, unless an earlier answer is still being sent on it."""
        earlier = cast("RequestResponseCycle | None", self.cycle)
        if earlier is None or earlier.response_complete:
            name = secrets.token_hex(8)
            response = answer(Problem("headers_too_large"), request_id=name, accept="", method="GET")
            ending = ((b"x-request-id", name.encode()), (b"connection", b"close"))
            lines = [b"%b: %b" % header for header in (*response.raw_headers, *ending)]
            self.transport.write(b"\r\n".join([b"HTTP/1.1 431 Too Large", *lines, b"", bytes(response.body)]))
        self.transport.close()
