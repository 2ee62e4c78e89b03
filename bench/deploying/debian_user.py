"""The part "start": an ordinary user follows "Start" of README and the runbook in a clone, then tries the wheel."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from deploying import runbook
from deploying.machine import Failed, Machine
from deploying.pages import blocks
from deploying.shell import Shell, clone, installed

USER, PLACE = "camille", "/home/camille/retrobus"
EMPTY, ELSEWHERE = f"/home/{USER}/empty", f"/home/{USER}/elsewhere"
WHEEL = f"""make dist
python3 -m venv {EMPTY}
{EMPTY}/bin/pip install --quiet "$(ls dist/*.whl)[dev]"
mkdir {ELSEWHERE}
"""
HEALTH = "http://localhost:3001/health"
ENDED = """
for second in $(seq 60); do
    (exec 3<>/dev/tcp/127.0.0.1/3001) 2>/dev/null || exit 0
    sleep 1
done
exit 1
"""
"""Ends with 0 when nothing listens at the port of the service any more."""

READY = "Ctrl-C arrête"


def follow(machine: Machine) -> None:
    """Failed at the first block that does not work."""
    machine.run("root", f"useradd --create-home {USER}")
    installed(machine, "make python3-venv git curl postgresql-client")
    clone(machine, PLACE, USER)
    shell = Shell(machine, USER, PLACE)
    with running(machine, "make run", PLACE) as said:
        for line in re.findall(r"^export .+$", said, re.MULTILINE):
            shell.run(line)
        for block in blocks("Start"):
            shell.run(block.text)
        runbook.follow(shell, f"{PLACE}/backups", lambda text: sql(shell, text))
    without_a_clone(machine)


def without_a_clone(machine: Machine) -> None:
    """The wheel in an empty virtual environment, used in an empty folder."""
    machine.run(USER, WHEEL, PLACE)
    with running(machine, f"{EMPTY}/bin/retrobus dev", ELSEWHERE) as said:
        lines = "\n".join(re.findall(r"^export .+$", said, re.MULTILINE))
        machine.run(USER, f"PATH={EMPTY}/bin:$PATH\n{lines}\nretrobus verify && retrobus db current", ELSEWHERE)


@contextmanager
def running(machine: Machine, command: str, place: str) -> Iterator[str]:
    """`make run` or `retrobus dev` for the time of the block; gives what it prints until it serves."""
    process = machine.popen(USER, f"exec {command}", place)
    said: list[str] = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if line.startswith(READY):
                break
        else:
            raise Failed(f"{command}\n" + "".join(said))
        Thread(target=said.extend, args=(process.stdout,), daemon=True).start()  # a full pipe would stop the service
        machine.run(USER, f"curl --silent --retry 30 --retry-delay 1 --retry-all-errors {HEALTH}")
        machine.transcript.append(f"# {USER}\n{command}\n---\n{''.join(said)}")
        yield "".join(said)
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        machine.run(USER, ENDED)


def sql(shell: Shell, text: str) -> str:
    """Runs SQL on the development database, with the address that `make run` printed."""
    return shell.run(f'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 <<"END_OF_SQL"\n{text}\nEND_OF_SQL')
