"""Runs a command of `retrobus` in a process of its own, so that requests do not wait for it."""

import asyncio
import os
import sys
from pathlib import Path

PROGRAM = (sys.executable, "-c", "from retrobus.cli import main; main()")


class Failed(Exception):
    """A command that failed; the text is the last line that it printed."""


async def run(folder: Path, url: str, *arguments: str) -> str:
    """What the command printed, with this database and this folder of backups; Failed unless it ended well.

    The process ends with the task that waits for it.
    """
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        *PROGRAM, *arguments, env=_environment(folder, url), stdout=pipe, stderr=pipe
    )
    try:
        said, complaints = await running.communicate()
    except BaseException:
        running.kill()
        await running.wait()
        raise
    if running.returncode:
        lines = (complaints or said).decode(errors="replace").strip().splitlines() or ["?"]
        raise Failed(lines[-1].removeprefix("❌ "))
    return said.decode()


def _environment(folder: Path, url: str) -> dict[str, str]:
    return os.environ | {"DATABASE_URL": url, "BACKUPS_DIR": str(folder.absolute())}
