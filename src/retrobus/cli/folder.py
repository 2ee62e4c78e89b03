"""The folder of backups, journal and snapshot, as commands use it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from retrobus.cli.terminal import stop
from retrobus.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def backups_folder() -> Path:
    """Where backups are kept (BACKUPS_DIR)."""
    return Settings().backups_dir


def located(name: str) -> Path:
    """The path of a backup given by name or path."""
    from retrobus.backups.catalog import NAME as PATTERN

    if "://" in name:  # never quoted: it may hold a password
        raise stop("un nom ou un chemin est attendu ; seul retrobus restore lit une base, par postgresql://…")
    return backups_folder() / name if PATTERN.fullmatch(name) else Path(name)


@contextmanager
def without_a_service(folder: Path) -> Iterator[None]:
    """Keeps services with a toggle out of the folder meanwhile; ends the command if one uses it."""
    from retrobus.fallback.opening import LOCK
    from retrobus.files.folder import Locked, locked

    with ExitStack() as stack:
        try:
            if folder.is_dir():
                stack.enter_context(locked(folder, LOCK))
        except Locked:
            raise stop(f"un service utilise {folder} : arrêtez-le d'abord") from None
        yield
