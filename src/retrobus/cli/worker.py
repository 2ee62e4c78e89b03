"""The application inside one process of the service, which never outlives the process that supervises it."""

import multiprocessing
import os
import signal
from threading import Thread
from typing import Any

from retrobus.app import create


def application() -> Any:
    """The application from the environment; under a supervisor, its death ends this process too."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    return create()


def _end_with(supervisor: Any) -> None:
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
