"""The pause between our last byte and the close of a connection, so that the client still reads its answer."""

import asyncio

DRAINED_BYTES = 16 * 1024 * 1024
"""Bytes that a client may still send after its answer; then the connection is cut."""

DRAINED_SECONDS = 30.0
"""Seconds that a client may go on sending after its answer."""

SILENCE = 5.0
"""Seconds without a byte after which the service no longer waits for the rest of a request."""


class Lingering:
    """The pause: our side has ended, and the bytes that the client still sends are thrown away.

    Closing at once while bytes arrive makes the kernel send a reset, and a reset takes the answer away from a client
    that has not read it yet (nginx tells its own client 502 then). The connection is closed when the client ends its
    side, or at one of the bounds.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, silence: float) -> None:
        self._transport, self._loop, self._silence = transport, loop, silence
        self._left = DRAINED_BYTES
        self._end = loop.time() + DRAINED_SECONDS
        self._heard = False
        transport.write_eof()
        self._timer = loop.call_later(silence, self._look)

    def took(self, count: int) -> None:
        """Notes bytes that came and were thrown away."""
        self._heard = True
        self._left -= count
        if self._left < 0:
            self._transport.close()

    def stop(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _look(self) -> None:
        if not self._heard or self._loop.time() > self._end:
            self._transport.close()
            return
        self._heard = False
        self._timer = self._loop.call_later(self._silence, self._look)
