"""Runs every command of docs/operations.md, in the order of the page, against `retrobus dev` in an empty folder."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import forked
from harness import LONGEST, SECRET, Process, free_port, run_sql, until

pytestmark = pytest.mark.faults

TEXT = (Path(__file__).parents[1] / "docs/operations.md").read_text(encoding="utf-8")
EXAMPLE = "backup_2026-01-31T14-00-00-000Z"
"""The document's example of a backup's name; the test puts the newest backup in its place."""

PASSWORD = "un-mot-de-passe-exemple\n"
TYPED = {
    "retrobus db clean --table event": "retrobus\n",
    "retrobus db reset": "retrobus\n",
    f"retrobus restore {EXAMPLE} --apply": "y\n",
    f"retrobus restore {EXAMPLE} --replace --apply": "y\n",
    f"retrobus restore {EXAMPLE} --only vehicle:920 --apply": "y\n",
    "retrobus member create-admin --email camille@example.org": PASSWORD * 2,
    "retrobus member create-admin --email alix@example.org": PASSWORD * 2,
    "retrobus member set-password alix@example.org": PASSWORD * 2,
    "retrobus member erase sacha@example.org": "sacha-1\n",
}
"""The answer that the operator types to each command that asks."""

LEFT_OUT = {
    "make run": "the test runs it already, as `retrobus dev`",
    "export RETROBUS_ENV_FILE=/etc/retrobus.env": "the test has no such file; the deployment's trial has it",
    "export RETROBUS_ENV_FILE=/etc/retrobus.env:/etc/retrobus-owner.env": "the same",
    "retrobus serve": "it runs until it is stopped; other tests start it",
    'curl -H "Authorization: Bearer $METRICS_TOKEN" https://bus.example.org/metrics': "it names another machine",
}
SACHA = "INSERT INTO member (id, email, first_name) VALUES ('sacha-1', 'sacha@example.org', 'Sacha')"
SHIM = "#!{} -IS\nimport sys; sys.path.insert(0, {!r}); import forked; forked.stand_in()\n"
"""`retrobus` for the shell; most of the time of this test would be imports otherwise."""


class Terminal:
    """A shell beside a running service; its variables last from line to line."""

    def __init__(self, folder: Path, port: int, url: str) -> None:
        self.transcript: list[str] = []
        self.url = url
        self._folder = folder
        self._port = port
        self._state = folder / "state.sh"
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin/retrobus").write_text(SHIM.format(sys.executable, str(Path(forked.__file__).parent)))
        (folder / "bin/retrobus").chmod(0o755)
        variables = {"DATABASE_URL": url, "JWT_SECRET": SECRET, forked.ADDRESS: forked.address()}
        self._environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), **variables}

    def run(self, line: str) -> tuple[int, str]:
        """Runs one line of the document and types the operator's answer; the exit code and the whole output."""
        here = line.replace("localhost:3001", f"localhost:{self._port}").replace(EXAMPLE, self._newest())
        script = (
            f"set -a; [ -f {self._state} ] && . {self._state}\n{here}\ncode=$?; export -p > {self._state}; exit $code"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            input=TYPED.get(line, ""),
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * LONGEST,
            check=False,
            start_new_session=True,  # without a terminal, the command reads the answer from its input
        )
        self.transcript.append(f"$ {here}\n{done.stdout}")
        return done.returncode, done.stdout

    def _newest(self) -> str:
        names = [path.name for path in (self._folder / "backups").glob("backup_*")]
        safety = [name for name in names if '"safety"' in self._manifest(name)]
        return max({*names} - {*safety}, default=EXAMPLE)

    def _manifest(self, name: str) -> str:
        return (self._folder / "backups" / name / "manifest.json").read_text()


@contextmanager
def service(folder: Path) -> Iterator[Terminal]:
    """Runs `retrobus dev` and gives a terminal that has the variables that it prints."""
    port = free_port()
    for left in ("output.log", "state.sh"):  # a new terminal has no variables of the one before
        (folder / left).unlink(missing_ok=True)
    running = Process(["dev", "--no-reload", "--port", str(port)], folder, {"JWT_SECRET": SECRET}, fresh=True)
    try:
        until(lambda: running.popen.poll() is not None or _answers(port), "the first answer")
        assert running.popen.poll() is None, running.log
        url = re.search(r"^export DATABASE_URL='([^']+)'$", running.log, re.MULTILINE)
        assert url is not None
        terminal = Terminal(folder, port, url[1])
        token = re.search(r"^(export TOKEN=.+)$", running.log, re.MULTILINE)
        if token is not None:
            terminal.run(token[1])
        yield terminal
        running.popen.send_signal(signal.SIGINT)
        running.wait()
    finally:
        running.popen.kill()
        running.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=LONGEST).status_code == 200
    except httpx.TransportError:
        return False


def blocks() -> list[tuple[str, str]]:
    """The language and content of each block of commands, in order."""
    return re.findall(r"^```(sh|sql)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def followed(terminal: Terminal, language: str, block: str) -> Iterator[str]:
    """Runs a block; yields the output of each line that fails."""
    if language == "sql":
        run_sql(terminal.url, *(part for part in block.split(";") if part.strip()))
        return
    for line in block.splitlines():
        if line not in LEFT_OUT and terminal.run(line)[0] != 0:
            yield terminal.transcript[-1]


def test_what_is_left_out_or_typed_here_is_in_the_document() -> None:
    lines = {line for language, block in blocks() if language == "sh" for line in block.splitlines()}

    assert {*LEFT_OUT, *TYPED} <= lines


def test_the_whole_runbook_works_and_so_does_the_service_after_a_restart(tmp_path: Path) -> None:
    with service(tmp_path) as terminal:
        run_sql(terminal.url, SACHA)
        failed = [said for language, block in blocks() for said in followed(terminal, language, block)]
    (tmp_path / "transcript.txt").write_text("\n".join(terminal.transcript), encoding="utf-8")
    with service(tmp_path) as terminal:
        terminal.run("retrobus member create-admin --email camille@example.org")
        terminal.run("TOKEN=$(retrobus token --email camille@example.org --ttl 30m)")
        again = terminal.run("retrobus verify --base-url http://localhost:3001")

    assert failed == []
    assert again[0] == 0, "\n".join(terminal.transcript)
    assert "❌" not in again[1]
