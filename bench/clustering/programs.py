"""The Debian programs of the cluster: finds them, names missing packages, and runs them without root's rights."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from retrobus.development import process_tree

NOBODY = 65534
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
PACKAGES = {
    "patroni": "patroni",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
    str(POSTGRES_BIN / "postgres"): "postgresql-15",
}
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
"""The PATH of an ordinary user leaves out the folder of haproxy."""


def found(program: str) -> str | None:
    """Where a program is; None if it is not installed."""
    return shutil.which(program, path=SEARCHED)


def missing() -> str | None:
    """Which Debian packages are missing and how to install them, in one sentence; None if all are there."""
    packages = [package for program, package in PACKAGES.items() if found(program) is None]
    if found("patroni") and not any(Path("/usr/lib/python3/dist-packages").glob("etcd*")):
        packages.append("python3-etcd")
    if not packages:
        return None
    names = " ".join(packages)
    return f"Missing Debian packages: {names}. Install them: apt-get install --no-install-recommends {names}"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def private(folder: Path) -> Path:
    """Makes a folder of the account that the programs run under."""
    folder.mkdir(mode=0o700)
    hand_over(folder)
    return folder


def hand_over(path: Path) -> None:
    """Gives a file or folder to the account that the programs run under."""
    if is_root():
        os.chown(path, NOBODY, NOBODY)


def is_root() -> bool:
    """Whether the harness runs as root; PostgreSQL refuses to."""
    return os.geteuid() == 0


class Program:
    """One running program with a log file, in a session of its own."""

    def __init__(self, log: Path, *words: str) -> None:
        user = NOBODY if is_root() else None
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": SEARCHED, "LC_ALL": "C.UTF-8"},
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                start_new_session=True,  # Ctrl-C reaches the harness alone, which ends everything in order
            )
        self.pid = self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, unless it ended."""
        if self.runs:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kills it."""
        self.send(signal.SIGKILL)
        self._process.wait(30)


def kill_server(pid: int | None) -> None:
    """Ends a postmaster and its children at once, frozen or not."""
    if pid is not None:
        with suppress(ProcessLookupError):
            process_tree.kill(pid)
