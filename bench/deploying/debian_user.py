"""The part "start": an ordinary user with a clone follows README's chapter "Start", then the runbook."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from deploying import runbook
from deploying.machine import Failed, Machine
from deploying.pages import blocks
from deploying.shell import Shell, clone, installed

USER, PLACE = "camille", "/home/camille/retrobus"
HEALTH = "http://localhost:3001/health"
READY = "Ctrl-C arrête"


def follow(machine: Machine) -> None:
    """Failed at the first block that does not work."""
    machine.run("root", f"useradd --create-home {USER}")
    installed(machine, "make python3-venv git curl postgresql-client")
    clone(machine, PLACE, USER)
    shell = Shell(machine, USER, PLACE)
    with running(machine) as said:
        for line in re.findall(r"^export .+$", said, re.MULTILINE):
            shell.run(line)
        for block in blocks("Start"):
            shell.run(block.text)
        runbook.follow(shell, f"{PLACE}/backups", lambda text: sql(shell, text))


@contextmanager
def running(machine: Machine) -> Iterator[str]:
    """`make run` for the time of the block; gives what it prints until it serves."""
    process = machine.popen(USER, "exec make run", PLACE)
    said: list[str] = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if line.startswith(READY):
                break
        else:
            raise Failed("make run\n" + "".join(said))
        Thread(target=said.extend, args=(process.stdout,), daemon=True).start()  # a full pipe would stop the service
        machine.run(USER, f"curl --silent --retry 30 --retry-delay 1 --retry-all-errors {HEALTH}")
        machine.transcript.append("# " + USER + "\nmake run\n---\n" + "".join(said))
        yield "".join(said)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def sql(shell: Shell, text: str) -> str:
    """Runs SQL on the development database, with the address that `make run` printed."""
    return shell.run(f'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 <<"END_OF_SQL"\n{text}\nEND_OF_SQL')
