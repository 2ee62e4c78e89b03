"""Time limits of the service that end when the test has reached the state it is about, and never by themselves.

A short limit would race with the test on a slow machine: it could be over before the state exists.
"""

import asyncio
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from harness import run_sql
from retrobus.store import commit
from retrobus.store.pool import Connection

PAUSE = 0.01
"""Seconds between two looks whether a limit is over."""


def limit_commits(patch: pytest.MonkeyPatch, over: Callable[[int], object]) -> None:
    """Cuts a COMMIT off, or a write that commits by itself, once `over` is true of its server process (the pid)."""

    async def wait(connection: Connection) -> None:
        while not await asyncio.to_thread(over, connection.get_server_pid()):  # noqa: ASYNC110 - the server tells no event
            await asyncio.sleep(PAUSE)
        connection.terminate()

    patch.setattr(commit, "limited", lambda connection: asyncio.create_task(wait(connection)))


class Clock:
    """The clock of a module, which the test puts ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0
        """Seconds."""

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def clock_of(patch: pytest.MonkeyPatch, module: ModuleType) -> Clock:
    """Gives the module a clock instead of `time`."""
    clock = Clock()
    patch.setattr(module, "time", clock)
    return clock


def waiting_for_a_standby(url: str) -> Callable[[int], object]:
    """Whether a process of this server waits until a standby confirms its COMMIT."""
    return lambda pid: run_sql(url, f"SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = {pid}")
