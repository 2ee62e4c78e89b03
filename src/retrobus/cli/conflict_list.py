"""How `retrobus resync` shows conflicts: a list under headings, and one conflict field by field. No secret is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from retrobus.cli.listing import columns
from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrobus.fallback.conflict_view import ConflictView, Field
    from retrobus.fallback.resync import OpenConflict, SettledConflict

    Found = tuple[OpenConflict, dict[str, tuple[Any, Any]]]

SHOWN = 60
"""Characters of a value that are printed; --json prints all of it."""

NONE_OPEN = "✅ Aucun conflit à trancher"
OPERATIONS = {"insert": "création", "update": "modification", "delete": "suppression"}
OF = {"Vehicle": "du véhicule", "Event": "de l'événement", "Member": "du membre"}
DECISIONS = {"applied": "appliqué", "discarded": "abandonné"}
OPEN_HEADINGS = ("N°", "Écriture", "Par", "Écrite le (UTC)", "Raison")
SETTLED_HEADINGS = ("N°", "Écriture", "Par", "Décision (UTC)", "Raison", "")


def written(one: OpenConflict | SettledConflict) -> str:
    """What the client wanted, as « modification de l'événement e1 »."""
    return f"{OPERATIONS[one.operation]} {OF[one.resource]} {one.key}"


def show_open(found: list[Found], names: dict[str, str]) -> None:
    """Prints the conflicts that wait, each with the fields in which PostgreSQL and the journal differ."""
    if not found:
        typer.echo(NONE_OPEN)
        return
    rows = [
        [one.number, written(one), _name(one.member, names), _minute(one.entry["at"]), one.reason] for one, _ in found
    ]
    heading, *lines = columns(OPEN_HEADINGS, rows)
    typer.echo(heading)
    for line, (_, changes) in zip(lines, found, strict=True):
        typer.echo(line)
        for name, (present, wanted) in changes.items():
            typer.echo(f"        {name} : {_short(present)} → {_short(wanted)}")
    typer.echo(f"{plural(len(found), 'conflit')} à trancher (PostgreSQL → journal) : retrobus resync --show N")


def show_settled(found: list[SettledConflict], names: dict[str, str]) -> None:
    """Prints the conflicts that were decided, and which rows can be put back."""
    rows = []
    for one in found:
        decision = f"{DECISIONS[one.resolution]} le {one.at:%d/%m/%Y %H:%M}"
        kept = f"ligne gardée : --restore {one.number}" if one.kept else " "
        rows.append([one.number, written(one), _name(one.member, names), decision, one.reason, kept])
    for line in columns(SETTLED_HEADINGS, rows) if rows else ():
        typer.echo(line)


def document(one: OpenConflict, changes: dict[str, tuple[Any, Any]], names: dict[str, str]) -> dict[str, Any]:
    """An open conflict as a script reads it."""
    said = {"number": one.number, "resource": one.resource, "key": one.key, "operation": one.operation}
    changed = {name: {"postgres": present, "journal": wanted} for name, (present, wanted) in changes.items()}
    by = {"member": one.member, "name": names.get(one.member or "")}
    return said | {"reason": one.reason, "at": one.entry["at"], **by, "changes": changed}


def settled_document(one: SettledConflict, names: dict[str, str]) -> dict[str, Any]:
    """A conflict that was decided as a script reads it; `kept`: `--restore` brings back the row that it replaced."""
    from retrobus.model.wire import moment

    said = {"number": one.number, "resource": one.resource, "key": one.key, "operation": one.operation}
    by = {"member": one.member, "name": names.get(one.member or "")}
    decided = {"resolution": one.resolution, "resolvedAt": moment(one.at), "kept": one.kept}
    return said | {"reason": one.reason, **by, **decided}


def show_one(view: ConflictView, names: dict[str, str]) -> None:
    """Prints one conflict: the write, the row of today, and field by field what the three states hold."""
    typer.echo(f"Conflit {view.number} : {OPERATIONS[view.operation]} {OF[view.resource]} {view.key}")
    by = "" if view.member is None else f" par {_name(view.member, names)}"
    typer.echo(f"  écriture      le {_minute(view.at)} UTC{by}")
    typer.echo(f"  raison        {view.reason}")
    if view.resolution is not None:
        who = "" if view.resolved_by is None else f" par {_name(view.resolved_by, names)}"
        typer.echo(f"  décision      {DECISIONS[view.resolution]} le {view.resolved_at:%d/%m/%Y %H:%M} UTC{who}")
    typer.echo(f"  aujourd'hui   {_today(view, names)}")
    typer.echo(f"  base          {_base(view)}")
    for line in _table(view.fields, lambda value: _short(names.get(value, value) if value else value)):
        typer.echo(line)
    if not view.fields:
        typer.echo("Aucun champ ne diffère.")
    if view.resolution is None:
        typer.echo(f"Pour trancher : retrobus resync --apply {view.number} ou --discard {view.number}")
    elif view.kept:
        typer.echo(f"La ligne remplacée est gardée : retrobus resync --restore {view.number}")


def _today(view: ConflictView, names: dict[str, str]) -> str:
    if view.version is None:
        return "aucune ligne"
    by = "" if view.updated_by is None else f" par {_name(view.updated_by, names)}"
    return f"version {view.version}, modifiée le {_minute(view.updated_at or '')} UTC{by}"


def _base(view: ConflictView) -> str:
    """What the client changed, as far as the journal says it."""
    if view.base is None:
        return "aucune : la ligne était nouvelle" if view.operation == "insert" else "inconnue"
    after = f", après l'écriture {view.base['sequence']} du même journal" if "sequence" in view.base else ""
    return f"version {view.base.get('version', 'inconnue')}{after}"


def _table(fields: list[Field], shown: Callable[[Any], str]) -> list[str]:
    """The values of each field; a base that the journal does not hold is shown as `?`."""
    rows = []
    for field in fields:
        base = shown(field.base) if field.based else "?"
        rows.append([field.name, shown(field.journal), shown(field.present), base])
    return columns(("Champ", "Journal", "Aujourd'hui", "Base"), rows) if rows else []


def _name(member: str | None, names: dict[str, str]) -> str | None:
    return names.get(member or "", member)


def _minute(at: str) -> str:
    """`2026-01-31T14:05:06.789Z` as `31/01/2026 14:05`."""
    return f"{at[8:10]}/{at[5:7]}/{at[:4]} {at[11:16]}"


def _short(value: Any) -> str:
    text = "rien" if value is None else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
