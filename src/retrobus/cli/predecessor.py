"""What `retrobus restore` reads: a backup, or the predecessor's live database, copied once for plan and work."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrobus.cli.folder import backups_folder, located
from retrobus.cli.postgres import with_connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from retrobus.backups.predecessor_copy import Copy
    from retrobus.backups.rules import Rules


@contextmanager
def source_of(name: str, rules: Rules) -> Iterator[Path | Copy]:
    """The backup of this name or path, or a copy of the database at this address; BadBackup if that cannot be read.

    The copy is a file without a name in BACKUPS_DIR: it ends with the block, and with the process if that is killed.
    """
    from retrobus.backups import BadBackup
    from retrobus.backups.predecessor_database import copied, is_address, where_is
    from retrobus.files.error_texts import told
    from retrobus.files.folder import private_folder
    from retrobus.model.resources import ALL

    if not is_address(name):
        yield located(name)
        return
    target = with_connection(where_is)
    folder = backups_folder()
    try:
        private_folder(folder)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the block below closes it
    except OSError as error:
        raise BadBackup(f"{told(error, folder)}. La copie de l'ancienne base s'écrit là.") from error
    with file:
        # One vehicle alone (--only) also needs the events, whose vehicle it may be.
        yield asyncio.run(copied(name, ALL if rules.only else rules.resources, target, file))
