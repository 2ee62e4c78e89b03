"""Several processes of the service at one address: the supervisor logs, counts and replaces each that dies."""

import os
import signal
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from socket import socket
from typing import cast

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from retrobus import logbook
from retrobus.serving.listening import refuse_new
from retrobus.serving.server import LATECOMERS, LOOKED_EVERY, NOTICE, PoliteServer

HUNG_AFTER = 30.0
"""Seconds without an answer after which a process counts as hung; a start on a busy machine takes some."""

FAILURES = (STARTUP_FAILURE, os.EX_CONFIG)
"""The exit codes of a process that cannot start."""


class Worker(Process):
    """One process, which counts the death of the process that it replaces."""

    def __init__(self, config: Config, sockets: list[socket], *, replaces_dead: bool = False) -> None:
        super().__init__(config, sockets)
        self._server = PoliteServer(config, replaces_dead=replaces_dead)
        self._heard = time.monotonic()

    def is_alive(self, timeout: float = HUNG_AFTER) -> bool:
        """Whether the process runs and has answered within this time.

        uvicorn waits for the answer, so that one hung process would keep its supervisor from the others.
        """
        with suppress(OSError, EOFError):
            self.parent_conn.send(b"ping")
            while self.parent_conn.poll():
                self.parent_conn.recv()
                self._heard = time.monotonic()
        return self.process.is_alive() and time.monotonic() - self._heard < timeout


class Workers(Multiprocess):
    """uvicorn's supervisor. It prevents that a death stays unseen, and that a reload leaves no process listening."""

    _with_notice = True

    @property
    def failure(self) -> int | None:
        """The exit code of a process that could not start, if any: each would fail again, so the service ends."""
        return next((process.exitcode for process in self.processes if process.exitcode in FAILURES), None)

    def run(self) -> None:
        """Serves until SIGTERM or Ctrl-C, or until a process cannot start."""
        self.init_processes()
        while not self.should_exit.wait(LOOKED_EVERY):
            self.handle_signals()
            self.keep_subprocess_alive()
        self.terminate_all()
        if self.failure is None:
            self._end_listening()
        self.join_all()

    def init_processes(self) -> None:
        """Starts all processes."""
        self.processes = [self._started() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Replaces each process that died or answers no more."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive(timeout=HUNG_AFTER):
                continue
            hung = process.process.is_alive()
            process.kill()
            process.join()
            if process.exitcode in FAILURES:
                self.should_exit.set()
                return
            logbook.worker_died(process.pid, "ne répondait plus" if hung else _end_of(process.process))
            self.processes[place] = self._started(replaces_dead=True)

    def restart_all(self) -> None:
        """SIGHUP: replaces the processes one after the other; each new one serves before the old one stops."""
        for place, old in enumerate(self.processes):
            new = self._started()
            if not new.wait_until_ready(HUNG_AFTER, self.should_exit):
                new.kill()
                new.join()
                logbook.worker_not_ready(old.pid)
                return
            os.kill(cast("int", old.pid), signal.SIGUSR1)
            old.join()
            self.processes[place] = new

    def handle_int(self) -> None:
        """Ctrl-C: stops without notice."""
        self._with_notice = False
        self.should_exit.set()

    def handle_ttin(self) -> None:
        """SIGTTIN: one process more."""
        self.processes_num += 1
        self.processes.append(self._started())

    def _started(self, *, replaces_dead: bool = False) -> Worker:
        worker = Worker(self.config, self.sockets, replaces_dead=replaces_dead)
        worker.start()
        return worker

    def _end_listening(self) -> None:
        """Closes our own copies of the sockets after the processes have taken what waited in the kernel's queue."""
        if self._with_notice:
            time.sleep(NOTICE)
        refuse_new(self.sockets)
        time.sleep(LATECOMERS)
        for listener in self.sockets:
            listener.close()


def _end_of(process: BaseProcess) -> str:
    code = process.exitcode
    if code is None or code >= 0:
        return f"code {code}"
    return signal.Signals(-code).name
