"""The service under test as a process of its own, and the member who sends every request."""

import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

import jwt
from checking.kinds import ADMIN

from harness import Process, free_port

SECRET = "a-secret-for-the-checkers-and-nothing-else"
DEADLINE = 30.0
TOGGLES = ("LOAD_BACKUP_AT_BOOT", "ENABLE_MEMORY_FALLBACK", "ENABLE_RUNTIME_STATE_SAVE")
Combination = tuple[str, ...]
COMBINATIONS: tuple[Combination, ...] = tuple(
    tuple(name for bit, name in enumerate(TOGGLES) if number & 1 << bit) for number in range(1 << len(TOGGLES))
)


def token(early: int = 0) -> str:
    """A token of the member who sends every request; it says that it was issued so many seconds ago."""
    claims = {
        "iss": "retrobus",
        "aud": "retrobus-api",
        "sub": ADMIN,
        "jti": "checker",
        "typ": "access",
        "role": "ADMIN",
    }
    at = int(time.time()) - early
    claims |= {"typ": "access", "role": "ADMIN", "iat": at, "nbf": at, "exp": at + 80_000, "epoch": 0}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class Service:
    """`retrobus serve` as a process of its own, in one combination of the toggles at a time."""

    def __init__(self, url: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.port = free_port()
        self.combination: Combination = ()
        self.settings = {"JWT_SECRET": SECRET, "LOG_FORMAT": "json", "PORT": str(self.port), "DATABASE_URL": url}
        self.settings |= settings
        self.fresh = False
        """Whether each start is a new Python interpreter, as LD_PRELOAD needs it."""

        self._process: Process | None = None

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.popen.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """Its environment variables in the present combination."""
        return self.settings | {name: str(name in self.combination).lower() for name in TOGGLES}

    def start(self, combination: Combination) -> int | None:
        """Starts it and waits until it answers; its exit code if it refuses to start."""
        self.combination = combination
        self._process = Process(["serve"], self.folder, self.environment, fresh=self.fresh)
        end = time.monotonic() + DEADLINE
        while self.alive:
            if answers(self.port):
                return None
            if time.monotonic() > end:
                raise TimeoutError("the service does not answer /api/health")
            time.sleep(0.005)
        return self._process.popen.returncode

    def send(self, number: signal.Signals) -> None:
        """Sends the process a signal that does not end it."""
        if self._process is not None:
            self._process.popen.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """Sends a signal that ends the process, and waits for its end."""
        if self._process is None:
            return
        self._process.popen.send_signal(number)
        try:
            self._process.popen.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise TimeoutError("the service does not end") from None

    def kill(self) -> None:
        """Kills the process."""
        self.end(signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._process.log.splitlines()[-60:]) if self._process else ""


def answers(port: int) -> bool:
    """Whether a service on this port says that it is alive."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
