"""`retrobus backup delete`, `archive` and `create --keep`: show which backups go, ask, and take them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.folder import backups_folder
from retrobus.cli.terminal import AsJson, DryRun, Yes, confirm, report, say, stop, warn
from retrobus.settings import Settings
from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from retrobus.backups.catalog import CatalogEntry


NONE_REMOVED = "le nouveau backup est fait, aucun ancien n'est supprimé"


def delete(
    names: Annotated[list[str], typer.Argument(help="Noms de backups de la liste.")],
    *,
    deselect: Annotated[
        bool, typer.Option("--deselect", help="Supprime aussi le backup sélectionné, et la sélection.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Supprime des backups pour toujours, après les avoir montrés ; « backup archive » les range sans les supprimer."""
    from retrobus.backups import create, removal

    folder = backups_folder()
    gone = removal.named(folder, names)
    removal.check_selection(folder, names, selected_too=deselect)
    for line in () if as_json else map(described, gone):
        typer.echo(f"🗑️  {line}")
    if not dry_run:
        confirm(f"Supprimer {plural(len(gone), 'backup')} ?", yes=yes, as_json=as_json)
        with create.alone(folder):
            removal.delete(folder, [entry.name for entry in gone], selected_too=deselect)
    if as_json:
        report({"done": not dry_run, "removed": [entry.name for entry in gone]})
    elif not dry_run:
        say(f"✅ {plural(len(gone), 'backup supprimé', 'backups supprimés')}")


def archive(name: str = typer.Argument(..., help="Nom d'un backup de la liste.")) -> None:
    """Range un backup dans archive/ : ni le démarrage ni la liste ne le voient plus."""
    from retrobus.backups import removal

    typer.echo(f"✅ {removal.archive(backups_folder(), name)}")


def described(entry: CatalogEntry, selected: str | None = None) -> str:
    """One backup in a list: name, rows, deletions, note, and what is special about it."""
    counts = ["? lignes" if entry.rows is None else plural(entry.rows, "ligne")]
    counts += [] if entry.deletions is None else [plural(entry.deletions, "suppression")]
    special = [
        *(["sélectionné"] if entry.name == selected else []),
        *(["sécurité"] if entry.kind == "safety" else []),
        *([] if entry.present else ["absent du disque"]),
        *([] if entry.listed else ["hors index"]),
    ]
    return "  ".join(part for part in (entry.name, ", ".join(counts), entry.note or "", ", ".join(special)) if part)


def thin(folder: Path, keep: int, *, yes: bool, as_json: bool) -> list[str]:
    """Deletes older backups and gives their names; ends the command if the operator does not agree.

    The new backup is made: a failure here is a warning.
    """
    from retrobus.backups import BadBackup, create, removal
    from retrobus.files.error_texts import told

    try:
        gone = removal.surplus(folder, keep, Settings().backup_keep_safety_days)
        if not gone:
            return []
        _ask(gone, keep, yes=yes, as_json=as_json)
        with create.alone(folder):
            removal.delete(folder, [entry.name for entry in gone])
    except BadBackup as error:
        warn(f"Le backup est fait, --keep ne l'est pas : {error}")
        return []
    except OSError as error:
        warn(f"Le backup est fait, --keep ne l'est pas : {told(error, folder)}.")
        return []
    return [entry.name for entry in gone]


def _ask(gone: Sequence[CatalogEntry], keep: int, *, yes: bool, as_json: bool) -> None:
    for entry in () if yes else gone:
        typer.echo(f"🗑️  {described(entry)}", err=as_json)
    question = f"Supprimer {plural(len(gone), 'ancien backup', 'anciens backups')} (--keep {keep}) ?"
    try:
        confirm(question, yes=yes, as_json=as_json, refused=NONE_REMOVED)
    except typer.Abort:
        typer.echo(err=True)  # the question stands without an answer on its line
        raise stop(f"pas de réponse : {NONE_REMOVED} ; --yes pour un script") from None
