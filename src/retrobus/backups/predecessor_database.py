"""Reads the predecessor's live database: one read-only snapshot of its tables, and nothing is ever written there."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from retrobus.backups import BadBackup
from retrobus.backups.create import UNHURRIED
from retrobus.backups.lines import LARGEST_LINE
from retrobus.backups.predecessor_copy import CopiedTable, Copy
from retrobus.backups.predecessor_failures import failures_told
from retrobus.database.connection import AnyConnection
from retrobus.database.session import connect_for_command
from retrobus.database.url import normalized
from retrobus.model.names import camel
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.wire import moment
from retrobus.words import plural

SCHEMES = ("postgres://", "postgresql://")
TIMEOUT = 10.0
"""Seconds to connect to the old server."""

TABLES = {"Vehicle": VEHICLE, "Event": EVENT, "members": MEMBER}
"""The names of the predecessor's tables; ours are `vehicle`, `event` and `member`."""

REQUIRED = {VEHICLE: ("parc",), EVENT: ("id", "title", "date"), MEMBER: ("id", "email")}
"""Columns without which no row of a table could come in."""

SESSION = f"""{UNHURRIED}; SET LOCAL lock_timeout = '10s'; SET LOCAL row_security = off;
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'"""
"""Instants in UTC. Without `row_security`, rows that a policy hides would be left out in silence: so it is an error."""

SEEN = """SELECT c.oid, c.relname AS name, c.oid::regclass::text AS place, c.relkind::text IN ('r', 'p') AS stored,
  has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND pg_table_is_visible(c.oid)
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY c.relname"""

COLUMNS = """SELECT attname AS name, quote_ident(attname) AS quoted, atttypid = 'timestamp'::regtype AS zoneless,
  atttypid = 'json'::regtype AS verbatim
FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""

ROWS = """SELECT key, CASE WHEN octet_length(body) <= {largest} THEN {body} END
FROM (SELECT to_json({key})::text AS key, row_to_json(old)::text AS body
  FROM (SELECT {columns} FROM {place} ORDER BY {key}) AS old) AS texts"""
ONE_LINE = "translate(body, E'\\n\\r\\t', '   ')"
"""A column of type `json` may hold line feeds and tabs between its values, where they mean nothing."""

OTHERS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename IS NOT NULL AND pid <> pg_backend_pid()"""

DATABASE = "SELECT oid::bigint AS database FROM pg_database WHERE datname = current_database()"
CLUSTER = "SELECT system_identifier FROM pg_control_system()"


class Where(NamedTuple):
    """Which database of which cluster a connection leads to; a cluster that some hosts hide is None."""

    cluster: int | None
    database: int


async def where_is(connection: AnyConnection) -> Where:
    """The database of this connection."""
    told_to_us = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
    cluster = await connection.fetchval(CLUSTER) if await connection.fetchval(told_to_us) else None
    return Where(cluster, await connection.fetchval(DATABASE))


async def tables_seen(connection: AnyConnection) -> dict[str, Any]:
    """Every table and view that this connection finds without naming a schema, by name."""
    return {row["name"]: row for row in await connection.fetch(SEEN)}


def is_address(name: str) -> bool:
    """Whether this names a database, not a file."""
    return name.startswith(SCHEMES)


