"""A trigger that stops a replay between its first commit and its last, until a test lets it go on."""

LAST_PASS_WAITS = (
    """CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$""",
    "CREATE TRIGGER wait BEFORE UPDATE ON replay FOR EACH ROW EXECUTE FUNCTION wait()",
)
"""A replay notes its progress in every pass: the second one finds the note of the first, and waits for lock 42."""
