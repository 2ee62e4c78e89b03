"""Background tasks that do not die unseen: one that ends with an error is logged, counted and started again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from retrobus import logbook

FIRST_PAUSE, LONGEST_PAUSE = 0.3, 30.0
"""Seconds before a task is started again: doubled at each failure, up to the longest."""

SOUND = 60.0
"""Seconds of work after which a failure counts as the first one again."""

Work = Callable[[], Awaitable[None]]
Count = Callable[[str], None]


class Background:
    """Runs tasks beside the requests for as long as the service does.

    Promise: a task that fails is told in the log with its name and error, counted through `count`, and started again
    after a pause. A task is expected to run for ever: one that returns has failed too.
    """

    def __init__(self, count: Count) -> None:
        self._count = count

    @asynccontextmanager
    async def running(self, name: str, work: Work) -> AsyncIterator[None]:
        """The task for as long as the block; it is cancelled and waited for at the end."""
        task = asyncio.create_task(self._forever(name, work), name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _forever(self, name: str, work: Work) -> None:
        pause = FIRST_PAUSE
        while True:
            begun = time.monotonic()
            error: Exception | None = None
            try:
                await work()
            except Exception as found:  # noqa: BLE001 - whatever it was, it is told and the task goes on
                error = found
            if time.monotonic() - begun > SOUND:
                pause = FIRST_PAUSE
            self._count(name)
            logbook.background_failed(name, error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
