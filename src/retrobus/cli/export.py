"""`retrobus export`: a list in a file for a spreadsheet program, read from PostgreSQL in one snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, progress_bar, report, say, stop, warn
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection
    from retrobus.model.resources import Resource
    from retrobus.sheets.outputs import Output

FETCHED = 200
"""Rows that are in memory at a time."""

COUNT = "SELECT count(*) FROM {table}"
SUFFIXES = (".csv", ".xlsx", ".json")
LEFT_OUT = ("valeur trop longue ou image n'y est pas", "valeurs trop longues ou images n'y sont pas")

ResourceName = Annotated[str, typer.Argument(metavar="RESSOURCE", help="membres, véhicules ou événements.")]
DialectName = Annotated[
    Literal["excel-fr", "rfc4180"] | None,
    typer.Option(
        "--dialect",
        metavar="DIALECTE",
        help="D'un .csv : excel-fr (celui d'un tableur français, par défaut) ou rfc4180 (virgules, valeurs de l'API).",
    ),
]


def export(
    resource: ResourceName,
    *,
    out: Annotated[Path, typer.Option("--out", help="Fichier à écrire : .csv, .xlsx ou .json.")],
    dialect: DialectName = None,
    force: Annotated[bool, typer.Option("--force", help="Remplace le fichier s'il existe déjà.")] = False,
    as_json: AsJson = False,
) -> None:
    """Écrit une liste entière dans un fichier pour un tableur, sans mot de passe, lisible par vous seul."""
    from retrobus.files.whole import whole_file
    from retrobus.sheets.outputs import output_of

    found = known_resource(resource)
    _check(out, dialect)
    try:
        with whole_file(out, replace=force) as file:
            output = output_of(found, out.suffix.lower(), dialect or "excel-fr", file)
            rows = with_connection(lambda connection: _copied(connection, found, output))
    except FileExistsError:
        raise stop(f"{out} existe déjà : choisissez un autre nom, ou --force") from None
    if as_json:
        report({"resource": found.name, "rows": rows, "file": str(out), "leftOut": output.left_out})
        return
    say(f"✅ {plural(rows, found.singular)} dans {out}")
    if output.left_out:
        warn(f"{plural(output.left_out, *LEFT_OUT)} : un .json a tout")


def known_resource(name: str) -> Resource:
    """The resource of this name, French or English; the command ends if there is none."""
    from retrobus.model.resources import ALL
    from retrobus.sheets.columns import resource_named

    found = resource_named(name)
    if found is None:
        raise stop(f"ressource inconnue : {name} ({', '.join(one.label for one in ALL)})")
    return found


def _check(out: Path, dialect: str | None) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise stop(f"--out {out} : un nom en {', '.join(SUFFIXES)} est attendu")
    if dialect is not None and out.suffix.lower() != ".csv":
        raise stop("--dialect ne vaut que pour un .csv")


async def _copied(connection: AnyConnection, resource: Resource, output: Output) -> int:
    """Writes every row of one snapshot, in the order of lists; how many there are."""
    from retrobus.store import statements

    statement = statements.find(resource, output.view, (), after=False, access=False)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        total: int = await connection.fetchval(COUNT.format(table=resource.table.name))
        cursor = await connection.cursor(statement.sql, *statement.values({"page": None}))
        with progress_bar() as progress:
            done = 0
            while rows := await cursor.fetch(FETCHED):
                output.add([row[0] for row in rows])
                done += len(rows)
                progress(resource.label, done, total)
    output.end()
    return done
