"""Who was erased: keyed hashes that let a restore know the person again, and say nothing of them to anybody else."""

import secrets

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE erasure (
    fingerprint BYTEA NOT NULL,
    erased_at TIMESTAMP(3) WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT erasure_pkey PRIMARY KEY (fingerprint)
);
CREATE TABLE erasure_key (
    inner_pad BYTEA NOT NULL,
    outer_pad BYTEA NOT NULL
);
CREATE UNIQUE INDEX erasure_key_single ON erasure_key ((true))
"""

FINGERPRINTS = """
CREATE FUNCTION retrobus_fingerprints(id text, email text, matricule text, number text) RETURNS bytea[]
LANGUAGE sql STABLE AS $$
-- HMAC-SHA256 of each thing by which a member is known, with the key of this database.
SELECT coalesce(array_agg(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(told, 'UTF8')))), '{}')
FROM erasure_key k, unnest(ARRAY[
  'id:' || nullif($1, ''), 'email:' || lower(nullif($2, '') COLLATE "C"),
  'matricule:' || lower(nullif($3, '') COLLATE "C"), 'number:' || nullif($4, '')
]) AS told WHERE told IS NOT NULL
$$
"""

IS_ERASED = """
CREATE FUNCTION retrobus_is_erased(id text, email text, matricule text, number text) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether this is somebody who was erased; what a member of today has does not count: it was given anew.
SELECT EXISTS (SELECT FROM erasure e WHERE e.fingerprint = ANY (retrobus_fingerprints(
  CASE WHEN NOT EXISTS (SELECT FROM member m WHERE m.id = $1) THEN $1 END,
  CASE WHEN NOT EXISTS (SELECT FROM member m WHERE lower(m.email COLLATE "C") = lower($2 COLLATE "C")) THEN $2 END,
  CASE WHEN NOT EXISTS (SELECT FROM member m WHERE lower(m.matricule COLLATE "C") = lower($3 COLLATE "C")) THEN $3 END,
  CASE WHEN NOT EXISTS (SELECT FROM member m WHERE m.member_number = $4) THEN $4 END
)))
$$
"""


def upgrade() -> None:
    """Adds the tables with a random key of this database, and the two functions."""
    run = op.get_bind().exec_driver_sql
    for statement in (*TABLES.split(";\n"), FINGERPRINTS, IS_ERASED):
        run(statement)
    key = secrets.token_bytes(64)
    pads = [bytes(byte ^ pad for byte in key).hex() for pad in (0x36, 0x5C)]
    run(rf"INSERT INTO erasure_key VALUES ('\x{pads[0]}', '\x{pads[1]}')")  # noqa: S608 - our own bytes


def downgrade() -> None:
    """Drops all of it: who was erased is known no more."""
    run = op.get_bind().exec_driver_sql
    run("DROP FUNCTION retrobus_is_erased(text, text, text, text)")
    run("DROP FUNCTION retrobus_fingerprints(text, text, text, text)")
    run("DROP TABLE erasure, erasure_key")
