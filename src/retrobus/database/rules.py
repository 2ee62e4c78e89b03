"""The rules of values that PostgreSQL keeps by itself, for the service and psql alike: one function for each table."""

from collections.abc import Iterator

from sqlalchemy import Table

from retrobus.model.columns import RULE
from retrobus.model.tables import metadata

FUNCTION = """CREATE OR REPLACE FUNCTION public.{table}_rules(held public.{table}) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
-- Refuses a row with a value that breaks the rule of its column, as a CHECK {table}_<column>_check would.
-- One function, because PostgreSQL reads the text of every CHECK again for each statement: a quarter of a write.
DECLARE
  broken text := CASE
    {cases}
  END;
BEGIN
  IF broken IS NULL THEN
    RETURN true;
  END IF;
  RAISE check_violation USING
    MESSAGE = format('new row for relation "{table}" violates check constraint "{table}_%s_check"', broken),
    SCHEMA = 'public', TABLE = '{table}', COLUMN = broken, CONSTRAINT = format('{table}_%s_check', broken);
END $$"""
"""The error of a CHECK quotes the whole row, and a log would then hold personal data; this error names the column."""


def _cases(table: Table) -> Iterator[str]:
    for column in table.columns:
        if RULE in column.info:
            yield f"WHEN NOT ({column.info[RULE].replace('{}', f'held.{column.name}')}) THEN '{column.name}'"


def _function(table: Table) -> str:
    return FUNCTION.format(table=table.name, cases="\n    ".join(_cases(table)))


RULED = [table for table in metadata.sorted_tables if any(_cases(table))]
RULES = [_function(table) for table in RULED]
"""The statements that create the functions."""

CHECKS = {
    f"{table.name}_rules_check": f"ALTER TABLE {table.name} "
    f"ADD CONSTRAINT {table.name}_rules_check CHECK (public.{table.name}_rules({table.name}))"
    for table in RULED
}
"""By name, the statements that make each table ask its function."""
