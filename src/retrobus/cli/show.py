"""`retrobus db show`: what a table holds, what changed last, or one row of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

import typer

from retrobus.cli.cleaning import scope_of
from retrobus.cli.inspection import OWN_KEYS
from retrobus.cli.listing import columns
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, answer, stop
from retrobus.store.authors import COLUMNS, named, names_of
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection
    from retrobus.model.resources import Resource

LAST = 10
"""Changes and deletions that are listed, each, without --limit."""

MOST = 10_000
"""The largest --limit: a list that still fits into memory and a terminal's history."""

COUNT = "SELECT count(*) FROM {table}"
CHANGES = """SELECT {key} AS key, version, updated_at AS at, updated_by AS actor FROM {table}
ORDER BY version DESC LIMIT $1"""
DELETIONS = """SELECT key, version, deleted_at AS at, cause, actor FROM deletion
WHERE resource = $1 AND key !~ $3 ORDER BY version DESC LIMIT $2"""
VERIFICATIONS = "SELECT count(*) FROM deletion WHERE resource = $1 AND key ~ $2"
DELETIONS_OF_KEY = """SELECT version, deleted_at AS at, cause, actor, batch FROM deletion
WHERE resource = $1 AND key = $2 ORDER BY version DESC LIMIT $3"""

PROBES = "événement d'essai créé puis supprimé", "événements d'essai créés puis supprimés"
HEADINGS = {"at": "Quand", "version": "Version", "key": "Clé", "cause": "Cause", "actor": "Par"}
NONE = {"changes": "aucun", "deletions": "aucune"}
WIDEST = 200
"""Characters of a value that are printed; --json prints all of it."""


def show(
    table: Annotated[str, typer.Argument(help="vehicle, event ou member.")],
    key: Annotated[
        str | None,
        typer.Argument(help="parc d'un véhicule, id d'un événement ; id, adresse ou matricule d'un membre."),
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST, help="Changements et suppressions à montrer, au plus.")
    ] = LAST,
    as_json: AsJson = False,
) -> None:
    """Montre une table (compte, derniers changements, dernières suppressions) ou une ligne, sans mot de passe."""
    from retrobus.model.resources import BY_NAME

    [name] = scope_of([table])
    resource = BY_NAME[name]
    if key is None:
        _show_table(with_connection(lambda connection: _overview(connection, resource, limit)), as_json=as_json)
        return
    wanted = normalize("NFC", key.strip())
    _show_row(with_connection(lambda connection: _row(connection, resource, wanted, limit)), wanted, as_json=as_json)


async def _overview(connection: AnyConnection, resource: Resource, limit: int) -> dict[str, Any]:
    table = resource.table.name
    changes = await _rows(connection, CHANGES.format(table=table, key=resource.key), limit)
    deletions = await _rows(connection, DELETIONS, resource.name, limit, OWN_KEYS)
    return {
        "table": table,
        "count": await connection.fetchval(COUNT.format(table=table)),
        "changes": changes,
        "deletions": deletions,
        "names": await names_of(connection, (row["actor"] for row in (*changes, *deletions))),
        "verifications": await connection.fetchval(VERIFICATIONS, resource.name, OWN_KEYS),
    }


async def _key_of(connection: AnyConnection, resource: Resource, key: str) -> str:
    """The key of the row that is meant: a member may be named by e-mail or matricule too.

    A name without a row stays what it is: it may be the key of a row that was deleted.
    """
    from retrobus.accounts.changes import SeveralMembers, member_named
    from retrobus.model.resources import MEMBER

    if resource is not MEMBER:
        return key
    try:
        found = await member_named(connection, key)
    except SeveralMembers as error:
        raise stop(str(error)) from None
    return key if found is None else str(found["id"])


async def _row(connection: AnyConnection, resource: Resource, named: str, limit: int) -> dict[str, Any]:
    from retrobus.database import sql
    from retrobus.model.rows import encoded

    key = await _key_of(connection, resource, named)
    row = await sql.row_of(connection, resource, key)
    values = None if row is None else {column.name: encoded(column, row[column.name]) for column in resource.shown}
    deletions = await _rows(connection, DELETIONS_OF_KEY, resource.name, key, limit)
    ids = [*((values or {}).get(name) for name in COLUMNS), *(one["actor"] for one in deletions)]
    return {"row": values, "deletions": deletions, "names": await names_of(connection, ids)}


async def _rows(connection: AnyConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    from retrobus.model.wire import moment

    rows = [dict(row) for row in await connection.fetch(sql, *values)]
    return [row | {"at": moment(row["at"])} for row in rows]


def _show_table(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        answer(found)
        return
    typer.echo(f"{found['table']} : {plural(found['count'], 'ligne')}")
    for title, name in (("Derniers changements :", "changes"), ("Dernières suppressions :", "deletions")):
        typer.echo(title if found[name] else f"{title} {NONE[name]}")
        for line in _listed(found[name], found["names"]) if found[name] else ():
            typer.echo(f"  {line}")
    if found["verifications"]:
        typer.echo(f"Et {plural(found['verifications'], *PROBES)} par retrobus verify")


def _listed(rows: list[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """The lines of changes or deletions, with headings and the names of the members who made them."""
    shown = [row | {"actor": names.get(row["actor"], row["actor"])} for row in rows]
    told = [name for name in HEADINGS if name in shown[0]]
    return columns([HEADINGS[name] for name in told], [[row[name] for name in told] for row in shown])


def _show_row(found: dict[str, Any], key: str, *, as_json: bool) -> None:
    if as_json:
        answer(found)
    else:
        for name, value in named(found["row"] or {}, found["names"]).items():
            text = str(value)
            cut = f"{text[:WIDEST]}… ({len(text)} caractères)" if len(text) > WIDEST else text
            typer.echo(f"{name:<22}{'-' if value is None else cut}")
        for row in found["deletions"]:
            actor = found["names"].get(row["actor"], row["actor"])
            by = f" par {actor}" if actor else ""
            typer.echo(f"supprimé le {row['at']}{by} ({row['cause']}, batch:{row['batch']})")
    if found["row"] is None:
        raise stop(f"aucune ligne {key}")
