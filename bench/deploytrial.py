"""Follows the documents word by word on a new Debian 12: `make deploytrial`, eight minutes, as root.

Installs a Debian with debootstrap and boots its systemd in a container. An ordinary user follows README's chapter
"Start" in a clone and then the whole runbook. Root follows README's chapter "Deploy": Debian's PostgreSQL 15, the two
roles, the unit, nginx, backup, restore, upgrade, way back and new secrets; then the runbook again, against the service
that runs. Every block runs as it stands on the page. What cannot run is in deploying/pages.py, with the reason.

Then the Dockerfile is built without a container engine, and what compose.yaml runs is run. The transcripts are in
build/deploytrial/. Debian packages: debootstrap systemd-container.
"""

import argparse
import shutil
import sys
from pathlib import Path

from deploying import debian_user, deployed, image
from deploying.machine import Failed, NotPossible, booted, check, new_debian

BUILD = Path(__file__).parents[1] / "build/deploytrial"
PARTS = {"start": debian_user.follow, "deploy": deployed.follow, "image": image.follow}
ON_A_MACHINE = ("start", "deploy")


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
    """One part, on a machine or in an image of its own."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    transcript: list[str] = []
    try:
        if name in ON_A_MACHINE:
            new_debian(BUILD / "debian", folder)
            with booted(folder, transcript) as machine:
                PARTS[name](machine)
        else:
            PARTS[name](BUILD / "debian", folder, transcript)
    except Failed as error:
        print(f"FAILED in part {name}\n{error}", file=sys.stderr)
        return 1
    finally:
        (BUILD / f"{name}.txt").write_text("\n".join(transcript), encoding="utf-8")
    print(f"{name}: {len(transcript)} commands, all succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
