"""The numbers that PostgreSQL gives to rows, as SQL text: a number that is taken is passed over."""

NUMBERED = ("vehicle", "conflict")
"""The tables whose rows the database numbers."""


def number_sql(name: str) -> list[str]:
    """What gives a row of this table the next free `id` when its sequence stands behind the table."""
    return [
        f"""CREATE OR REPLACE FUNCTION public.{name}_number() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
-- After a copy without its sequence, or rows with numbers of their own, the number just drawn may be taken.
-- For example: rows 1 to 5 are there, the sequence draws 3. It is set to 5, and the row gets 6.
-- A number that the client of psql gave itself and that is taken stays an error.
DECLARE
  drawn bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM {name} WHERE id = NEW.id) THEN
    RETURN NEW;
  END IF;
  BEGIN
    drawn := currval('{name}_id_seq');
  EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN NEW;
  END;
  IF drawn = NEW.id THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('retrobus:{name}_number', 0));
    PERFORM setval('{name}_id_seq', greatest((SELECT max(id) FROM {name}), (SELECT last_value FROM {name}_id_seq)));
    NEW.id := nextval('{name}_id_seq');
  END IF;
  RETURN NEW;
END $$""",
        f"CREATE TRIGGER {name}_number BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_number()",
    ]
