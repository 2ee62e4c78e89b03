"""A shell of one user in the container: each call is a bash of its own, and variables last from one to the next."""

import subprocess
from pathlib import Path

from deploying.machine import Machine
from deploying.pages import ROOT


class Shell:
    """Runs blocks as a person would type them; a block ends at its first line that fails."""

    def __init__(self, machine: Machine, user: str, place: str) -> None:
        self.machine = machine
        self._user = user
        self._place = place
        self._state = "$HOME/.state-of-the-trial"

    def run(self, block: str, typed: str = "") -> str:
        """The output of a block; Failed if one of its lines fails."""
        before = f"set -a; [ -f {self._state} ] && . {self._state}; set +a"
        after = f"export -p > {self._state}"
        return self.machine.run(self._user, f"{before}\nset -ea\n{block}\n{after}", self._place, typed)


def clone(machine: Machine, target: str, user: str) -> None:
    """A clone of this repository's last commit, owned by the user."""
    place = machine.folder / target.lstrip("/")
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, place], check=True)
    subprocess.run(["git", "-C", place, "remote", "remove", "origin"], check=True)
    machine.run("root", f"chown -R {user}:{user} {target}")


def installed(machine: Machine, packages: str) -> None:
    """Debian packages that a page takes for granted."""
    machine.run("root", f"apt-get update -qq && apt-get install -qq --yes --no-install-recommends {packages}")


def newest_backup(folder: Path) -> str | None:
    """The name of the newest backup that is no safety backup."""
    found = [
        path.parent.name
        for path in folder.glob("backup_*/manifest.json")
        if '"safety"' not in path.read_text(encoding="utf-8")
    ]
    return max(found, default=None)
