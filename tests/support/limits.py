"""Time limits of the service: so long that no busy machine reaches them, or ended by the test itself.

A limit of some seconds would race with the test: on a machine that does other work it can be over before the state
exists that the test is about. So `conftest.py` makes the short limits of the program long, for all tests. A test about
a limit sets it, gives the module a clock, or takes the program's own (`usual`).
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from harness import run_sql
from patience import VARIABLE, change
from retrobus.store import commit, opening, statements
from retrobus.store.pool import Connection

PAUSE = 0.01
"""Seconds between two looks whether a limit is over."""

ENDLESS = 3600.0
"""Seconds: longer than any test."""

PATIENT: dict[str, Any] = {
    "retrobus.fallback.feed.PATIENCE": ENDLESS,
    "retrobus.fallback.mirrored.PATIENCE": ENDLESS,
    "retrobus.fallback.opening.CATCH_UP": ENDLESS,
    "retrobus.store.commit.COMMIT_TIMEOUT": ENDLESS,
    "retrobus.store.diagnosis.PATIENCE": ENDLESS,
    "retrobus.store.opening.SESSION": opening.SESSION
    | {"lock_timeout": "0", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"},
    "retrobus.store.pool.ACQUIRE_TIMEOUT": ENDLESS,
    "retrobus.store.pool.LATE": ENDLESS,
    "retrobus.store.pool.LONGEST_USE": ENDLESS,
    "retrobus.store.readings.LONGEST": ENDLESS,
    "retrobus.store.statements.SETTLE": statements.SETTLE.replace("pid, 1000", "pid, 3600000"),
}
"""The limits that end some work after a few seconds, by the names of their modules."""

DATABASE_TIMEOUT = 60
"""Seconds: the most that DATABASE_TIMEOUT may be. A server that hangs is noticed late: a test about this sets it."""


@cache
def _programs_own() -> dict[str, Any]:
    """The limits as they are in the code."""
    return {name: _present(name) for name in PATIENT}


def _present(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def be_patient() -> None:
    """Makes the short limits long: in this process, and in every process of `retrobus` that it starts."""
    _programs_own()
    change(PATIENT)
    os.environ[VARIABLE] = json.dumps(PATIENT)
    os.environ["DATABASE_TIMEOUT"] = str(DATABASE_TIMEOUT)


def usual(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Gives these limits, named without `retrobus`, the values that they have in the code; in this process."""
    for name in names:
        patch.setattr(f"retrobus.{name}", _programs_own()[f"retrobus.{name}"])


def of_a_process(**limits: Any) -> dict[str, str]:
    """The environment of a process with these limits beside the patient ones; their names with `__` instead of `.`."""
    return {VARIABLE: json.dumps(PATIENT | {f"retrobus.{name.replace('__', '.')}": limits[name] for name in limits})}


AS_IN_THE_CODE = {VARIABLE: "{}"}
"""The environment of a process with the limits that are in the code."""


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
