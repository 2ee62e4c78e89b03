"""`retrobus restore`: shows what a restore would change, and with `--apply` does it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrobus.cli.backup import foreign_table
from retrobus.cli.cleaning import Tables, scope_of
from retrobus.cli.differences import show_differences
from retrobus.cli.folder import backups_folder
from retrobus.cli.plans import BACKUP, carried_out, code_of, drafted, show_counts, show_rows
from retrobus.cli.predecessor import source_of
from retrobus.cli.terminal import AsJson, Yes, answer, confirm, confirm_typed, say, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.backups.plan import Plan
    from retrobus.backups.rules import Rules

CHANGED = ("ligne changée", "lignes changées")
LIVE = "PostgreSQL"
"""The shape of a plan that comes from a live database."""


def restore(  # noqa: PLR0913 - one parameter for each option
    name: Annotated[
        str,
        typer.Argument(
            help="Nom d'un backup de la liste, chemin d'un fichier ou dossier, ou adresse postgresql://… de la base "
            "du prédécesseur, qui est seulement lue (docs/migration.md#préparer)."
        ),
    ],
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Exécute le plan ; sans elle, il est seulement montré.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remplace aussi les lignes différentes et supprime celles en trop.")
    ] = False,
    include_deleted: Annotated[
        list[str] | None,
        typer.Option(
            help="Ligne supprimée depuis (clé, ou vehicle:clé) ou batch:N ; le plan donne l'option. Répétable."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Cette ligne et aucune autre (vehicle:920, event:clé, member:id), même supprimée depuis. Répétable."
        ),
    ] = None,
    table: Tables = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Montre les lignes différentes champ par champ, avec les deux valeurs.")
    ] = False,
    public_when_missing: Annotated[
        bool, typer.Option("--public-when-missing", help="Véhicules publics quand le backup ne dit rien.")
    ] = False,
    yes: Yes = False,
    yes_empty: Annotated[
        bool, typer.Option("--yes-empty", help="Accepte qu'un backup vide, avec --replace, vide les tables.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remet un backup dans PostgreSQL : montre le plan ; avec --apply, une transaction, après un backup de sécurité."""
    from retrobus.backups.restore import Request

    rules = _rules(replace=replace, tables=table, deletions=include_deleted or [], only=only or [])
    with source_of(name, rules) as source:
        request = Request(source, rules, public_when_missing, yes_empty)
        draft = None if apply and yes and not (diff or only) else drafted(request, all_values=diff)
        if draft and (not apply or (only and not draft.plan.changes)):
            answer(_document(draft.plan)) if as_json else _show(draft.plan, done=False, fields=diff)
            raise typer.Exit(code_of(draft.plan) if apply else 0)
        if draft and not yes:
            _ask(draft.plan, empty=yes_empty, as_json=as_json, fields=diff)
        restored = carried_out(request, draft)
        if as_json:
            answer({**_document(restored.plan), "safety": restored.safety.name, "applied": True})
        else:
            say(f"🛟 Avant la restauration : {backups_folder() / restored.safety.name}")
            say(f"✅ {restored.plan.name} restauré et vérifié : {plural(restored.plan.changes, *CHANGED)}")
            _show(restored.plan, done=True, fields=diff and yes)
        raise typer.Exit(code_of(restored.plan))


def _rules(*, replace: bool, tables: list[str] | None, deletions: list[str], only: list[str]) -> Rules:
    from retrobus.backups.rules import Rules, only_these, read_included

    beside = [option for option, given in (("--table", tables), ("--include-deleted", deletions)) if given and only]
    if beside:
        raise stop(f"--only nomme déjà chaque ligne, supprimée depuis ou non : retirez {' et '.join(beside)}")
    scope = scope_of(tables)
    try:
        if only:
            return only_these(only, replace=replace)
        return Rules(replace, scope, tuple(map(read_included, deletions)))
    except ValueError as error:
        raise stop(str(error)) from None


def _ask(plan: Plan, *, empty: bool, as_json: bool, fields: bool) -> None:
    """Ends the command unless the operator agrees: types the backup's name for what empties the tables, else yes."""
    if not as_json:
        _show(plan, done=True, fields=fields)
    if not plan.empties:
        confirm(f"Changer {plural(plan.changes, 'ligne')} ?", yes=False, as_json=as_json)
        return
    if not empty:
        raise stop(f"{plan.name} est vide : --replace viderait les tables. Confirmez par --yes-empty.")
    confirm_typed("le nom du backup", plan.name, yes=False, as_json=as_json)


def _document(plan: Plan) -> dict[str, Any]:
    return {**asdict(plan), "applied": False}


def _show(plan: Plan, *, done: bool, fields: bool) -> None:
    """Prints the counts of the plan, then the rows that an operator should know of."""
    typer.echo(f"📦 {plan.name} ({plan.shape}, {plan.timestamp or 'date inconnue'})")
    show_counts(plan, BACKUP)
    show_differences(plan, BACKUP, fields=fields)
    show_rows(plan, BACKUP)
    for name, count in plan.ignored_tables.items():
        typer.echo(foreign_table(name, count, live=plan.shape == LIVE))
    for warning in plan.warnings:
        typer.echo(f"⚠️  {warning}")
    if not done and plan.changes:
        typer.echo("Rien n'a été changé. Pour exécuter ce plan : --apply")
    elif not done and plan.only:
        cure = " Pour remplacer la ligne par celle du backup : --replace" if plan.total("differs") else ""
        typer.echo(f"Rien n'a été changé.{cure}")
