"""Processes of `retrobus` that start in some milliseconds: each is forked from one that has imported the program.

A fresh interpreter spends a second of CPU on the imports, and all tests together start two hundred processes. A forked
process is a process like any other: it has a pid, a process group, an environment, a folder and an output of its own,
and it ends by signals and exit codes as `retrobus` does.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryDirectory
from typing import Any

from patience import VARIABLE, change

PRELOADED = ("alembic.command", "rich.console", "rich.table", "uvicorn.protocols.http.httptools_impl",
             "uvicorn.supervisors", "uvloop")  # fmt: skip
"""What the program imports from others only when it needs it."""

ADDRESS = "RETROBUS_NURSERY"
"""The variable that leads a `stand_in` to the nursery of the program that runs its shell."""

END = b"\n"
NURSERY = "import sys; sys.path.insert(0, {!r}); import forked; forked.nursery(); from retrobus.cli import main; main()"


class Forked:
    """A process of `retrobus`, with the part of `subprocess.Popen` that tests use; `files` are its 0, 1 and 2."""

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        environment: dict[str, str],
        files: tuple[int, int, int],
        *,
        bound: bool = False,
    ) -> None:
        """Starts the process; one that is `bound` is killed when the program that started it ends."""
        self._link = socket.socket(socket.AF_UNIX)
        self._link.connect(os.environ.get(ADDRESS) or address())
        order = json.dumps([arguments, str(folder.absolute()), environment, bound]).encode() + END
        self._link.sendall(order[socket.send_fds(self._link, [order], files) :])
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


def as_program() -> tuple[str, ...]:
    """The words that start `retrobus` from a shell or another program, to be followed by its arguments."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import forked; forked.stand_in()"
    return (sys.executable, "-ISc", code)


def stand_in() -> None:
    """Is `retrobus` for a shell: in its folder, with its environment, its input and its output."""
    sys.exit(Forked(sys.argv[1:], Path.cwd(), dict(os.environ), (0, 1, 2), bound=True).wait())


@cache
def address() -> str:
    """The socket of the nursery, which is started with the first process and ends with this program."""
    folder = TemporaryDirectory(prefix="retrobus-nursery-")
    atexit.register(folder.cleanup)
    found = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(found)
        listener.listen(64)
        program = NURSERY.format(str(Path(__file__).parent))
        nursery = subprocess.Popen(
            [sys.executable, "-c", program, str(listener.fileno())],
            stdin=subprocess.PIPE,  # its end tells the nursery that this program is gone
            pass_fds=[listener.fileno()],
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            start_new_session=True,  # Ctrl-C is not for it, and no process asks its questions on our terminal
        )
    atexit.register(nursery.wait)
    atexit.register(nursery.kill)
    return found


def nursery() -> None:
    """Imports the program, then forks a process for each order until the test run ends.

    Returns in every forked process, ready to be `retrobus`; in the nursery itself it never returns.
    """
    import retrobus  # noqa: PLC0415 - a stand-in needs none of it

    ours = [module.name for module in walk_packages(retrobus.__path__, "retrobus.")]
    for name in [*ours, *PRELOADED]:
        importlib.import_module(name)
    _build_commands()
    gc.collect()
    gc.freeze()  # no process looks through what it inherited, neither for garbage nor at its end
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the midwives are not waited for
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        while select.select([listener.fileno(), 0], [], [])[0] == [listener.fileno()]:
            link = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                return _deliver(link)
            link.close()
    os._exit(0)


def _build_commands() -> None:
    """Builds the tree of all commands for every process to come: typer takes a tenth of a second for it."""
    typer: Any = importlib.import_module("typer.main")
    program = importlib.import_module("retrobus.cli.program")
    typer.get_command = cache(typer.get_command)
    typer.get_command(program.app)


def _deliver(link: socket.socket) -> None:
    """Forks one process as it was ordered, tells its pid and then its exit code; returns in that process only."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores Ctrl-C
    order, files = socket.recv_fds(link, 1 << 16, 3)[:2]
    while not order.endswith(END):
        order += link.recv(1 << 16)
    arguments, folder, environment, bound = json.loads(order)
    pid = os.fork()
    if pid == 0:
        link.close()
        return _become(arguments, folder, environment, files)
    for file in files:
        os.close(file)  # a reader of the process's output must see the end of it
    link.sendall(f"{pid}\n".encode())
    if bound and link.fileno() in select.select([link.fileno(), os.pidfd_open(pid)], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(BrokenPipeError):
        link.sendall(f"{code}\n".encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> None:
    """Gives this process what a shell would have given it."""
    os.setpgid(0, 0)  # Ctrl-C can be sent to it and its children alone
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if VARIABLE in environment:
        change(json.loads(environment[VARIABLE]))
    sys.path.remove(str(Path(__file__).parent))
    sys.argv = ["retrobus", *arguments]
    if "PYTHONPATH" in environment:  # a new interpreter would load the sitecustomize that it finds there
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
        sys.modules.pop("sitecustomize", None)
        if find_spec("sitecustomize") is not None:
            importlib.import_module("sitecustomize")
