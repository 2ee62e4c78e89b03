"""`retrobus unarchive`: brings back what `retrobus purge` and `retrobus backup archive` put into `archive/`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.folder import backups_folder, without_a_service
from retrobus.cli.terminal import AsJson, DryRun, Yes, answer, confirm, report, say, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOURNAL = re.compile(r"journal-\d{8}T\d{12}Z\.jsonl")
"""The name under which `retrobus purge` sets a journal aside."""


@dataclass(frozen=True, slots=True)
class Return:
    """One thing of the archive; the operator reads `text` before it comes back."""

    name: str
    text: str
    do: Callable[[], object]


def unarchive(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Backups ou journaux de archive/ ; sans nom, la liste."),
    ] = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remet en place un backup ou un journal de archive/ (purge, backup archive) ; sans nom, les montre."""
    folder = backups_folder()
    found = _found(folder)
    if names:
        _bring_back(folder, _wanted(folder, found, names), dry_run=dry_run, yes=yes, as_json=as_json)
    else:
        _list(folder, found, as_json=as_json)


def _wanted(folder: Path, found: dict[str, Return], names: list[str]) -> list[Return]:
    unknown = [name for name in names if name not in found]
    if unknown:
        raise stop(
            f"{', '.join(unknown)} : rien de ce nom dans {folder / 'archive'} ; retrobus unarchive en montre la liste"
        )
    return [found[name] for name in dict.fromkeys(names)]


def _bring_back(folder: Path, steps: list[Return], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    for step in () if as_json else steps:
        typer.echo(f"{step.name} : {step.text}")
    if not dry_run:
        with without_a_service(folder):
            _check(folder, steps)
            confirm("Continuer ?", yes=yes, as_json=as_json)
            for step in steps:
                step.do()
    if as_json:
        report({"done": not dry_run, "steps": [{"name": step.name, "text": step.text} for step in steps]})
    elif not dry_run:
        say("✅ Remis en place")
        if any(JOURNAL.fullmatch(step.name) for step in steps):
            say("Journal : le service le rejoue à son démarrage (ENABLE_RUNTIME_STATE_SAVE=true), ou retrobus resync")


def _found(folder: Path) -> dict[str, Return]:
    """Everything in the archive that can come back, by name."""
    from retrobus.backups import removal
    from retrobus.backups.catalog import ARCHIVE, NAME

    names = sorted(path.name for path in (folder / ARCHIVE).iterdir()) if (folder / ARCHIVE).is_dir() else []
    backups = [
        Return(name, "backup", partial(removal.unarchive, folder, name)) for name in names if NAME.fullmatch(name)
    ]
    journals = [_journal(folder, name) for name in names if JOURNAL.fullmatch(name)]
    return {each.name: each for each in (*backups, *journals)}


def _journal(folder: Path, name: str) -> Return:
    from retrobus.backups.catalog import ARCHIVE
    from retrobus.fallback.journal import NAME, read_journal

    journal = read_journal(folder / ARCHIVE, max_age=float("inf"), name=name)
    damaged = f" ({journal.refusal})" if journal.refusal else ""
    writes = plural(len(journal), "écriture acquittée", "écritures acquittées")
    text = f"journal, {writes}{damaged} depuis {journal.oldest or '?'}, à remettre dans {NAME}"
    return Return(name, text, partial(_return_journal, folder, name))


def _return_journal(folder: Path, name: str) -> None:
    from retrobus.backups.catalog import ARCHIVE
    from retrobus.fallback.journal import NAME
    from retrobus.files import folder as files

    (folder / ARCHIVE / name).rename(folder / NAME)
    files.sync(folder)
    files.sync(folder / ARCHIVE)


def _check(folder: Path, steps: list[Return]) -> None:
    """Ends the command if something would take the place of another file."""
    from retrobus.fallback.journal import NAME

    journals = [step.name for step in steps if JOURNAL.fullmatch(step.name)]
    if len(journals) > 1:
        raise stop(f"un seul journal à la fois : {', '.join(journals)}")
    taken = [step.name for step in steps if step.name not in journals and os.path.lexists(folder / step.name)]
    taken += [NAME] if journals and os.path.lexists(folder / NAME) else []
    if taken:
        raise stop(f"{', '.join(taken)} : existe déjà dans {folder} ; rien n'a été changé")


def _list(folder: Path, found: dict[str, Return], *, as_json: bool) -> None:
    if as_json:
        answer([{"name": each.name, "text": each.text} for each in found.values()])
        return
    for each in found.values():
        typer.echo(f"{each.name} : {each.text}")
    if not found:
        typer.echo(f"Rien dans {folder / 'archive'}.")
