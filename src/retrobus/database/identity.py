"""Tells a database from its restored dump or its copy: whether its identity was given to this very database.

The row of `database_identity` holds the number of the transaction that wrote it. Postgres keeps that number beside the
row too (`xmin`), in the server's files: replicas, base backups and pg_upgrade carry both, a dump only the first. For
example: transaction 4711 wrote the row; pg_restore writes it again in transaction 802, and 802 is not 4711.
A copy by CREATE DATABASE … TEMPLATE has another database number, another server another system identifier.
"""

from retrobus.database.connection import AnyConnection

ELSEWHERE = "base restaurée ou copiée : son identité est celle d'une autre, lancez retrobus db repair"
"""The sentence for operators in /ready, log and doctor."""

FACTS = {
    "system_identifier": "(SELECT system_identifier FROM pg_control_system())",
    "server_major": "current_setting('server_version_num')::int / 10000",
    "database_oid": "(SELECT oid::bigint FROM pg_database WHERE datname = current_database())",
    "written_by": "pg_current_xact_id()::xid::text::bigint",
}
"""The place where an identity is given: SQL for each column of `database_identity`."""

AT_HOME_SQL = f"""CREATE OR REPLACE FUNCTION public.retrobus_is_at_home() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
-- Whether the identity was given to this database. After pg_upgrade the server has another system identifier and
-- another major version; database and row are the same.
SELECT coalesce(bool_and(
  written_by = xmin::text::bigint
  AND database_oid = {FACTS["database_oid"]}
  AND (system_identifier = {FACTS["system_identifier"]}
    OR server_major <> {FACTS["server_major"]})), false)
FROM public.database_identity
$$"""

_NOTED = "\n".join(f"    NEW.{column} := {value};" for column, value in FACTS.items())
NOTE_SQL = f"""CREATE OR REPLACE FUNCTION public.database_identity_note() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- A new identity is noted with its place, unless this database has to be repaired first: then it stays in want of it.
BEGIN
  IF public.retrobus_is_at_home() THEN
{_NOTED}
  END IF;
  RETURN NEW;
END $$"""

TRIGGER_SQL = (
    "CREATE TRIGGER database_identity_note BEFORE UPDATE ON database_identity"
    " FOR EACH ROW EXECUTE FUNCTION database_identity_note()"
)

SETTLE = (
    "DELETE FROM database_identity",
    f"INSERT INTO database_identity ({', '.join(FACTS)}) SELECT {', '.join(FACTS.values())}",
)
"""Gives this database its own identity. Not inside a savepoint, whose transaction number differs."""


async def is_at_home(connection: AnyConnection) -> bool:
    """Whether the identity was given to this database; true before the migration that added the function."""
    if not await connection.fetchval("SELECT to_regprocedure('public.retrobus_is_at_home()') IS NOT NULL"):
        return True
    return bool(await connection.fetchval("SELECT public.retrobus_is_at_home()"))
