"""`retrobus db reset` and `retrobus db clean`: empty tables, after a safety backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.folder import backups_folder
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, DryRun, Yes, answer, confirm_typed, counted, progress_bar, report, say, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.backups.cleaning import Cause, Cleaned
    from retrobus.database.connection import AnyConnection

Tables = Annotated[list[str] | None, typer.Option("--table", help="vehicle, event ou member ; répétable.")]


def reset(*, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Vide véhicules, événements et membres ; la base prend une nouvelle identité."""
    _empty("reset", scope_of(None), dry_run=dry_run, yes=yes, as_json=as_json)


def clean(table: Tables = None, *, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False) -> None:
    """Vide des tables (sans --table : les trois) ; la base prend une nouvelle identité."""
    _empty("clean", scope_of(table), dry_run=dry_run, yes=yes, as_json=as_json)


def scope_of(tables: list[str] | None) -> tuple[str, ...]:
    """The names of the resources of these tables, all of them without any; another table ends the command."""
    from retrobus.model.resources import ALL

    known = {resource.table.name: resource.name for resource in ALL}
    wanted = [name.lower() for name in tables or known]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise stop(f"table inconnue : {', '.join(unknown)} ({', '.join(known)})")
    return tuple(resource for table, resource in known.items() if table in wanted)


def _empty(cause: Cause, scope: tuple[str, ...], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    base, counts, released = with_connection(lambda connection: _counted(connection, scope))
    if not as_json:
        typer.echo(f"Base {base} : {counted(counts)} à supprimer")
        if released:
            typer.echo("⚠️  " + plural(released, "événement perd son véhicule", "événements perdent leur véhicule"))
    if dry_run:
        if as_json:
            answer({"done": False, "database": base, "counts": counts})
        return
    confirm_typed("le nom de la base", base, yes=yes, as_json=as_json)
    done = with_connection(lambda connection: _cleaned(connection, scope, cause))
    if as_json:
        report({"done": True, "database": base, "counts": done.counts, "safety": done.safety.name})
        return
    say(f"🛟 Avant : {backups_folder() / done.safety.name}")
    say(f"✅ Supprimés : {counted(done.counts)}")
    if "Member" in scope:
        say("Plus aucun compte : retrobus member create-admin --email …")


async def _counted(connection: AnyConnection, scope: tuple[str, ...]) -> tuple[str, dict[str, int], int]:
    from retrobus.backups.cleaning import count_released, count_rows

    base: str = await connection.fetchval("SELECT current_database()")
    return base, await count_rows(connection, scope), await count_released(connection, scope)


async def _cleaned(connection: AnyConnection, scope: tuple[str, ...], cause: Cause) -> Cleaned:
    from retrobus.backups import cleaning

    with progress_bar() as progress:
        return await cleaning.clean(connection, scope, cause, backups_folder(), progress)
