"""Answers that clients have not taken yet: bounded in memory and in time, however many clients read nothing."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from termios import TIOCOUTQ

MOST = 128 * 1024 * 1024
"""Bytes of answers that clients of one process have not taken: hundreds of lists, or thirty images of 4 MB."""

PATIENCE = 30.0
"""Seconds that a client may take nothing of its answer."""

LOOK = 1.0
"""Seconds between two looks at the answers that wait."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many bytes of an answer the client has not taken, and since when it took none.

    The kernel holds up to some megabytes of them. They count, because an answer stays whole in our memory until the
    kernel has all of it. And they tell that a slow client moves: it may take a minute until the kernel takes more.
    """

    untaken: int
    since: float


class Unsent:
    """Prevents that clients who ask for large answers and do not read fill the memory of the process.

    A client that takes nothing for PATIENCE seconds is cut off. If more than MOST bytes are not taken, the clients that
    have taken nothing for longest are cut off first. For example: a hundred clients ask for an image of 4 MB and read
    nothing, one reads it slowly. When the 33rd image does not fit, the first client that reads nothing is cut off.
    """

    def __init__(self) -> None:
        self._answers: dict[asyncio.Transport, Waiting] = {}
        self._total = 0
        self._timer: asyncio.TimerHandle | None = None

    def note(self, transport: asyncio.Transport) -> None:
        """An answer was handed to this connection; what the client has not taken of it waits."""
        untaken = _untaken(transport)
        if not untaken:
            return
        loop = asyncio.get_running_loop()
        self._answers[transport] = Waiting(untaken, loop.time())
        self._total += untaken
        if self._total > MOST:
            self._look()
        elif self._timer is None:
            self._timer = loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        """Forgets answers that were taken, cuts off who takes nothing, and looks again while an answer waits."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._answers = {one: now for one, had in self._answers.items() if (now := _seen(one, had, loop.time()))}
        self._total = sum(waiting.untaken for waiting in self._answers.values())
        late = loop.time() - PATIENCE
        for transport, waiting in sorted(self._answers.items(), key=lambda item: item[1].since):
            if self._total > MOST or waiting.since < late:
                self._total -= waiting.untaken
                del self._answers[transport]
                reset(transport)
        self._timer = loop.call_later(LOOK, self._look) if self._answers else None


def reset(transport: asyncio.Transport) -> None:
    """Cuts a connection with what waits for its client, also in the kernel, which would keep it for minutes."""
    wire = transport.get_extra_info("socket")
    if wire is not None:
        with suppress(OSError):  # the client may have gone a moment ago
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _seen(transport: asyncio.Transport, had: Waiting, now: float) -> Waiting | None:
    """What waits now; None if nothing waits in our memory any more."""
    untaken = _untaken(transport)
    return Waiting(untaken, had.since if untaken >= had.untaken else now) if untaken else None


def _untaken(transport: asyncio.Transport) -> int:
    """Bytes of an answer that the client has not confirmed; 0 if nothing waits in our memory.

    Where the kernel does not tell what it holds, these are the bytes in our memory alone.
    """
    held = transport.get_write_buffer_size()
    if not held:
        return 0
    wire = transport.get_extra_info("socket")
    with suppress(OSError, AttributeError):
        (found,) = struct.unpack("i", ioctl(wire.fileno(), TIOCOUTQ, bytes(4)))
        return held + int(found)
    return held
