"""`retrobus backup`: makes, lists, checks, selects and archives backups."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrobus.cli.folder import backups_folder, located
from retrobus.cli.postgres import with_connection
from retrobus.cli.retention import described, thin
from retrobus.cli.terminal import AsJson, Yes, answer, counted, progress_bar, report, row_named, say, stop, warn
from retrobus.cli.usage import Program
from retrobus.settings import Settings
from retrobus.words import decimal, grouped, plural

if TYPE_CHECKING:
    from retrobus.backups.intake import Reject
    from retrobus.backups.manifest import Manifest
    from retrobus.backups.survey import Survey

app = Program(help="Les backups de la base.")

NAME = typer.Argument(..., help="Nom d'un backup de la liste, ou chemin d'un fichier ou dossier.")
SHOWN = 20
"""Rejects that are printed; --json gives up to 1000."""


@app.command()
def create(
    note: str | None = typer.Option(None, "--note", help="Pourquoi ce backup."),
    keep: int | None = typer.Option(
        None,
        "--keep",
        min=1,
        help="Puis supprimer, après les avoir montrés, tous les backups ordinaires sauf les N plus récents, et les "
        "backups de sécurité de plus de BACKUP_KEEP_SAFETY_DAYS jours.",
    ),
    *,
    yes: Yes = False,
    from_snapshot: Annotated[
        bool, typer.Option("--from-snapshot", help="Sans PostgreSQL : de runtime-state.json et du journal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sauvegarde un instant de la base : vehicle, event, member et les suppressions."""
    from retrobus.backups import create as creation

    folder = backups_folder()

    async def work(connection: Any) -> Manifest:
        with progress_bar() as progress:
            return await creation.create(connection, folder, note=note, progress=progress)

    made = _from_snapshot(folder, note) if from_snapshot else with_connection(work)
    if made.trouble is not None:
        warn(f"{made.name} est fait, mais {made.trouble}.")
    if not as_json:
        say(f"✅ {folder / made.name} : {counted(made.counts)}, {_size(made.size)}")
    _healed(folder)
    gone = thin(folder, keep, yes=yes, as_json=as_json) if keep else []
    if as_json:
        report({"path": folder / made.name, "removed": gone, **asdict(made)})
    for name in () if as_json else gone:
        say(f"🗑️  {name} supprimé (--keep {keep})")


def _from_snapshot(folder: Path, note: str | None) -> Manifest:
    from retrobus import logbook
    from retrobus.fallback.backup import create_from_snapshot

    settings = Settings()
    logbook.configure(settings.log_format, settings.log_level)  # a damaged snapshot is set aside, and that is logged
    return asyncio.run(create_from_snapshot(folder, note))


def _size(size: int) -> str:
    return f"{decimal(size / 1_000_000)} Mo" if size >= 100_000 else f"{grouped(size)} octets"


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Liste les backups, le plus récent d'abord."""
    from retrobus.backups import catalog

    folder = backups_folder()
    healed = _healed(folder)
    entries, selected = catalog.entries(folder), catalog.selection(folder)
    chosen = selected.name if selected else None
    lost = chosen is not None and not (folder / chosen).exists()
    if as_json:
        document = {"selected": chosen, "selected_present": chosen is not None and not lost, "healed": healed}
        answer({**document, "backups": [asdict(entry) for entry in entries]})
        return
    for entry in entries:
        typer.echo(described(entry, chosen))
    if not entries:
        typer.echo(f"Aucun backup dans {folder}.")
    if lost:
        warn(
            f"{chosen} est sélectionné, mais n'existe plus : un démarrage sans PostgreSQL ne chargerait rien. "
            "retrobus backup select pour en choisir un autre, ou retrobus backup deselect"
        )


def _healed(folder: Path) -> list[str]:
    """Makes the index agree with the folder, and says so; an operator who may only read it goes on all the same."""
    from retrobus.backups import catalog

    try:
        healed = catalog.heal(folder)
    except PermissionError:
        return []
    for name in healed:
        warn(f"{name} n'est plus dans {folder} : il a été supprimé à la main ; retiré de index.json")
    return healed


