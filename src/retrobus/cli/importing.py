"""`retrobus import`: brings the rows of a spreadsheet into PostgreSQL, by the plan and the rules of a restore."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrobus.cli.backup import SHOWN
from retrobus.cli.differences import show_differences
from retrobus.cli.export import ResourceName, known_resource
from retrobus.cli.folder import backups_folder
from retrobus.cli.plans import LABELS, PlanSource, carried_out, code_of, drafted, show_counts, show_rows
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, Yes, answer, confirm, report, row_named, say, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.backups.intake import Reject
    from retrobus.backups.plan import Plan
    from retrobus.backups.restore import Restored
    from retrobus.backups.rules import Rules
    from retrobus.backups.sheet_source import Sheet
    from retrobus.model.resources import Resource

CHANGED = ("ligne changée", "lignes changées")
FILE_LABELS = LABELS | {"update": ("à modifier", "à modifier"), "insert": ("nouvelle", "nouvelles")}


def import_(  # noqa: PLR0913 - one parameter for each option
    resource: ResourceName,
    file: Annotated[
        Path,
        typer.Argument(
            help="Fichier .csv (UTF-8 ou Windows-1252 ; séparateur « ; », « , » ou tabulation), .xlsx ou .json, avec "
            "les titres de l'export ou les noms de l'API, dans n'importe quel ordre. Une colonne absente ne change "
            "rien ; une cellule vide vide le champ, ou est refusée s'il est obligatoire.",
            metavar="FICHIER",
        ),
    ],
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Exécute le plan ; sans elle, il est seulement montré.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Modifie aussi les lignes déjà là, dans les colonnes du fichier.")
    ] = False,
    include_deleted: Annotated[
        list[str] | None,
        typer.Option(help="Ligne supprimée depuis (clé) ou batch:N ; le plan donne l'option. Répétable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Cette ligne du fichier et aucune autre (vehicle:920, event:clé, member:id), même supprimée ou "
            "modifiée depuis. Répétable."
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Montre les lignes différentes champ par champ, avec les deux valeurs.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Importe un tableur : montre le plan ; avec --apply, une transaction, après un backup de sécurité."""
    from retrobus.backups.restore import Request
    from retrobus.backups.sheet_opening import read_sheet

    found = known_resource(resource)
    rules = _rules(found, update=update, deletions=include_deleted or [], only=only or [])
    sheet = with_connection(lambda connection: read_sheet(connection, file, found))
    request = Request(sheet, rules)
    draft = drafted(request, all_values=diff)
    if not apply or not draft.plan.changes:
        answer(_document(draft.plan, sheet)) if as_json else _show(draft.plan, sheet, done=False, fields=diff)
        raise typer.Exit(code_of(draft.plan) if apply else 0)
    if not yes:
        if not as_json:
            _show(draft.plan, sheet, done=True, fields=diff)
        confirm(f"Changer {plural(draft.plan.changes, 'ligne')} ?", yes=False, as_json=as_json)
    restored = carried_out(request, draft)
    if as_json:
        report({**_document(restored.plan, sheet), "safety": restored.safety.name, "applied": True})
    else:
        _tell(restored, sheet, shown=not yes, fields=diff)
    raise typer.Exit(code_of(restored.plan))


def _tell(restored: Restored, sheet: Sheet, *, shown: bool, fields: bool) -> None:
    """Prints what was done, and how to undo it; also the plan if it was not shown yet."""
    safety, table = restored.safety.name, sheet.resource.name.lower()
    say(f"🛟 Avant l'import : {backups_folder() / safety}")
    say(f"✅ {sheet.name} importé et vérifié : {plural(restored.plan.changes, *CHANGED)}")
    if not shown:
        _show(restored.plan, sheet, done=True, fields=fields)
    say(f"↩️  Pour revenir en arrière : retrobus restore {safety} --table {table} --replace --apply")


def _rules(resource: Resource, *, update: bool, deletions: list[str], only: list[str]) -> Rules:
    from retrobus.backups.rules import Rules, only_these, read_included

    if only and deletions:
        raise stop("--only nomme déjà chaque ligne, supprimée depuis ou non : retirez --include-deleted")
    try:
        named = only_these(only, replace=update).only if only else ()
        included = tuple(map(read_included, deletions))
    except ValueError as error:
        raise stop(str(error)) from None
    others = [row.said for row in named if row.resource != resource.name]
    if others:
        raise stop(f"--only {others[0]} : le fichier est celui des {resource.label}")
    return Rules(update, (resource.name,), included, named, partial=True)


def _document(plan: Plan, sheet: Sheet) -> dict[str, Any]:
    return {**asdict(plan), "readOnlyColumns": sheet.ignored, "applied": False}


def _show(plan: Plan, sheet: Sheet, *, done: bool, fields: bool) -> None:
    """Prints the counts of the plan, then the rows that an operator should know of."""
    source = _source(sheet)
    typer.echo(f"📄 {plan.name} ({plan.shape}) : {plural(len(sheet.entries), 'ligne')}")
    show_counts(plan, source)
    for resource, key in sorted(plan.inserts, key=lambda row: sheet.lines[row[1]])[:SHOWN]:
        typer.echo(f"🆕 ligne {sheet.lines[key]} : {row_named(resource, key)} nouveau")
    if plan.total("insert") > SHOWN:
        typer.echo(f"   … et {plural(plan.total('insert') - SHOWN, 'autre')} (--json)")
    show_differences(plan, source, fields=fields)
    show_rows(plan, source)
    if sheet.ignored:
        typer.echo(f"ℹ️  colonnes qu'un import ne change jamais : {', '.join(sheet.ignored)}")
    for warning in [*plan.warnings, *_about_passwords(plan)]:
        typer.echo(f"⚠️  {warning}")
    if not done:
        typer.echo(_what_next(plan))


def _about_passwords(plan: Plan) -> list[str]:
    new = sum(resource == "Member" for resource, _ in plan.inserts)
    if not new:
        return []
    said = plural(new, "nouveau membre sans mot de passe", "nouveaux membres sans mot de passe")
    return [f"{said}, pas de connexion avant : retrobus member set-password ADRESSE"]


def _what_next(plan: Plan) -> str:
    more = " Pour modifier aussi les lignes différentes : --update" if plan.total("differs") else ""
    again = " Pour exécuter ce plan : --apply" if plan.changes else ""
    return f"Rien n'a été changé.{again}{'.' if again and more else ''}{more}"


def _source(sheet: Sheet) -> PlanSource:
    """How the plan speaks of this file: of lines, and of columns by its own headings."""

    def rejected(reject: Reject) -> str:
        row = "" if reject.key is None else f", {row_named(reject.resource, reject.key)}"
        return f"❌ ligne {reject.position}{row} : rejetée : {reject.reason}"

    return PlanSource("fichier", FILE_LABELS, "modifié", rejected, lambda name: f"« {sheet.names.get(name, name)} »")
