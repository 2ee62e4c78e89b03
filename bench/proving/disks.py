"""Two small disks (tmpfs) for this program alone, so that a disk can really be full."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "RETROBUS_PROOF_DISKS"
SIZES = {"postgres": "260m", "backups": "6m"}
STEPS = 'for disk in $SIZES; do mkdir "$DISKS/${disk%%=*}"; mount -t tmpfs -o size="${disk##*=}",mode=1777 proof "$DISKS/${disk%%=*}"; done'  # noqa: E501
MISSING = "needs tmpfs by `unshare`, which this machine does not allow"


def enter() -> None:
    """Starts this program again in a namespace with the two disks; returns there, or where that is not allowed."""
    if VARIABLE in os.environ or shutil.which("unshare") is None:
        return
    place = tempfile.mkdtemp(prefix="retrobus-disks-")
    Path(place).chmod(0o755)
    environment = os.environ | {"DISKS": place, "SIZES": " ".join(f"{name}={size}" for name, size in SIZES.items())}
    for words in _ways():
        if subprocess.run([*words, "true"], env=environment, capture_output=True, check=False).returncode == 0:
            for name in SIZES:
                with suppress(OSError):
                    (Path(place) / name).rmdir()
            os.execvpe(words[0], [*words, sys.executable, *sys.argv], environment | {VARIABLE: place})  # noqa: S606
    shutil.rmtree(place)


def _ways() -> Iterator[list[str]]:
    """As root a namespace of mounts is enough; anybody else is root for the mounts, and himself again after them."""
    if os.geteuid() == 0:
        yield ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{STEPS}; exec "$@"', "sh"]
    himself = f"unshare --user --map-user={os.getuid()} --map-group={os.getgid()}"
    yield ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", f'{STEPS}; exec {himself} "$@"', "sh"]


def disk(name: str) -> Path | None:
    """The folder of a small disk; None if there is none."""
    place = os.environ.get(VARIABLE)
    return Path(place) / name if place else None


def lacking() -> str | None:
    """Why no disk can be filled here; None if one can."""
    return None if VARIABLE in os.environ else MISSING


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """For the time of the block the disk of this folder has no byte left."""
    file = folder / "filler"
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while filler.write(b"\0" * size):
                    pass
    try:
        yield
    finally:
        file.unlink()
