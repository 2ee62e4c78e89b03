"""Lists in the order that a French reader expects: generated sort keys for names and parc numbers."""

from alembic import op

revision = "0004"
down_revision = "0003"
compatible = True
"""Whether code that expects the revision before works with this one too."""

MARKS = "".join(map(chr, range(0x300, 0x370)))

NAME_KEY = f"""
CREATE FUNCTION retrobus_name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- The letters of a name without accents and without ASCII capitals; the body is bound to its functions when it is made.
RETURN lower(replace(replace(replace(replace(replace(
  translate(normalize(name, NFD), 'øØłŁ{MARKS}', 'oOlL'),
  'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss') COLLATE "C")
"""

PARC_KEY = """
CREATE FUNCTION retrobus_parc_key(parc text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
-- Each number after its count of digits, so that 9 comes before 10.
RETURN (SELECT coalesce(string_agg(
    CASE WHEN found[1] ~ '^[0-9]' COLLATE "C"
      THEN lpad(length(ltrim(found[1], '0'))::text, 2, '0') || ltrim(found[1], '0') ELSE found[1] END,
    '' ORDER BY n), '')
  FROM regexp_matches(retrobus_name_key(parc), '[0-9]+|[^0-9]+' COLLATE "C", 'g') WITH ORDINALITY AS part(found, n))
"""

UPGRADE = [
    NAME_KEY,
    PARC_KEY,
    """
ALTER TABLE vehicle ADD COLUMN sort_parc TEXT COLLATE "C" GENERATED ALWAYS AS (retrobus_parc_key(parc)) STORED
    """,
    """
ALTER TABLE member
  ADD COLUMN sort_last_name TEXT COLLATE "C" GENERATED ALWAYS AS (retrobus_name_key(last_name)) STORED,
  ADD COLUMN sort_first_name TEXT COLLATE "C" GENERATED ALWAYS AS (retrobus_name_key(first_name)) STORED
    """,
    "CREATE INDEX vehicle_sort_parc_parc ON vehicle (sort_parc, parc)",
    "CREATE INDEX member_sort_last_name_sort_first_name_id ON member (sort_last_name, sort_first_name, id)",
    "DROP INDEX member_last_name_first_name_id",
]

DOWNGRADE = [
    "CREATE INDEX member_last_name_first_name_id ON member (last_name, first_name, id)",
    "ALTER TABLE member DROP COLUMN sort_last_name, DROP COLUMN sort_first_name",
    "ALTER TABLE vehicle DROP COLUMN sort_parc",
    "DROP FUNCTION retrobus_parc_key(text)",
    "DROP FUNCTION retrobus_name_key(text)",
]


def upgrade() -> None:
    """Adds the functions, the generated columns and their indexes."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drops them: lists are ordered by bytes again."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
