"""Ends, kills, freezes and thaws a process together with its children, and waits until it is so."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEADLINE = 30.0
"""Seconds that a process may take to end."""


def until(condition: Callable[[], bool]) -> bool:
    """Waits for the condition, 30 s at most; gives whether it came true."""
    deadline = time.monotonic() + DEADLINE
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


def end(pid: int, request: int) -> None:
    """Asks a process, frozen or not, to end by this signal; kills it and its children if it does not."""
    thaw(pid)
    _send(request, [pid])
    if not until(lambda: not is_alive(pid)):
        kill(pid)


def kill(pid: int) -> None:
    """Ends a process and its children with SIGKILL: none can tidy up."""
    pids = freeze(pid)
    _send(SIGKILL, pids)
    until(lambda: not any(map(is_alive, pids)))


def freeze(pid: int) -> list[int]:
    """Suspends a process, then its children, of which it can start no more; gives the ids of all."""
    _send(SIGSTOP, [pid])
    until(lambda: _state(pid)[0] in "TZ")
    pids = family(pid)
    _send(SIGSTOP, pids)
    until(lambda: all(_state(each)[0] in "TZ" for each in pids))
    return pids


def thaw(pid: int) -> None:
    """Lets a frozen process and its children go on."""
    _send(SIGCONT, family(pid))


def family(pid: int) -> list[int]:
    """The process, then its children."""
    running = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return [pid, *(each for each in running if _state(each)[1] == pid)]


def is_alive(pid: int) -> bool:
    """Whether the process still runs or is frozen; a zombie does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state(pid)[0] != "Z"


def _state(pid: int) -> tuple[str, int]:
    """The letter of a process's state and the id of its parent; an empty text and 0 if it has ended."""
    try:
        letter, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "", 0
    return letter, int(parent)


def _send(number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
