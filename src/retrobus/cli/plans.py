"""What `restore` and `import` share: the plan is made, shown, and carried out in the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from retrobus.cli.backup import SHOWN, rejected_row
from retrobus.cli.folder import backups_folder
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import progress_bar, row_named
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.backups.draft import Draft
    from retrobus.backups.intake import Reject
    from retrobus.backups.plan import Buried, Plan, Returned
    from retrobus.backups.restore import Request, Restored

PARTLY = 3
"""Exit code of work that left rows out: they do not fit, or the operator named one that cannot come back."""

LABELS = {
    "insert": ("à insérer", "à insérer"),
    "update": ("à remplacer", "à remplacer"),
    "same": ("identique", "identiques"),
    "differs": ("différente, laissée", "différentes, laissées"),
    "buried": ("supprimée depuis", "supprimées depuis"),
    "reject": ("rejetée", "rejetées"),
    "delete": ("à supprimer", "à supprimer"),
}


def _same(name: str) -> str:
    return name


class PlanSource(NamedTuple):
    """How a plan speaks of what it reads: a backup, or a file of a spreadsheet program.

    `updated` says of a row that it gets the values of the source, `column` what the operator calls a column.
    """

    noun: str
    labels: Mapping[str, tuple[str, str]]
    updated: str
    rejected: Callable[[Reject], str]
    column: Callable[[str], str] = _same


BACKUP = PlanSource("backup", LABELS, "remplacé", rejected_row)


def code_of(plan: Plan) -> int:
    """PARTLY if rows of the source stayed out, or a row that the operator named."""
    return PARTLY if plan.total("reject") or (plan.only and plan.total("buried")) else 0


def drafted(request: Request, *, all_values: bool) -> Draft:
    """What would be done now."""
    from retrobus.backups.differences import MOST, SOME
    from retrobus.backups.restore import planned

    return with_connection(lambda connection: planned(connection, request, MOST if all_values else SOME))


def carried_out(request: Request, draft: Draft | None) -> Restored:
    """Does it, in one transaction after a safety backup."""
    from retrobus.backups import restore as restoring

    async def work(connection: Any) -> Restored:
        with progress_bar() as progress:
            return await restoring.restore(connection, request, backups_folder(), progress, draft)

    return with_connection(work)


def show_counts(plan: Plan, source: PlanSource) -> None:
    """Prints how many rows of each resource the plan has of each kind."""
    from retrobus.model.resources import BY_NAME

    for resource, counts in plan.counts.items():
        said = [plural(count, *source.labels[verdict]) for verdict, count in counts.items() if count]
        typer.echo(f"{BY_NAME[resource].label:<12}{', '.join(said) or 'rien'}")


def show_rows(plan: Plan, source: PlanSource) -> None:
    """Prints the rows that an operator should know of, the first ones of each kind."""
    batches = [
        f"⏭️  {plural(count, 'ligne')} : --include-deleted batch:{batch}" for batch, count in plan.batches.items()
    ]
    rejects = [source.rejected(reject) for reject in plan.rejects]
    for lines, total in (
        ([_returned_line(row) for row in plan.returned], len(plan.returned)),
        ([f"🗑️  {row_named(*row)} en trop" for row in plan.deletes], plan.total("delete")),
        ([_buried_line(row, source) for row in plan.buried], plan.total("buried")),
        (batches, len(batches)),
        (rejects, plan.total("reject")),
    ):
        for line in lines[:SHOWN]:
            typer.echo(line)
        if total > SHOWN:
            typer.echo(f"   … et {plural(total - SHOWN, 'autre')} (--json)")


def _returned_line(row: Returned) -> str:
    deletion = f"{row.cause}, {row.deleted_at}, batch:{row.batch}"
    return f"↩️  {row_named(row.resource, row.key)} supprimé depuis ({deletion}) : ramené, car l'option le nomme"


def _buried_line(row: Buried, source: PlanSource) -> str:
    """A row that was deleted since; the option that brings it back ends the line, so that it can be copied."""
    named = row_named(row.resource, row.key)
    if row.erased:
        return f"⏭️  {named} effacé : ne revient jamais"
    said = f"⏭️  {named} supprimé depuis ({row.cause}, {row.deleted_at})"
    if row.option is None:
        return f"{said}, ne revient pas : {row.obstacle}"
    again = f", de retour depuis ; pour remettre celle du {source.noun} à sa place" if row.recreated else ""
    return f"{said}{again} : {row.option}"
