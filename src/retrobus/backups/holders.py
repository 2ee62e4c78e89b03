"""Finds the backups that hold one row, and the command that brings the row back from one of them."""

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from pathlib import Path
from typing import BinaryIO

from retrobus.backups import BadBackup, catalog, lines
from retrobus.backups.catalog import CatalogEntry
from retrobus.backups.formats import Reading
from retrobus.backups.intake import NAMES
from retrobus.backups.manifest import open_backup
from retrobus.model.names import camel
from retrobus.model.resources import Resource

PATIENCE = 10.0
"""Seconds after which no further backup is opened: a client waits for the answer."""

LATE = "pas relu, faute de temps : retrobus restore en montre le plan"


@dataclass(slots=True)
class Holders:
    """The backups that hold a row, the newest first, and those of which that is not known, each with the reason."""

    backups: list[CatalogEntry] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def holders(folder: Path, resource: Resource, key: str, clock: Callable[[], float] = time.monotonic) -> Holders:
    """Reads the backups of the folder, the newest first, for at most PATIENCE; BadBackup if the index is unreadable."""
    found, until = Holders(), clock() + PATIENCE
    for entry in (entry for entry in catalog.entries(folder) if entry.present):
        if clock() > until:
            found.unread[entry.name] = LATE
            continue
        try:
            if holds(folder / entry.name, resource, key):
                found.backups.append(entry)
        except BadBackup as error:
            found.unread[entry.name] = str(error)
    return found


def holds(path: Path, resource: Resource, key: str) -> bool:
    """Whether a sound backup has this row; BadBackup for one that is damaged."""
    with open_backup(path) as (file, name, manifest):
        if manifest is not None and manifest.ours:
            return _is_in_lines(file, resource, key)
        rows = [(row.resource, row.key) == (resource.name, key) for row in Reading(file, name, manifest)]
        return any(rows)  # after the whole file, whose damage ends the reading


def _is_in_lines(file: BinaryIO, resource: Resource, key: str) -> bool:
    """Looks for the row in data.json of our own format, one row a line, without reading the rows as JSON.

    For example for the event e1: in a line of the table Event, `"id":"e1"`. In a text of a row the quotes would stand
    behind a backslash, so a line with these bytes is the row.
    """
    wanted, here = f'"{camel(resource.key)}":{encode_basestring(key)}'.encode(), False
    while line := file.readline(lines.LARGEST_LINE):
        if (table := lines.table_in(line)) is not None:
            here = NAMES.get(table) is resource
        elif here and wanted in line:
            return True
    return False


def restore_command(name: str, resource: Resource, key: str) -> str:
    """The command that brings this row back from this backup and touches no other; it shows its plan and asks."""
    return f"retrobus restore {shlex.quote(name)} --only {shlex.quote(f'{resource.name.lower()}:{key}')} --apply"
