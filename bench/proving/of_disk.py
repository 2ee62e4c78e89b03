"""Disks without space: that of Postgres, and that of the folder of backups, snapshot and journal."""

from contextlib import ExitStack
from pathlib import Path

from proving.disks import disk, full
from proving.of_service import command
from proving.scene import Scene
from proving.site import Site

from locks import held

OLD_SNAPSHOT = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM event, vehicle, member")
"""While this reader is there no space inside the tables is used again: each write needs more of the disk."""


def of_postgres(scene: Scene) -> None:
    """The disk of Postgres is full for four seconds: writes are refused, reads and the service go on."""
    with ExitStack() as readers:
        for site in scene.sites:
            readers.enter_context(held(site.url, *OLD_SNAPSHOT))
        scene.begin()
        with full(scene.postgres.data):
            scene.wait(4)
            scene.heal()


def of_backups(scene: Scene) -> None:
    """Postgres is away for six seconds; the journal's disk is full in the middle of them, and a backup is tried."""
    scene.begin()
    scene.all(lambda site: site.cut("refuse"))
    scene.wait(1.5)
    with full(_folder()):
        scene.all(_try_backup)
        scene.wait(2)
    scene.wait(1.5)
    scene.heal()
    scene.all(Site.heal)


def _try_backup(site: Site) -> None:
    if command(site, "backup", "create") == 0:
        site.complaints.append("a backup on a full disk ended with 0")
    if list(site.service.backups.glob("backup_*")):
        site.complaints.append("a full disk left a backup")


def _folder() -> Path:
    found = disk("backups")
    if found is None:
        raise RuntimeError("there is no small disk")
    return found
