"""Requests that are under way at the same time, or while the test does something else."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
CONNECTIONS = 16
_threads = ThreadPoolExecutor(2 * CONNECTIONS)


def in_background(call: Callable[[], T]) -> Future[T]:
    """Starts the call; its result is the future's."""
    return _threads.submit(call)


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Makes all the calls, sixteen at a time; their results in order."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]
