"""Everything around the model: Postgres with psql, and the process of the service with its files."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
from soaking.kinds import ADMIN

from harness import Process, free_port
from retrobus.accounts.tokens import TokenRules, Tokens
from retrobus.development.embedded import EmbeddedPostgres

SECRET = "a-secret-for-the-soak-and-nothing-else"
DEADLINE = 30.0
TOGGLES = ("LOAD_BACKUP_AT_BOOT", "ENABLE_MEMORY_FALLBACK", "ENABLE_RUNTIME_STATE_SAVE")
Combination = tuple[str, ...]
COMBINATIONS: tuple[Combination, ...] = tuple(
    tuple(name for bit, name in enumerate(TOGGLES) if number & 1 << bit) for number in range(1 << len(TOGGLES))
)
SETTINGS = {
    "JWT_SECRET": SECRET,
    "APP_ENV": "test",
    "DATABASE_TIMEOUT": "0.5",
    "RUNTIME_STATE_DEBOUNCE": "0.2",
    "LOG_FORMAT": "json",
}


def token() -> str:
    """A token of the member who sends every request."""
    rules = TokenRules((SECRET,), "retrobus", "retrobus-api", 80_000)
    return Tokens(rules).issue({"id": ADMIN, "role": "ADMIN", "token_epoch": 0})[0]


class Psql:
    """A person with psql on the database, who connects again after each crash."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def run(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a statement; raises its errors."""
        return self._loop.run_until_complete(self._run(statement, values))

    async def _run(self, statement: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=DEADLINE)
        return await self._connection.fetch(statement, *values)

    def leave(self) -> None:
        """Ends the connection without asking the server."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Ends the connection and its event loop."""
        self.leave()
        self._loop.close()


class Database:
    """The one Postgres, up or down, and psql on it."""

    def __init__(self, server: EmbeddedPostgres, name: str) -> None:
        self.server = server
        self.url = server.url(name)
        self.psql = Psql(self.url)
        self.up = True
        self.gone_since: float | None = None
        """The time since which Postgres cannot have answered; None while it may answer."""

    def end(self, how: str) -> None:
        """Kills or stops Postgres; it has ended when this returns."""
        self.psql.leave()
        if how == "kill -9":
            self.server.kill()
        else:
            self.server.stop("fast" if how == "stop" else "immediate")
        self.up, self.gone_since = False, time.time()

    def start(self) -> None:
        """Starts Postgres; it accepts connections when this returns."""
        self.gone_since = None
        self.server.start()
        self.up = True

    def cut(self) -> None:
        """Ends every connection of the service; the server stays."""
        self.psql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'retrobus'")

    def quiet(self) -> bool:
        """Whether no transaction of the service is running."""
        busy = "SELECT FROM pg_stat_activity WHERE application_name = 'retrobus' AND backend_xid IS NOT NULL"
        return not self.psql.run(busy)


class Service:
    """`retrobus serve` as a process of its own, in one combination of the toggles at a time."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.port = free_port()
        self.combination: tuple[str, ...] = ()
        self._url = url
        self._process: Process | None = None

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.popen.poll() is None

    def start(self, combination: tuple[str, ...]) -> int | None:
        """Starts it and waits until it answers; its exit code if it refuses to start."""
        self.combination = combination
        environment = SETTINGS | {"PORT": str(self.port), "DATABASE_URL": self._url}
        environment |= {name: str(name in combination).lower() for name in TOGGLES}
        self._process = Process(["serve"], self.folder, environment)
        end = time.monotonic() + DEADLINE
        while self.alive:
            if _answers(self.port):
                return None
            if time.monotonic() > end:
                raise TimeoutError("the service does not answer /api/health")
            time.sleep(0.005)
        return self._process.popen.returncode

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


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def rows_as_json(psql: Psql) -> dict[str, list[Any]]:
    """Every row in the form of the API, which is the form of the predecessor's exports."""
    wires = {
        "Vehicle": "SELECT wire_public || wire_images || wire_private AS row FROM vehicle",
        "Event": "SELECT wire_public || wire_private AS row FROM event",
        "members": "SELECT wire AS row FROM member",
    }
    return {name: [json.loads(found["row"]) for found in psql.run(sql)] for name, sql in wires.items()}