def public_name(url: str) -> str:
    """The address without user, password and parameters."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    authority, slash, database = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{database}"


async def copied(url: str, scope: tuple[Resource, ...], target: Where, file: BinaryIO) -> Copy:
    """Copies the tables of these resources into the file; BadBackup says what is missing, and how to cure it.

    Everything is read in one transaction (REPEATABLE READ, READ ONLY), so that PostgreSQL itself refuses any write.
    Memory holds one row, which may have 32 MiB; a larger one is copied as its key alone.
    """
    try:
        url = normalized(url)
    except ValueError as error:
        raise BadBackup(f"L'adresse de l'ancienne base n'est pas utilisable : {error}.") from None
    copy = Copy(public_name(url), file)
    with failures_told(copy.name):
        connection = await connect_for_command(url, TIMEOUT, "retrobus restore")
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(SESSION)
                await _fill(connection, copy, scope, target)
        finally:
            with suppress(Exception):  # all is read or has failed: how the connection ends changes nothing
                await connection.close(timeout=TIMEOUT)
    return copy


async def _fill(connection: AnyConnection, copy: Copy, scope: tuple[Resource, ...], target: Where) -> None:
    here = await where_is(connection)
    if here == target and here.cluster is not None:
        raise BadBackup(
            f"{copy.name} est la base de DATABASE_URL elle-même. Donnez à RétroBus API une base à elle "
            "(createdb, DATABASE_URL, retrobus db upgrade), puis relancez : docs/migration.md#préparer."
        )
    copy.timestamp = moment(await connection.fetchval("SELECT now()"))
    seen = await tables_seen(connection)
    wanted = {name: resource for name, resource in TABLES.items() if resource in scope}
    _check_tables(seen, wanted, copy.name)
    for name, resource in wanted.items():
        await _check_right(connection, seen[name], copy.name)
        columns = await connection.fetch(COLUMNS, seen[name]["oid"])
        _check_columns(columns, name, resource, copy)
        copy.tables.append(await _copy(connection, copy, seen[name], columns, resource))
    await _look_around(connection, copy, seen)


def _check_tables(seen: Mapping[str, Any], wanted: Mapping[str, Resource], name: str) -> None:
    missing = [table for table in wanted if table not in seen]
    if not missing:
        return
    if "database_identity" in seen and "deletion" in seen:
        raise BadBackup(
            f"{name} est une base de RétroBus API, pas celle du prédécesseur : là-bas, retrobus backup create ; "
            "ici, retrobus restore avec le chemin de ce backup."
        )
    others = [resource.table.name for table, resource in wanted.items() if table in seen]
    cure = f" Pour reprendre le reste : {' '.join(f'--table {table}' for table in others)}." if others else ""
    raise BadBackup(
        f"{name} n'a pas de table {', '.join(missing)} que ce rôle puisse voir (tables vues : "
        f"{', '.join(seen) or 'aucune'}). Vérifiez le nom de la base, et le droit USAGE sur son schéma.{cure}"
    )


async def _check_right(connection: AnyConnection, table: Any, name: str) -> None:
    if not table["readable"]:
        role = await connection.fetchval("SELECT quote_ident(current_user)")
        raise BadBackup(
            f"{name} : le rôle {role} n'a pas le droit de lire {table['place']}. "
            f"Avec le propriétaire : GRANT SELECT ON {table['place']} TO {role};"
        )


def _check_columns(columns: list[Any], name: str, resource: Resource, copy: Copy) -> None:
    """BadBackup without a column that each row needs; a warning about columns that are missing or not ours."""
    found, ours = [column["name"] for column in columns], _ours(resource)
    missing = [column for column in REQUIRED[resource] if column not in found]
    if missing:
        raise BadBackup(
            f"{copy.name} : la table {name} n'a pas de colonne {', '.join(missing)} (colonnes : {', '.join(found)}). "
            "Ce n'est pas le schéma du prédécesseur ; exportez la table en JSON avec ces noms : "
            "docs/migration.md#sans-accès-à-lancienne-base."
        )
    absent, unknown = [c for c in ours if c not in found], [c for c in found if c not in ours]
    copy.warnings += [f"{name} : colonnes absentes, valeurs par défaut : {', '.join(absent)}"] if absent else []
    copy.warnings += [f"{name} : colonnes que nous n'avons pas, non reprises : {', '.join(unknown)}"] if unknown else []


def _ours(resource: Resource) -> list[str]:
    """The columns of the predecessor that a restore reads."""
    theirs = {"password_hash": "password"}
    ours_alone = {"version", "token_epoch", "updated_by"}
    return [camel(theirs.get(c.name, c.name)) for c in resource.columns if c.name not in ours_alone]


async def _copy(
    connection: AnyConnection, copy: Copy, table: Any, columns: list[Any], resource: Resource
) -> CopiedTable:
    """Copies the rows of one table in the order of their key."""
    ours = set(_ours(resource))
    chosen = [
        f"{c['quoted']} AT TIME ZONE 'UTC' AS {c['quoted']}" if c["zoneless"] else c["quoted"]
        for c in columns
        if c["name"] in ours
    ]

    async def write(data: bytes) -> None:
        copy.file.write(data)

    body = ONE_LINE if any(column["verbatim"] for column in columns) else "body"
    sql = ROWS.format(
        largest=LARGEST_LINE, body=body, key=resource.key, columns=", ".join(chosen), place=table["place"]
    )
    done = await connection.copy_from_query(sql, output=write, format="text", null="")
    return CopiedTable(table["name"], resource, int(done.rpartition(" ")[2]))


async def _look_around(connection: AnyConnection, copy: Copy, seen: Mapping[str, Any]) -> None:
    """Counts the rows of the tables that are not ours, and the other connections."""
    hidden = []
    for name, table in seen.items():
        if name in TABLES or not table["stored"]:
            continue
        if table["readable"]:
            copy.foreign[name] = await connection.fetchval(f"SELECT count(*) FROM {table['place']}")
        else:
            hidden.append(name)
    copy.warnings += [f"tables que ce rôle ne peut pas lire, non comptées : {', '.join(hidden)}"] if hidden else []
    others = await connection.fetchval(OTHERS)
    if others:
        copy.warnings.append(
            f"{plural(others, 'autre connexion', 'autres connexions')} à l'ancienne base : si l'ancien serveur tourne "
            "encore, ce qu'il écrit à partir de maintenant n'est pas repris"
        )
