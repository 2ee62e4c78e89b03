"""The application inside one process of the service; the process ends with the one that supervises it."""

import multiprocessing
import os
import signal
from threading import Thread
from typing import Any

from retrobus.app import create


def application() -> Any:
    """The application from the environment; if a supervisor started this process, its end ends this process too."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    return create(_sample)


def _sample() -> dict[str, list[dict[str, object]]]:
    """The rows of a service in development that has no database: no other service imports them."""
    from retrobus.development.sample import with_admin

    return with_admin()


def _end_with(supervisor: Any) -> None:
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
