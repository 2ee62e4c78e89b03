"""`retrobus db show`: what a table holds, what changed last, or one row of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

import typer

from retrobus.cli.cleaning import scope_of
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, answer, stop

if TYPE_CHECKING:
    from sqlalchemy import Table

LAST = 10
WIDEST = 200
"""Characters of a value that are shown; --json gives it whole."""


def show(
    table: Annotated[str, typer.Argument(help="vehicle, event ou member.")],
    key: Annotated[str | None, typer.Argument(help="parc d'un véhicule, id d'un événement ou d'un membre.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Montre une table (compte, derniers changements, dernières suppressions) ou une ligne, sans mot de passe."""
    from retrobus.model.tables import RESOURCES

    [resource] = scope_of([table])
    found = RESOURCES[resource]
    key = None if key is None else normalize("NFC", key)
    if key is None:
        _show_table(with_connection(lambda connection: _overview(connection, found)), as_json=as_json)
    else:
        _show_row(with_connection(lambda connection: _row(connection, found, key)), key, as_json=as_json)


async def _overview(connection: Any, table: Table) -> dict[str, Any]:
    from retrobus.model.tables import key_column

    key = key_column(table).name
    return {
        "table": table.name,
        "count": await connection.fetchval(f"SELECT count(*) FROM {table.name}"),  # noqa: S608 - our own names
        "changes": await _rows(
            connection,
            f"SELECT {key} AS key, version, updated_at AS at FROM {table.name} ORDER BY version DESC LIMIT {LAST}",  # noqa: S608 - our own names
        ),
        "deletions": await _rows(
            connection,
            "SELECT key, version, deleted_at AS at, cause, actor FROM deletion WHERE resource = $1"  # noqa: S608 - a constant
            f" ORDER BY version DESC LIMIT {LAST}",
            table.info["resource"],
        ),
    }


async def _row(connection: Any, table: Table, key: str) -> dict[str, Any]:
    from retrobus.model.rows import encoded
    from retrobus.model.tables import SECRET_COLUMNS, key_column, stored_columns

    columns = [column for column in stored_columns(table) if column.name not in SECRET_COLUMNS]
    names = ", ".join(column.name for column in columns)
    row = await connection.fetchrow(f"SELECT {names} FROM {table.name} WHERE {key_column(table).name} = $1", key)  # noqa: S608 - our own names
    deletions = await _rows(
        connection,
        "SELECT version, deleted_at AS at, cause, actor, batch FROM deletion"
        " WHERE resource = $1 AND key = $2 ORDER BY version DESC",
        table.info["resource"],
        key,
    )
    values = None if row is None else {column.name: encoded(column, row[column.name]) for column in columns}
    return {"row": values, "deletions": deletions}


async def _rows(connection: Any, sql: str, *values: object) -> list[dict[str, Any]]:
    from retrobus.model.wire import moment

    rows = [dict(row) for row in await connection.fetch(sql, *values)]
    return [row | {"at": moment(row["at"])} for row in rows]


def _show_table(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        answer(found)
        return
    typer.echo(f"{found['table']} : {found['count']} lignes")
    for title, name in (("Derniers changements :", "changes"), ("Dernières suppressions :", "deletions")):
        typer.echo(title if found[name] else f"{title} aucun")
        for row in found[name]:
            cause = f"  {row['cause']} {row['actor'] or ''}".rstrip() if "cause" in row else ""
            typer.echo(f"  {row['at']}  version {row['version']}  {row['key']}{cause}")


def _show_row(found: dict[str, Any], key: str, *, as_json: bool) -> None:
    if as_json:
        answer(found)
    else:
        for name, value in (found["row"] or {}).items():
            text = str(value)
            cut = f"{text[:WIDEST]}… ({len(text)} caractères)" if len(text) > WIDEST else text
            typer.echo(f"{name:<22}{'-' if value is None else cut}")
        for row in found["deletions"]:
            typer.echo(f"supprimé le {row['at']} ({row['cause']}, batch:{row['batch']})")
    if found["row"] is None:
        raise stop(f"aucune ligne {key}")