@app.command()
def show(name: str = NAME, *, as_json: AsJson = False) -> None:
    """Montre ce qu'un backup contient, après l'avoir lu en entier."""
    from retrobus.backups.survey import survey

    found = survey(located(name))
    if as_json:
        answer(asdict(found))
        return
    for label, value in (
        ("Nom", found.name),
        ("Format", found.shape),
        ("Date", found.timestamp or "inconnue"),
        ("Note", found.note or "-"),
        ("Lignes", counted(found.rows)),
        ("Suppressions connues", found.tombstones),
        ("Schéma", found.revision or "-"),
        ("Base", found.identity or "-"),
    ):
        typer.echo(f"{label:<22}{value}")
    tell_oddities(found)


def tell_oddities(found: Survey) -> None:
    """Prints which rows and tables a restore leaves out, and which values it has to guess."""
    for name, count in found.ignored_tables.items():
        typer.echo(foreign_table(name, count))
    for warning in found.warnings:
        typer.echo(f"⚠️  {warning}")
    if found.clear_passwords:
        words = plural(found.clear_passwords, "mot de passe en clair, haché", "mots de passe en clair, hachés")
        typer.echo(f"⚠️  {words} à l'import")
    for reject in found.rejects[:SHOWN]:
        typer.echo(rejected_row(reject))
    hidden = sum(found.rejected.values()) - SHOWN
    if hidden > 0:
        typer.echo(f"❌ … et {plural(hidden, 'autre rejet', 'autres rejets')} (--json)")


def rejected_row(reject: Reject) -> str:
    """The line about a row of the backup that cannot be restored."""
    return f"❌ {row_named(reject.resource, reject.key or f'n° {reject.position}')} rejeté : {reject.reason}"


def foreign_table(name: str, count: int, *, live: bool = False) -> str:
    """The line about a table that is not ours, in a file or in a live database."""
    where = "dans l'ancienne base" if live else "dans le fichier"
    return f"ℹ️  table {name}, qui n'est pas à nous : {plural(count, 'ligne')}, {where} seulement"


@app.command()
def verify(
    name: str | None = typer.Argument(None, help="Nom ou chemin ; sans lui, tous les backups."),
    *,
    as_json: AsJson = False,
) -> None:
    """Relit chaque ligne, recompte et recalcule les sommes de contrôle ; échoue si un backup est endommagé."""
    from retrobus.backups import catalog

    folder = backups_folder()
    if name is None:
        _healed(folder)
    paths = [located(name)] if name else [folder / entry.name for entry in catalog.entries(folder)]
    results = [_noted(folder, path, _verified(path)) for path in paths]
    if as_json:
        answer(results)
    for result in () if as_json else results:
        typer.echo(f"{'✅' if result['ok'] else '❌'} {result['name']} : {result['text']}")
    if not results:
        raise stop(f"aucun backup à vérifier dans {folder}")
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


def _verified(path: Path) -> dict[str, Any]:
    from retrobus.backups import BadBackup
    from retrobus.backups.survey import survey

    try:
        found = survey(path)
    except BadBackup as error:
        text = str(error).removeprefix(path.name).lstrip(" :/")  # the name is said once
        return {"name": path.name, "ok": False, "text": text}
    text = f"{counted(found.rows)} ; " + ("sommes vérifiées" if found.checked else "lisible, sans somme de contrôle")
    rejected = sum(found.rejected.values())
    return {
        "name": path.name,
        "ok": True,
        "text": text + (f" ; {plural(rejected, 'ligne rejetée', 'lignes rejetées')}" if rejected else ""),
    }


def _noted(folder: Path, path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """The same result, noted in the index if the backup is in the folder and this operator may write there."""
    from retrobus.backups.verified import note_verified

    if path.parent.absolute() == folder.absolute() and path.exists():
        with suppress(OSError):
            note_verified(folder, path.name, sound=result["ok"])
    return result


@app.command()
def select(
    name: str = typer.Argument(..., help="Nom d'un backup de la liste."),
    reason: str = typer.Option(..., "--reason", help="Pourquoi celui-là."),
) -> None:
    """Choisit le backup chargé au démarrage (LOAD_BACKUP_AT_BOOT) si PostgreSQL ne répond pas."""
    from retrobus.backups import catalog
    from retrobus.backups.survey import survey

    folder = backups_folder()
    found = survey(folder / catalog.checked_name(name))
    catalog.select(folder, name, reason)
    typer.echo(f"✅ {name} sélectionné ({counted(found.rows)})")


@app.command()
def deselect() -> None:
    """Retire la sélection : le plus récent backup ordinaire sera de nouveau choisi."""
    from retrobus.backups import catalog

    gone = catalog.deselect(backups_folder())
    typer.echo("✅ Sélection retirée" if gone else "Aucune sélection")
