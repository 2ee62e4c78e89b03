"""Processes of `retrobus` that start in some milliseconds: each is forked from one that has imported the program.

A fresh interpreter spends a second of CPU on the imports, and all tests together start two hundred processes. A forked
process is a process like any other: it has a pid, a process group, an environment, a folder and an output of its own,
and it ends by signals and exit codes as `retrobus` does.
"""

import atexit
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

PRELOADED = (
    "asyncpg", "httptools", "uvicorn.protocols.http.httptools_impl", "uvicorn.supervisors", "uvloop",
    "retrobus.app", "retrobus.cli.program", "retrobus.serving.connection", "retrobus.serving.server",
)  # fmt: skip
NURSERY = "import sys; sys.path.insert(0, {!r}); import forked; forked.nursery(); from retrobus.cli import main; main()"


class Forked:
    """A process of `retrobus`, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(_address())
        order = [arguments, str(folder.absolute()), environment, str(output.absolute())]
        self._link.sendall(json.dumps(order).encode() + b"\n")
        self._said = self._link.makefile("r")
        self.pid = int(self._said.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once the process has ended."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("retrobus", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._link], [], [], timeout)[0]:
            self.returncode = int(self._said.readline())
            self._said.close()
            self._link.close()
        return self.returncode


@cache
def _address() -> str:
    """The socket of the nursery, which is started with the first process and ends with this program."""
    folder = TemporaryDirectory(prefix="retrobus-nursery-")
    atexit.register(folder.cleanup)
    address = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        program = NURSERY.format(str(Path(__file__).parent))
        nursery = subprocess.Popen(
            [sys.executable, "-c", program, str(listener.fileno())],
            stdin=subprocess.PIPE,  # its end tells the nursery that this program is gone
            pass_fds=[listener.fileno()],
            process_group=0,
        )
    atexit.register(nursery.wait)
    atexit.register(nursery.kill)
    return address


def nursery() -> None:
    """Imports the program, then forks a process for each order until the test run ends.

    Returns in every forked process, ready to be `retrobus`; in the nursery itself it never returns.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the midwives are not waited for
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        while select.select([listener.fileno(), 0], [], [])[0] == [listener.fileno()]:
            link = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                return _deliver(link)
            link.close()
    os._exit(0)


def _deliver(link: socket.socket) -> None:
    """Forks one process as it was ordered, tells its pid and then its exit code; returns in that process only."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with link.makefile("r") as ordered:
        order = json.loads(ordered.readline())
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        link.close()
        return _become(*order)
    link.sendall(f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    link.sendall(f"{code}\n".encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    """Gives this process what a shell would have given it."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
        opened = os.open(file, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    sys.path.remove(str(Path(__file__).parent))
    sys.argv = ["retrobus", *arguments]
    if "PYTHONPATH" in environment:  # a new interpreter would load the sitecustomize that it finds there
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
