"""How a plan's differing rows are printed: a line each with the first values, or field by field with `--diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from retrobus.cli.backup import SHOWN
from retrobus.cli.terminal import row_named
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.backups.plan import DifferingRow, Pair, Plan
    from retrobus.cli.plans import PlanSource

FIELDS = 3
"""Fields of a row whose values stand on its line; `--diff` shows all."""

MACHINERY = frozenset({"created_at", "updated_at", "updated_by"})
"""Fields that come last: they hardly tell an operator which row is the right one."""


def show_differences(plan: Plan, source: PlanSource, *, fields: bool) -> None:
    """Prints the rows that are here and in the backup with other values; `fields`: all that the plan names, whole."""
    verb = source.updated if plan.replace else "différent, laissé"
    rows = plan.differences if fields else plan.differences[:SHOWN]
    for row in rows:
        typer.echo(
            f"✏️  {row_named(row.resource, row.key)} {verb} : "
            f"{', '.join(map(source.column, row.columns)) if fields else _summary(row, source)}"
        )
        for name, pair in row.values.items() if fields else ():
            typer.echo(f"      {source.column(name)}")
            typer.echo(f"        {'ici':<{len(source.noun)}} : {_quoted(pair.here)}")
            typer.echo(f"        {source.noun} : {_quoted(pair.backup)}")
    hidden = plan.total("update", "differs") - len(rows)
    if hidden > 0:
        typer.echo(f"   … et {plural(hidden, 'autre')}{'' if fields else ' (--diff)'}")
    elif rows and not fields and any(len(row.values) > FIELDS for row in rows):
        typer.echo("   toutes les valeurs : --diff")


def _summary(row: DifferingRow, source: PlanSource) -> str:
    """`title (ici « Fête », backup « Foire »), status (…)`, and the names of the fields beyond the first ones."""
    columns = sorted(row.columns, key=lambda name: name in MACHINERY)
    if not row.values:
        return ", ".join(map(source.column, columns))
    said = [f"{source.column(name)} ({_both(row.values[name], source.noun)})" for name in columns[:FIELDS]]
    return ", ".join([*said, *map(source.column, columns[FIELDS:])])


def _both(pair: Pair, noun: str) -> str:
    return f"ici {_quoted(pair.here)}, {noun} {_quoted(pair.backup)}"


def _quoted(value: str | None) -> str:
    return "rien" if value is None else f"« {value} »"
