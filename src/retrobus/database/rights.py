"""The rights of the role that serves: one list, from which they are granted, checked and named when one is missing.

The role can read and write rows. It cannot change the schema, and it cannot remove the trace of a delete.
"""

from retrobus.database.connection import AnyConnection

SCHEMA = "public"
TABLES: dict[str, tuple[str, ...]] = {
    "vehicle": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "event": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "member": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "idempotency": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "login_throttle": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "conflict": ("SELECT", "INSERT", "UPDATE"),
    "replay": ("SELECT", "INSERT", "UPDATE"),
    "deletion": ("SELECT", "INSERT"),
    "alembic_version": ("SELECT",),
    "database_identity": ("SELECT",),
    "erasure": ("SELECT",),
    "erasure_key": ("SELECT",),
    "version_guard": ("SELECT",),
    "schema_support": ("SELECT",),
}
SEQUENCES: dict[str, tuple[str, ...]] = {"row_version": ("SELECT",), "version_floor": ("SELECT",)}

MISSING = """SELECT wanted.privilege || CASE kind WHEN 'S' THEN ' ON SEQUENCE ' ELSE ' ON ' END || wanted.name
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted(kind, name, privilege, place)
JOIN pg_catalog.pg_class c ON c.relname = wanted.name
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $4
WHERE NOT CASE kind WHEN 'S' THEN has_sequence_privilege(c.oid, wanted.privilege)
  ELSE has_table_privilege(c.oid, wanted.privilege) END
ORDER BY place"""
MISSING_FUNCTIONS = """SELECT 'EXECUTE ON FUNCTION ' || p.oid::regprocedure FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = $1
WHERE p.proname LIKE 'retrobus\\_%' AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1"""
FUNCTIONS = """SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = $1
WHERE p.proname LIKE 'retrobus\\_%' ORDER BY 1"""
SCHEMA_IS_OPEN = "SELECT coalesce(has_schema_privilege(to_regnamespace($1), 'USAGE'), true)"


async def is_locked_out(connection: AnyConnection) -> bool:
    """Whether this role has no USAGE on the schema: PostgreSQL then says of each table that it is missing."""
    return not await connection.fetchval(SCHEMA_IS_OPEN, SCHEMA)


async def missing(connection: AnyConnection) -> list[str]:
    """The rights that this connection's role lacks, in the words of GRANT: `UPDATE ON vehicle`."""
    if await is_locked_out(connection):
        return [f"USAGE ON SCHEMA {SCHEMA}"]
    wanted = [("r", name, right) for name, rights in TABLES.items() for right in rights]
    wanted += [("S", name, right) for name, rights in SEQUENCES.items() for right in rights]
    kinds, names, rights = zip(*wanted, strict=True)
    rows = await connection.fetch(MISSING, kinds, names, rights, SCHEMA)
    rows += await connection.fetch(MISSING_FUNCTIONS, SCHEMA)
    return [row[0] for row in rows]


async def grants(connection: AnyConnection, role: str) -> list[str]:
    """The statements that give a role every right that the service needs in this connection's database."""
    quoted: str = await connection.fetchval("SELECT quote_ident($1)", role)
    found = [row[0] for row in await connection.fetch(FUNCTIONS, SCHEMA)]
    functions = [f"GRANT EXECUTE ON FUNCTION {', '.join(found)} TO {quoted}"] if found else []
    return [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {quoted}",
        *(f"GRANT {', '.join(rights)} ON {name} TO {quoted}" for name, rights in TABLES.items()),
        *(f"GRANT {', '.join(rights)} ON SEQUENCE {name} TO {quoted}" for name, rights in SEQUENCES.items()),
        *functions,
    ]
