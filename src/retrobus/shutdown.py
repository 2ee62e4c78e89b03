"""How the service stops: /ready says so before the socket closes, then running requests finish."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NOTICE = 1.0
"""Seconds between /ready turning 503 and the end of listening: about as often as load balancers look."""


@contextmanager
def notice(tell: Callable[[], None]) -> Iterator[None]:
    """While open, SIGTERM calls `tell`, and reaches the server's own handler a moment later."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's; whoever runs us in another stops us otherwise
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)  # a second signal does not wait any more
        loop.call_soon_threadsafe(tell)  # not here: a signal may interrupt the writing of a log line
        if callable(before):
            loop.call_soon_threadsafe(loop.call_later, NOTICE, before, number, frame)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
