"""The service as tests meet it: a real server on a real Postgres, in a thread of this process or as a process."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import uvicorn

from forked import Forked
from retrobus import logbook
from retrobus.accounts.tokens import TokenRules, Tokens
from retrobus.app import create_app
from retrobus.database.identity import SETTLE
from retrobus.development.sample import with_admin
from retrobus.serving.connection import HttpConnection
from retrobus.serving.server import PoliteServer
from retrobus.settings import Settings

T = TypeVar("T")
SECRET = "a-secret-for-tests-and-nothing-but-tests"
RULES = TokenRules((SECRET,), "retrobus", "retrobus-api", 3600)
TOKENS = Tokens(RULES)
CLEAN = ("SET session_replication_role = replica", "DELETE FROM event", "DELETE FROM vehicle", "DELETE FROM member",
         "DELETE FROM deletion", "DELETE FROM idempotency", "DELETE FROM conflict")  # fmt: skip
"""Empties every table, whatever the triggers would say; no tombstone tells of it."""
LONGEST = 90.0
"""Seconds after which a test gives up: only a mistake takes so long, also on a slow machine that does other work."""
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "DATABASE_TIMEOUT")
"""Variables of the test run that its processes get, beside those whose name begins with RETROBUS_."""
PORTS = Path(tempfile.gettempdir()) / f"retrobus-ports-{os.getuid()}"
"""A folder in which each port that a test run has given is a locked file."""
KEPT_ALIVE = 3600
"""Seconds that the service keeps an idle connection: longer than any test, but for the one about this."""


def at(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def run_sql(url: str, *statements: str) -> list[Any]:
    """Runs statements as psql would, each on its own, and gives the rows of the last.

    They run in another thread: while a test drives a browser, the loop of Playwright runs in the test's own.
    """

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url, timeout=LONGEST)
        try:
            rows: list[Any] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    return apart(lambda: asyncio.run(run()))


def apart(work: Callable[[], T]) -> T:
    """What `work` returns when it runs in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@contextmanager
def closed_to_all(url: str) -> Iterator[None]:
    """While open, nobody can connect to the database, and nobody is connected; an operator's way to take it away."""
    name, server = url.partition("?")[0].rpartition("/")[2], at(url, "postgres")
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        until(lambda: not run_sql(server, ended), "the end of every connection")
        yield
    finally:
        run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


class Console:
    """A connection that lasts, for the SQL of the many tests that share one service: each call finds it as new."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner = asyncio.Runner()
        self._turn = threading.Lock()
        self._connection: Any = None

    def run(self, *statements: str) -> list[Any]:
        """Runs statements as `run_sql` does."""
        with self._turn:
            return self._runner.run(self._run(statements))

    async def _run(self, statements: tuple[str, ...]) -> list[Any]:
        if self._connection is None or self._connection.is_closed():  # a test may have ended it
            self._connection = await asyncpg.connect(self._url, timeout=LONGEST, statement_cache_size=0)
        rows: list[Any] = []
        try:
            for statement in statements:
                rows = await self._connection.fetch(statement)
            return rows
        finally:
            await self._connection.reset()

    def close(self) -> None:
        if self._connection is not None:
            self._runner.run(self._connection.close())
        self._runner.close()


def copy_database(server: str, name: str, template: str) -> str:
    """URL of a new copy of a database, which has an identity of its own as if it had never been a copy."""
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")  # half the work of WAL_LOG
    run_sql(at(server, name), *SETTLE)
    return at(server, name)


def until(condition: Callable[[], Any], what: str = "the awaited state") -> Any:
    """The condition's first true value; fails loudly when it does not come within LONGEST."""
    end = time.monotonic() + LONGEST
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"waited {LONGEST} s in vain for {what}"
        time.sleep(0.01)  # the one place where tests poll: the event is in another process


def settings_for(url: str | None, **overrides: Any) -> Settings:
    """Settings as a test wants them, whatever the environment or a .env file says."""
    values: dict[str, Any] = {"database_url": url, "jwt_secret": SECRET, "app_env": "test", "log_level": "error"}
    return Settings(_env_file=None, **(values | overrides))


