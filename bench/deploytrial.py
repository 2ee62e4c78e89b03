"""Follows the documents word by word on a new Debian 12: `make deploytrial`, some minutes, as root.

Installs a Debian with debootstrap and boots its systemd in a container. An ordinary user follows README's chapter
"Start" in a clone and then the whole runbook. Root follows README's chapter "Deploy": Debian's PostgreSQL 15, the two
roles, the unit, nginx, backup, restore, upgrade, way back and new secrets; then the runbook again, against the service
that runs. Every block runs as it stands on the page. What cannot run is in deploying/pages.py, with the reason. The
transcripts are in build/deploytrial/. Debian packages: debootstrap systemd-container.
"""

import argparse
import shutil
import sys
from pathlib import Path

from deploying import debian_user, deployed
from deploying.machine import Failed, Machine, NotPossible, booted, check, new_debian

BUILD = Path(__file__).parents[1] / "build/deploytrial"
PARTS = {"start": debian_user.follow, "deploy": deployed.follow}


def main() -> int:
    """Exit code 0 only if every block of every part succeeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="one part; again for more; default: all")
    wanted = parser.parse_args().part or list(PARTS)
    try:
        check()
        return max(trial(name) for name in wanted)
    except NotPossible as error:
        print(f"not possible here: {error}", file=sys.stderr)
        return 1


def trial(name: str) -> int:
    """One part on a machine of its own."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    new_debian(BUILD / "debian", folder)
    with booted(folder) as machine:
        try:
            PARTS[name](machine)
        except Failed as error:
            print(f"FAILED in part {name}\n{error}", file=sys.stderr)
            return 1
        finally:
            keep_transcript(machine, BUILD / f"{name}.txt")
    print(f"{name}: {len(machine.transcript)} blocks, all succeeded")
    return 0


def keep_transcript(machine: Machine, path: Path) -> None:
    """Writes every command and its output."""
    path.write_text("\n".join(machine.transcript), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
