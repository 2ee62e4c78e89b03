"""A PostgreSQL for development and tests: real programs from a wheel, no root, no Docker."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGQUIT
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal

from retrobus.development import process_tree
from retrobus.development.postgres_programs import (
    TEMPORARY,
    EmbeddedPostgresError,
    PostgresPrograms,
    find_programs,
    is_root,
    make_private,
    private_file,
)
from retrobus.development.running import status, url_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "embedded_postgres"]

SMALL = {"shared_buffers": "32MB", "max_connections": "60", "log_min_messages": "warning", "timezone": "UTC"}


@contextmanager
def embedded_postgres(
    data: Path, *, settings: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[EmbeddedPostgres]:
    """Runs the PostgreSQL kept in the folder `data` for the time of the block; the first use makes it."""
    server = EmbeddedPostgres(data, settings or {}, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class EmbeddedPostgres:
    """A PostgreSQL in the folder `data`, on a private Unix socket; with a `port`, on 127.0.0.1 too.

    It ends with this program, even if that is killed. Every method returns when its effect is complete.
    """

    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    _running: _Running | None = field(default=None, init=False, repr=False)
    _leave: ExitStack = field(default_factory=ExitStack, init=False, repr=False)

    def __post_init__(self) -> None:
        self.data = self.data.resolve()
        self._cluster = self.data / "cluster"

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._server().pid

    def url(self, database: str = "postgres") -> str:
        """The address for asyncpg, psql and SQLAlchemy: superuser, no password, Unix socket."""
        return url_by(str(self._server().socket), self.port or 5432, database)

    def start(self) -> None:
        """Starts the server; one that a killed program left in the folder is ended first."""
        try:
            with ExitStack() as undo:
                self._running = self._launch(undo)
                self._leave = undo.pop_all()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Le dossier {self.data} ne convient pas (créé par un autre compte ?) : {error}"
            ) from error

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops the server, cleanly or as in a crash; does nothing if it is stopped."""
        if self._running:
            self._running.end(SIGINT if mode == "fast" else SIGQUIT)
            self._forget()

    def kill(self) -> None:
        """Ends every process of the server with SIGKILL: none can tidy up."""
        self._server().asked.set()
        process_tree.kill(self.pid)
        self._forget()

    def tell_death(self, tell: Callable[[], object]) -> None:
        """Calls `tell`, in a thread, if the server ends although this program did not stop it."""
        Thread(target=self._server().watch, args=(tell,), daemon=True).start()

    def freeze(self) -> None:
        """Suspends every process of the server: connections stay open and nothing answers."""
        process_tree.freeze(self.pid)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        process_tree.thaw(self.pid)

    def _server(self) -> _Running:
        if self._running is None:
            raise EmbeddedPostgresError(f"PostgreSQL n'est pas démarré dans {self.data}.")
        return self._running

    def _forget(self) -> None:
        self._server().watcher.join()
        self._running = None
        self._leave.close()

    def _launch(self, undo: ExitStack) -> _Running:
        self.data.mkdir(mode=0o711 if is_root() else 0o700, parents=True, exist_ok=True)
        undo.enter_context(_sole_use(self.data))
        _end_leftover(self._cluster)
        socket = undo.enter_context(_socket_folder(self.data))
        programs = find_programs(self._cluster, socket)
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster(programs)
        self._check_version(programs)
        return self._serve(programs, socket)

    def _make_cluster(self, programs: PostgresPrograms) -> None:
        fresh = self.data / "cluster.new"  # an interrupted initdb leaves nothing under the final name
        failure = self._initdb(programs, fresh, "C.UTF-8") and self._initdb(programs, fresh, "C")
        if failure:
            raise EmbeddedPostgresError(f"initdb a échoué :\n{failure}")
        fresh.rename(self._cluster)

    def _initdb(self, programs: PostgresPrograms, fresh: Path, locale: str) -> str:
        """Why initdb failed, or an empty text; some versions of macOS do not know the locale C.UTF-8."""
        shutil.rmtree(fresh, ignore_errors=True)
        make_private(fresh)
        options = [f"--pgdata={fresh}", f"--locale={locale}", "--encoding=UTF8"]
        options += ["--auth=trust", "--username=postgres"]
        options += ["--no-sync"] if self.settings.get("fsync") == "off" else []
        status, output = programs.run("initdb", *options)
        return "" if status == 0 else _tail(output)

    def _check_version(self, programs: PostgresPrograms) -> None:
        made_by = (self._cluster / "PG_VERSION").read_text().strip()
        version = programs.version()
        if not re.match(rf"{made_by}\b", version):
            raise EmbeddedPostgresError(
                f"{self.data} a été créé par PostgreSQL {made_by}, mais {programs.folder} contient la "
                f"version {version}. Donnez dans RETROBUS_POSTGRES_BIN le dossier bin d'un PostgreSQL "
                f"{made_by}, ou supprimez {self.data} pour repartir d'une base vide."
            )

    def _serve(self, programs: PostgresPrograms, socket: Path) -> _Running:
        log = self.data / "postgres.log"
        server = _Running(*programs.spawn(log, "postgres", "-D", str(self._cluster), *self._options(socket)), socket)
        try:
            server.wait_until_ready(self._cluster, log)
        except BaseException:
            server.end(SIGQUIT)
            raise
        return server

    def _options(self, socket: Path) -> list[str]:
        place = {
            "listen_addresses": "127.0.0.1" if self.port else "",
            "port": str(self.port or 5432),
            "unix_socket_directories": str(socket),
        }
        return [f"--{name}={value}" for name, value in {**SMALL, **self.settings, **place}.items()]


@dataclass(frozen=True)
class _Running:
    pid: int
    watcher: Thread
    socket: Path
    asked: Event = field(default_factory=Event)  # set as soon as this program ends the server

    def wait_until_ready(self, cluster: Path, log: Path) -> None:
        def ready() -> bool:
            lines = status(cluster)
            return lines[:1] == [str(self.pid)] and lines[7:8] == ["ready"]

        process_tree.until(lambda: ready() or not self.watcher.is_alive())
        if not ready():
            tail = _tail(log.read_text(errors="replace"))
            raise EmbeddedPostgresError(f"PostgreSQL n'a pas démarré ; fin de {log} :\n{tail}")

    def watch(self, tell: Callable[[], object]) -> None:
        self.watcher.join()
        if not self.asked.is_set():
            tell()

    def end(self, request: int) -> None:
        self.asked.set()
        if self.watcher.is_alive():
            process_tree.end(self.pid, request)


@contextmanager
def _sole_use(data: Path) -> Iterator[None]:
    """Holds the folder: a server that is found in it then belongs to a program that has ended."""
    with open(data / "lock", "wb", opener=private_file) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedPostgresError(f"Un autre programme utilise déjà la base de {data}.") from None
        yield


@contextmanager
def _socket_folder(data: Path) -> Iterator[Path]:
    """The folder of the socket, in `data` or, if that path is too long or has odd characters, in a temporary one."""
    folder = data / "socket"
    if not re.fullmatch(r"[\w/.+-]{1,80}", str(folder), re.ASCII):  # the path of a socket may have about 100 bytes
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
    shutil.rmtree(folder, ignore_errors=True)
    make_private(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_leftover(cluster: Path) -> None:
    """Ends the server of this cluster, if a killed program left one; another process may have its number by now."""
    with suppress(OSError, IndexError):
        pid = int(status(cluster)[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if words[0].endswith(b"/postgres") and os.fsencode(cluster) in words:
            process_tree.end(pid, SIGINT)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-15:])
