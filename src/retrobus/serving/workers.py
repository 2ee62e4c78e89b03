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

SHORT_LIFE, LONGEST_PAUSE = 10.0, 30.0
"""Seconds of life below which a process died young, and the longest pause before another one takes its place."""

FAILURES = (STARTUP_FAILURE, os.EX_CONFIG)
"""The exit codes of a process that cannot start."""


class Worker(Process):
    """One process, which counts the death of the process that it replaces."""

    def __init__(self, config: Config, sockets: list[socket], *, replaces_dead: bool = False) -> None:
        super().__init__(config, sockets)
        self._server = PoliteServer(config, replaces_dead=replaces_dead)
        self._heard = self._born = time.monotonic()

    @property
    def died_young(self) -> bool:
        """Asked at its death: whether it had just been started, so that the next one may die as soon."""
        return time.monotonic() - self._born < SHORT_LIFE

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
    _pause = 0.0
    _not_before = 0.0

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
        """Replaces each process that died or answers no more; after early deaths it pauses, longer each time.

        It prevents that processes which die at once, for want of memory for example, take the machine's last strength.
        """
        if time.monotonic() < self._not_before:
            return
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
            self._replace(place, "ne répondait plus" if hung else _end_of(process.process))

    def _replace(self, place: int, how: str) -> None:
        dead = cast("Worker", self.processes[place])
        self._pause = min(max(self._pause * 2, 1.0), LONGEST_PAUSE) if dead.died_young else 0.0
        self._not_before = time.monotonic() + self._pause
        logbook.worker_died(dead.pid, how, self._pause)
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