@dataclass(frozen=True)
class Person:
    """A member who can send requests."""

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Api(httpx.Client):
    """An HTTP client of one running service, which can also make people in its database."""

    def __init__(self, base_url: str, database_url: str) -> None:
        super().__init__(base_url=base_url, timeout=LONGEST)
        self.database_url = database_url
        self.console: Console | None = None
        """A connection for `sql` that lasts; without it each call opens one."""

    def person(self, role: str = "MEMBER", **columns: Any) -> Person:
        """A new active member with this role and a valid token, made by SQL behind the service's back."""
        key = f"{role.lower()}-{os.urandom(6).hex()}"
        row = {"id": key, "email": f"{key}@example.org", "role": role, "first_name": "Alix", "last_name": "Exemple"}
        row |= columns
        names = ", ".join(row)
        values = ", ".join(f"'{value}'" for value in row.values())
        self.sql(f"INSERT INTO member ({names}) VALUES ({values})")
        return Person(row["id"], TOKENS.issue({"id": row["id"], "role": row["role"], "token_epoch": 0})[0])

    def metric(self, name: str) -> float | None:
        """The present value of one figure of /metrics, with its labels if it has any; None if there is none."""
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)

    def sql(self, *statements: str) -> list[Any]:
        """Runs SQL on the service's database, as an operator with psql does."""
        return self.console.run(*statements) if self.console else run_sql(self.database_url, *statements)


@contextmanager
def served(settings: Settings, database_url: str) -> Iterator[Api]:
    """The service in a thread of this process, on a free port."""
    logbook.configure("console", settings.log_level)
    application = create_app(settings, with_admin)
    config = uvicorn.Config(
        application,
        http=HttpConnection,
        ws="none",
        port=0,
        log_level="critical",
        access_log=False,
        lifespan="on",
        timeout_keep_alive=KEPT_ALIVE,
    )
    server = PoliteServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the service's start")
    assert server.started, "the service did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with Api(f"http://127.0.0.1:{port}", database_url) as api:
            yield api
    finally:
        server.should_exit = True
        thread.join(LONGEST)
        assert not thread.is_alive(), "the service did not stop"


_given: dict[int, Any] = {}
"""The ports that this process gave, each with the locked file that keeps it from other processes."""


def _ports() -> range:
    """The ports that this process may give. Two workers of one pytest run never share a port.

    The range ends below the ports that the system takes for connections: else a connection could take a given port
    before the service listens on it. With two workers, `gw0` has the even ports and `gw1` the odd ones.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(20_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_port() -> int:
    """A TCP port of the loopback that nothing listens on; until this process ends, no test run gives it again."""
    while True:
        port = secrets.choice(_ports())
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given[port] = _locked(port)
                return port


def _locked(port: int) -> Any:
    """A file that this process has locked for this port; BlockingIOError if another test run has it."""
    PORTS.mkdir(mode=0o700, exist_ok=True)
    file = (PORTS / str(port)).open("w")
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    return file


class Process:
    """`retrobus` as a process of its own, with its output in a file; `fresh` starts a new Python interpreter for it."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str], *, fresh: bool = False) -> None:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        kept |= {name: value for name, value in os.environ.items() if name.startswith("RETROBUS_")}
        self.output = folder / "output.log"
        self.popen: Forked | subprocess.Popen[bytes]
        with self.output.open("a") as output, Path(os.devnull).open() as nothing:
            if not fresh:
                files = (nothing.fileno(), output.fileno(), output.fileno())
                self.popen = Forked(arguments, folder, kept | environment, files)
                return
            self.popen = subprocess.Popen(
                [sys.executable, "-c", "from retrobus.cli import main; main()", *arguments],
                cwd=folder,
                env=kept | environment,
                stdin=nothing,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C can be sent to it and its children alone
            )

    @property
    def log(self) -> str:
        """The whole lines of its output so far: the process may be writing the next one."""
        written = self.output.read_bytes()
        return written[: written.rfind(b"\n") + 1].decode()

    def wait(self) -> int:
        """The exit code, once the process has ended."""
        return self.popen.wait(LONGEST)


@contextmanager
def process(url: str | None, folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[Api, Process]]:
    """`retrobus serve` as a process, ready to answer /health; killed at the end if it still runs."""
    port = free_port()
    wanted = {"JWT_SECRET": SECRET, "APP_ENV": "test", "PORT": str(port), "LOG_FORMAT": "json"} | environment
    if url is not None:
        wanted["DATABASE_URL"] = url
    running = Process(["serve", *arguments], folder, wanted)
    with Api(f"http://127.0.0.1:{port}", url or "") as api:
        try:
            until(lambda: running.popen.poll() is not None or _alive(api), "the process's first answer")
            assert running.popen.poll() is None, running.log
            yield api, running
        finally:
            running.popen.kill()
            running.popen.wait()


def _alive(api: Api) -> bool:
    try:
        return api.get("/health").status_code == 200
    except httpx.TransportError:
        return False
