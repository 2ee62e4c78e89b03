"""A new Debian 12 with systemd, in a container of systemd-nspawn that shares this machine's network."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}
"""The programs that this needs, each with its Debian package."""

PORTS = {80: "nginx", 443: "nginx", 3001: "the service", 5432: "PostgreSQL"}
"""The ports that must be free on this machine, because the container's programs listen on them."""

SUITE = "bookworm"
BOOT = 60
"""Seconds within which systemd must have started."""

SYSTEM = "systemd,systemd-sysv,dbus,ca-certificates"
"""What a server has and debootstrap's smallest system lacks."""


class NotPossible(RuntimeError):
    """This machine cannot run the trial; the text says why."""


class Failed(RuntimeError):
    """A command of the documents failed; the text has the command and its output."""


def check() -> None:
    """NotPossible if a right, a program or a port is missing."""
    if os.geteuid() != 0:
        raise NotPossible("it needs root: it installs and boots a Debian of its own")
    absent = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if absent:
        raise NotPossible(f"apt-get install {' '.join(absent)}")
    for port, name in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - closed at once
            except OSError as error:
                raise NotPossible(f"port {port} is needed for {name}: {error.strerror}") from None


def new_debian(base: Path, folder: Path) -> None:
    """A fresh system in `folder`; `base` keeps what was downloaded for the next time."""
    if not (base / "etc/debian_version").exists():
        shutil.rmtree(base, ignore_errors=True)
        words = ["debootstrap", "--variant=minbase", f"--include={SYSTEM}", SUITE, str(base)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        _trust_what_this_machine_trusts(base)
    subprocess.run(["cp", "--archive", f"{base}/.", folder], check=True)


def _trust_what_this_machine_trusts(base: Path) -> None:
    """Certificates of this network's proxies, if it has some, so that apt and pip reach their registries."""
    shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
    own = Path("/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(own, base / "etc/certificates-of-the-host.crt")
    (base / "etc/pip.conf").write_text("[global]\ncert = /etc/certificates-of-the-host.crt\n")


class Machine:
    """A running container; `transcript` has every command and its output."""

    def __init__(self, folder: Path, pid: int, transcript: list[str]) -> None:
        self.folder = folder
        self.transcript = transcript
        self._pid = pid

    def popen(self, user: str, script: str, place: str, **more: object) -> subprocess.Popen[str]:
        """A bash of this user, as after a login, in the folder `place`."""
        words = [
            "nsenter", f"--target={self._pid}", "--all", f"--wd={self.folder}", "--", "setpriv", *_as(user),
            "env", "-i", f"HOME={_home(user)}", f"USER={user}", "TERM=dumb",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "bash", "-c", f"cd {place}\n{script}",
        ]  # fmt: skip
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, **more,
        )  # fmt: skip

    def run(self, user: str, script: str, place: str = "/", typed: str = "", seconds: float = 600) -> str:
        """The output of a script; Failed if it does not end with 0."""
        running = self.popen(user, script, place)
        try:
            said, _ = running.communicate(typed, timeout=seconds)
        finally:
            running.kill()
        self.transcript.append(f"# {user}\n{script.rstrip()}\n--- {running.returncode}\n{said}")
        if running.returncode:
            raise Failed(self.transcript[-1])
        return said


def _as(user: str) -> list[str]:
    return [f"--reuid={user}", f"--regid={user}", "--init-groups"]


def _home(user: str) -> str:
    return "/root" if user == "root" else f"/home/{user}"


@contextmanager
def booted(folder: Path, transcript: list[str]) -> Iterator[Machine]:
    """The system of this folder, booted; it is stopped at the end."""
    words = [
        "systemd-nspawn", "--quiet", f"--directory={folder}", f"--machine=retrobus-trial-{os.getpid()}", "--boot",
        "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--console=pipe",
    ]  # fmt: skip
    with (folder.parent / "console.log").open("w") as console:
        running = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        machine = Machine(folder, _init_of(running), transcript)
        machine.run("root", "systemctl is-system-running --wait || true")
        yield machine
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _init_of(container: subprocess.Popen[bytes]) -> int:
    """The process id of the container's systemd, when it takes commands."""
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    end = time.monotonic() + BOOT
    while time.monotonic() < end and container.poll() is None:
        for pid in children.read_text().split():
            words = ["nsenter", f"--target={pid}", "--all", "--", "systemctl", "show", "--property=Version"]
            if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                return int(pid)
        time.sleep(0.2)
    raise NotPossible("systemd does not boot in a container here (systemd-nspawn): see console.log")
