"""`retrobus purge`: removes the files that a service left on disk, and sets aside the writes that it acknowledged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.folder import backups_folder, without_a_service
from retrobus.cli.terminal import AsJson, DryRun, Yes, answer, confirm, say
from retrobus.words import WRITES, plural

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Removal:
    """One file and what becomes of it; the operator reads `text` before it is done."""

    name: str
    text: str
    do: Callable[[], object]


def purge(
    *,
    archive: Annotated[bool, typer.Option("--archive", help="Range aussi les backup_* dans archive/.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Retire l'instantané et la sélection, met de côté un journal non rejoué ; ne touche pas la base.

    À préférer à « rm -rf backups/* », qui supprime aussi tous les backups, ceux de sécurité compris, et les écritures
    acquittées d'un journal. « retrobus unarchive » remet en place ce que la purge a mis dans archive/.
    """
    folder = backups_folder()
    with without_a_service(folder):
        steps = _leftovers(folder) + (_backups(folder) if archive else [])
        for step in () if as_json else steps:
            typer.echo(f"{step.name} : {step.text}")
        if not steps and not as_json:
            typer.echo(f"Rien à purger dans {folder}.")
        elif not dry_run and steps:
            confirm("Continuer ?", yes=yes, as_json=as_json)
            for step in steps:
                step.do()
    done = bool(steps) and not dry_run
    if as_json:
        answer({"done": done, "steps": [{"name": step.name, "text": step.text} for step in steps]})
    elif done:
        say("✅ Purge faite")


def _leftovers(folder: Path) -> list[Removal]:
    from retrobus.backups.catalog import SELECTION
    from retrobus.fallback.snapshot import NAME as SNAPSHOT
    from retrobus.fallback.timelines import NAME as TIMELINES
    from retrobus.files import folder as files

    texts = {
        SNAPSHOT: "instantané, supprimé",
        SELECTION: "sélection, supprimée",
        TIMELINES: "lignes de temps vues, supprimées",
    }
    found = [name for name in texts if (folder / name).exists() or (folder / name).is_symlink()]
    steps = [Removal(name, texts[name], partial(files.discard, folder, name)) for name in found]
    return steps + _journal(folder)


def _journal(folder: Path) -> list[Removal]:
    """Removes a journal without entries; sets aside one with entries, or with lines that cannot be read."""
    from retrobus.backups.catalog import ARCHIVE
    from retrobus.fallback.journal import NAME, read_journal
    from retrobus.files import folder as files

    if not os.path.lexists(folder / NAME):
        return []
    journal = read_journal(folder, max_age=float("inf"))
    if not journal.entries and journal.refusal is None:
        return [Removal(NAME, "journal sans écriture, supprimé", partial(files.discard, folder, NAME))]
    aside = f"{ARCHIVE}/journal-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.jsonl"
    damaged = f" ({journal.refusal})" if journal.refusal else ""
    text = f"{plural(len(journal), *WRITES)}{damaged}, à mettre de côté dans {aside}"
    return [Removal(NAME, text, partial(_set_aside, folder, NAME, aside))]


def _set_aside(folder: Path, name: str, aside: str) -> None:
    from retrobus.files import folder as files

    target = folder / aside
    files.private_folder(target.parent)
    (folder / name).rename(target)
    files.sync(target.parent)
    files.sync(folder)


def _backups(folder: Path) -> list[Removal]:
    from retrobus.backups import catalog, removal

    present = [entry.name for entry in catalog.entries(folder) if entry.present]
    return [Removal(name, "rangé dans archive/", partial(removal.archive, folder, name)) for name in present]
