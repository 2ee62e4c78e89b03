"""A command of the page on its way into the operator's shell."""

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Locator, expect

from studio.visitor import Visitor


def copied(visitor: Visitor, place: Locator) -> str:
    """The command that the button « Copier » of this part of the page puts into the clipboard."""
    place.get_by_role("button", name="Copier").click()
    expect(place.get_by_text("Copié", exact=True)).to_be_visible()
    text: str = visitor.page.evaluate("navigator.clipboard.readText()")
    return text


def typed(command: str, url: str, backups_dir: Path) -> str:
    """Runs a command as an operator on the server does, and gives all that it says; it must succeed."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": programs, "LANG": "C.UTF-8", "DATABASE_URL": url, "BACKUPS_DIR": str(backups_dir)}
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, env=environment, cwd=backups_dir, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
