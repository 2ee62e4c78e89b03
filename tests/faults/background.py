"""Requests that are under way while the test does something else."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_threads = ThreadPoolExecutor(32)


def in_background(call: Callable[[], T]) -> Future[T]:
    """Starts the call; its result is the future's."""
    return _threads.submit(call)
