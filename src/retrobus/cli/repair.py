"""`retrobus db repair`: mends what came in past the triggers, and gives a restored dump a new identity."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from retrobus.cli.folder import backups_folder
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, DryRun, Yes, answer, confirm_typed, progress_bar, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrobus.backups.manifest import Manifest
    from retrobus.database.connection import AnyConnection
    from retrobus.repair.findings import Findings, Keys

SHOWN = 10
"""Keys that a line names; --json gives all."""

LEFT = 3
"""Exit code if all is mended except rows for which the operator must choose `--returned`."""

Restored = Annotated[
    bool,
    typer.Option("--restored", help="Cette base est une copie, ou revient d'un instant passé : nouvelle identité."),
]
Returned = Annotated[
    Literal["keep", "drop"] | None,
    typer.Option(help="Lignes supprimées puis revenues : keep les garde, drop les supprime à nouveau."),
]


def repair(
    *,
    restored: Restored = False,
    returned: Returned = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Répare ce qui est entré sans les déclencheurs : séquences, lignes, identité d'une base restaurée."""
    base, found = with_connection(lambda connection: _looked(connection, restored=restored))
    for line in () if as_json else lines(found, restored=restored):
        typer.echo(line)
    if dry_run or (found.sound and not restored):
        _end(base, found, done=False, as_json=as_json)
        return
    confirm_typed("le nom de la base", base, yes=yes, as_json=as_json)
    found, left, safety = with_connection(lambda connection: _mended(connection, returned, restored=restored))
    if as_json:
        answer({"done": True, "database": base, "found": asdict(found), "left": asdict(left), "safety": safety.name})
    else:
        typer.echo(f"🛟 Avant : {backups_folder() / safety.name}")
        typer.echo("✅ Base réparée" if left.sound else "⚠️  Base réparée, sauf ce qui attend une décision :")
        for line in lines(left):
            typer.echo(line)
    if not left.sound:
        raise typer.Exit(LEFT)


def _end(base: str, found: Findings, *, done: bool, as_json: bool) -> None:
    if as_json:
        answer({"done": done, "database": base, "found": asdict(found)})
    elif found.sound:
        typer.echo(f"✅ Base {base} : rien à réparer")


async def _looked(connection: AnyConnection, *, restored: bool) -> tuple[str, Findings]:
    from retrobus.database.revisions import revision_of
    from retrobus.model.tables import REVISION
    from retrobus.repair.findings import look

    schema = await revision_of(connection)
    if schema.current != REVISION:
        raise stop(f"le schéma est à la révision {schema.current or 'aucune'}, pas {REVISION} : retrobus db upgrade")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        base = await connection.fetchval("SELECT current_database()")
        return base, await look(connection, backups_folder(), restored=restored)


async def _mended(
    connection: AnyConnection, returned: Literal["keep", "drop"] | None, *, restored: bool
) -> tuple[Findings, Findings, Manifest]:
    from retrobus.repair.mending import mend

    with progress_bar() as progress:
        return await mend(connection, backups_folder(), returned, restored=restored, progress=progress)


def lines(found: Findings, *, restored: bool = False) -> Iterator[str]:
    """A line for each kind of finding: what was found, and what `db repair` does about it."""
    if restored or not found.at_home:
        yield "Base restaurée ou copiée : nouvelle identité, tous les membres se connectent à nouveau"
    for text, names in (
        ("Fonctions absentes ou modifiées, à remettre", found.functions),
        ("Déclencheurs absents, à remettre", found.missing),
        ("Déclencheurs désactivés, à réactiver", found.disabled),
        ("Séquences derrière leur table, à avancer", found.sequences),
        ("Événements d'un véhicule absent, à détacher", found.orphans),
        ("Membres effacés et revenus, à effacer à nouveau", found.erased),
    ):
        if names:
            yield f"{text} : {named(names)}"
    if found.stale:
        yield f"Lignes écrites sans les déclencheurs, à récrire : {counted(found.stale)}"
    if found.returned:
        yield f"Lignes supprimées puis revenues (--returned keep ou --returned drop) : {counted(found.returned)}"


def named(names: list[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" et {plural(len(names) - SHOWN, 'autre')}" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def counted(rows: Keys) -> str:
    """How many rows of each kind, and which."""
    from retrobus.model.resources import BY_NAME

    words = ((name, plural(len(keys), BY_NAME[name].singular)) for name, keys in rows.items())
    return " ; ".join(f"{text} ({named(rows[name])})" for name, text in words)
