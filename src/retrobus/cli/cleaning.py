"""`retrobus db reset` and `retrobus db clean`: empty tables, after a safety backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrobus.cli.backup import AsJson, answer, backups_folder, progress_bar, report
from retrobus.cli.postgres import say, stop, with_connection
from retrobus.cli.purge import DryRun, Yes

if TYPE_CHECKING:
    from retrobus.backups.cleaning import Cause, Cleaned

WORDS = {"Vehicle": "véhicules", "Event": "événements", "Member": "membres"}
RESOURCES = {"vehicle": "Vehicle", "event": "Event", "member": "Member"}
Tables = Annotated[list[str] | None, typer.Option("--table", help="vehicle, event ou member ; répétable.")]


def reset(*, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Vide véhicules, événements et membres ; la base prend une nouvelle identité."""
    _empty("reset", tuple(WORDS), dry_run=dry_run, yes=yes, as_json=as_json)


def clean(table: Tables = None, *, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Vide des tables (sans --table : les trois) ; la base prend une nouvelle identité."""
    _empty("clean", scope_of(table), dry_run=dry_run, yes=yes, as_json=as_json)


def scope_of(tables: list[str] | None) -> tuple[str, ...]:
    """The resources of these tables, all without any; a table that is none of ours ends the command."""
    wanted = [name.lower() for name in tables or RESOURCES]
    unknown = [name for name in wanted if name not in RESOURCES]
    if unknown:
        raise stop(f"table inconnue : {', '.join(unknown)} (vehicle, event, member)")
    return tuple(resource for name, resource in RESOURCES.items() if name in wanted)


def _empty(cause: Cause, scope: tuple[str, ...], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    base, counts, released = with_connection(lambda connection: _counted(connection, scope))
    if not as_json:
        typer.echo(f"Base {base} : {_said(counts)} à supprimer")
        if released:
            typer.echo(f"⚠️  {released} événements perdent leur véhicule")
    if dry_run:
        if as_json:
            answer({"done": False, "database": base, "counts": counts})
        return
    if not yes and typer.prompt(f"Pour confirmer, tapez le nom de la base ({base})", err=as_json) != base:
        raise stop("rien n'a été changé")
    done = with_connection(lambda connection: _cleaned(connection, scope, cause))
    if as_json:
        report({"done": True, "database": base, "counts": done.counts, "safety": done.safety.name})
        return
    say(f"🛟 Avant : {backups_folder() / done.safety.name}")
    say(f"✅ Supprimés : {_said(done.counts)}")
    if "Member" in scope:
        say("Plus aucun compte : retrobus member create-admin --email …")


async def _counted(connection: Any, scope: tuple[str, ...]) -> tuple[str, dict[str, int], int]:
    from retrobus.backups.cleaning import count_released, count_rows

    base = await connection.fetchval("SELECT current_database()")
    return base, await count_rows(connection, scope), await count_released(connection, scope)


async def _cleaned(connection: Any, scope: tuple[str, ...], cause: Cause) -> Cleaned:
    from retrobus.backups import cleaning

    with progress_bar() as progress:
        return await cleaning.clean(connection, scope, cause, backups_folder(), progress)


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {WORDS[resource]}" for resource, count in counts.items())
