"""Where the identity of a database was given: a dump that is restored elsewhere knows it by itself."""

from alembic import op

revision = "0008"
down_revision = "0007"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    """
ALTER TABLE database_identity
    ADD COLUMN system_identifier BIGINT,
    ADD COLUMN server_major INTEGER,
    ADD COLUMN database_oid BIGINT,
    ADD COLUMN written_by BIGINT
    """,
    """
UPDATE database_identity SET
  system_identifier = (SELECT system_identifier FROM pg_control_system()),
  server_major = current_setting('server_version_num')::int / 10000,
  database_oid = (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
  written_by = pg_current_xact_id()::xid::text::bigint
    """,
    """
CREATE OR REPLACE FUNCTION public.retrobus_is_at_home() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
-- Whether the identity was given to this database. After pg_upgrade the server has another system identifier and
-- another major version; database and row are the same.
SELECT coalesce(bool_and(
  written_by = xmin::text::bigint
  AND database_oid = (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
  AND (system_identifier = (SELECT system_identifier FROM pg_control_system())
    OR server_major <> current_setting('server_version_num')::int / 10000)), false)
FROM public.database_identity
$$
    """,
    """
CREATE OR REPLACE FUNCTION public.database_identity_note() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- A new identity is noted with its place, unless this database has to be repaired first: then it stays in want of it.
BEGIN
  IF public.retrobus_is_at_home() THEN
    NEW.system_identifier := (SELECT system_identifier FROM pg_control_system());
    NEW.server_major := current_setting('server_version_num')::int / 10000;
    NEW.database_oid := (SELECT oid::bigint FROM pg_database WHERE datname = current_database());
    NEW.written_by := pg_current_xact_id()::xid::text::bigint;
  END IF;
  RETURN NEW;
END $$
    """,
    """
CREATE TRIGGER database_identity_note BEFORE UPDATE ON database_identity
    FOR EACH ROW EXECUTE FUNCTION database_identity_note()
    """,
]

DOWNGRADE = [
    "DROP TRIGGER database_identity_note ON database_identity",
    "DROP FUNCTION database_identity_note()",
    "DROP FUNCTION retrobus_is_at_home()",
    """
ALTER TABLE database_identity
    DROP COLUMN system_identifier, DROP COLUMN server_major, DROP COLUMN database_oid, DROP COLUMN written_by
    """,
]


def upgrade() -> None:
    """Adds the place to the identity, and notes it."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drops it."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
