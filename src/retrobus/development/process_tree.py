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


def until(condition: Callable[[], bool]) -> bool:
    """Wait for the condition for 30 s at most, and tell whether it came true."""
    deadline = time.monotonic() + DEADLINE
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


def end(pid: int, request: int) -> None:
    """Send the signal that asks a process, frozen or not, to end; kill its whole tree when it does not."""
    thaw(pid)
    _send(request, [pid])
    if not until(lambda: not is_alive(pid)):
        kill(pid)


def kill(pid: int) -> None:
    """End a process and its children at once, leaving them no time to tidy up."""
    everyone = freeze(pid)
    _send(SIGKILL, everyone)
    until(lambda: not any(map(is_alive, everyone)))


def freeze(pid: int) -> list[int]:
    """Suspend a process, then its children (none can be born any more); return all their ids."""
    _send(SIGSTOP, [pid])
    until(lambda: _state(pid)[0] in "TZ")
    everyone = family(pid)
    _send(SIGSTOP, everyone)
    until(lambda: all(_state(each)[0] in "TZ" for each in everyone))
    return everyone


def thaw(pid: int) -> None:
    """Let a frozen process and its children go on."""
    _send(SIGCONT, family(pid))


def family(pid: int) -> list[int]:
    """The process, then its children."""
    everyone = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
    return [pid, *(each for each in everyone if _state(each)[1] == pid)]


def is_alive(pid: int) -> bool:
    """Whether the process still runs or is frozen; a zombie does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state(pid)[0] != "Z"


def _state(pid: int) -> tuple[str, int]:
    """The letter of its state and its parent; an empty one and 0 when it is gone."""
    try:
        letter, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "", 0
    return letter, int(parent)


def _send(number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
