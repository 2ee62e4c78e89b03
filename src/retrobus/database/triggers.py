"""The rules that PostgreSQL keeps by itself, for the service and psql alike: functions and triggers, as SQL text.

The migrations hold a copy of this text; a test compares what they build with what stands here.
"""

from retrobus.model.resources import Resource
from retrobus.model.wire import pieces_sql

# Every name of ours is written with its schema: the functions do the same in any session, role or dump, whatever its
# search_path. A SET on a function would do so too, at the price of a third of all writes (measured).

HIGHEST = "greatest({})".format(
    ", ".join(f"(SELECT max(version) FROM public.{name})" for name in ("vehicle", "event", "member", "deletion"))
)
TIMELINE = "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"

UNDER_WAY = 1 << 20
"""Versions that transactions under way may have drawn, unseen by others, when a sequence is put right."""

LOST = 1 << 32
"""More versions than the lost end of a timeline can hold; 2^53, which JSON numbers bear, has room for two million."""

SHARED = (
    """CREATE OR REPLACE FUNCTION public.retrobus_next_version(before bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
-- The version of a row or a tombstone: above `before` and above every version drawn, whatever became of the sequence.
-- The transaction has its id before the version is drawn: a follower that looks for writers under way sees this one.
-- `version_floor` keeps the last version drawn. It is read before the next one is drawn: else a version that another
-- transaction draws in between would look like a sequence that was set back.
-- Operators and functions carry their schema: this runs with the rights of its owner.
DECLARE
  here pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
  used pg_catalog.int8;
  known pg_catalog.text;
  drawn pg_catalog.int8;
BEGIN
  SELECT f.last_value, g.timeline INTO used, known FROM public.version_floor f, public.version_guard g;
  drawn := pg_catalog.nextval('public.row_version');
  IF drawn OPERATOR(pg_catalog.<=) used OR drawn OPERATOR(pg_catalog.<=) before OR known OPERATOR(pg_catalog.<>)
    pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) THEN
    drawn := public.retrobus_version_above(before);
  END IF;
  PERFORM pg_catalog.setval('public.version_floor', drawn);
  RETURN drawn;
END $$""",
    f"""CREATE OR REPLACE FUNCTION public.retrobus_version_above(before bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- Puts the sequence of versions right and draws from it; one transaction at a time.
-- For example: the tables hold versions up to 5000 and the sequence was set to 1. It goes on far above 5000, since
-- transactions under way may hold versions that this one cannot see.
-- On another timeline (a failover, a restore to a point in time) it goes on so far above that no version of the lost
-- end of the old timeline comes again: an ETag never means two states of a row.
DECLARE
  known text;
  used bigint;
  last bigint;
BEGIN
  SELECT timeline INTO known FROM public.version_guard FOR UPDATE;
  used := greatest(before, (SELECT last_value FROM public.version_floor), {HIGHEST});
  last := (SELECT last_value FROM public.row_version);
  IF known <> {TIMELINE} THEN
    UPDATE public.version_guard SET timeline = {TIMELINE};
    PERFORM setval('public.row_version', greatest(last, used) + {LOST});
  ELSIF last <= used THEN
    PERFORM setval('public.row_version', used + {UNDER_WAY});
  END IF;
  RETURN nextval('public.row_version');
END $$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_digits(value double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET extra_float_digits = 1 AS $$
-- A figure with all its digits, also in a session that prints fewer.
SELECT value::text
$$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_path_part(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
-- A text as one part of a path: letters, digits and _.~- as they are, every other byte of its UTF-8 as %XX.
SELECT coalesce(string_agg(CASE WHEN byte < 128 AND chr(byte) ~ '[A-Za-z0-9_.~-]' THEN chr(byte)
    ELSE '%' || lpad(upper(to_hex(byte)), 2, '0') END, '' ORDER BY place), '')
FROM (
  SELECT place, get_byte(convert_to(value, 'UTF8'), place) AS byte
  FROM generate_series(0, octet_length(value) - 1) AS place
) AS bytes
$$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_addresses(images jsonb, address text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
-- A list of images as a list of addresses: the links in it, and for every other entry `address` and its place, from 0.
SELECT '[' || string_agg(CASE
    WHEN jsonb_typeof(image) = 'string' AND NOT starts_with(image #>> '{}', 'data:') THEN image::text
    ELSE address || '/' || (place - 1) || '"' END, ',' ORDER BY place) || ']'
FROM jsonb_array_elements(images) WITH ORDINALITY AS listed (image, place)
$$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_lock_key(resource text, key text) RETURNS void
LANGUAGE plpgsql AS $$
-- Orders inserts and deletes of one key, so that the later state has the higher version.
-- 1024 locks for each table: a delete of every row must not exhaust the server's lock table.
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext(resource), hashtext(key) & 1023);
END $$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_bury(resource text, key text, version bigint, shown boolean)
RETURNS void
LANGUAGE plpgsql AS $$
-- Leaves the tombstone of one row, above the row's version: who, why, in which transaction, and whether the public
-- ever saw the row.
BEGIN
  PERFORM public.retrobus_lock_key(resource, key);
  INSERT INTO public.deletion (version, resource, key, actor, cause, batch, nonce, shown)
  VALUES (public.retrobus_next_version(version), resource, key, nullif(current_setting('retrobus.actor', true), ''),
          coalesce(nullif(current_setting('retrobus.cause', true), ''), 'sql'),
          pg_current_xact_id()::text::bigint, nullif(current_setting('retrobus.nonce', true), '')::bigint, shown);
END $$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_open(caller text, epoch integer, nonce bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- Begins a write of the service: proves that the caller still has access, notes who writes (for the row or tombstone),
-- and a number by which the service finds its write again should the connection be cut.
BEGIN
  IF caller IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.member WHERE id = caller AND token_epoch = epoch AND status = 'active'
  ) THEN
    RAISE EXCEPTION 'no access' USING ERRCODE = 'RB401';
  END IF;
  PERFORM set_config('retrobus.actor', coalesce(caller, ''), true), set_config('retrobus.cause', 'api', true),
    set_config('retrobus.nonce', nonce::text, true);
END $$""",
    """CREATE OR REPLACE FUNCTION public.retrobus_kept(member text, method text, path text, key text)
RETURNS TABLE (fingerprint bytea, answer text, etag text, row_key text)
LANGUAGE plpgsql AS $$
-- The answer kept for an Idempotency-Key. Until the transaction ends, no other request with this key is done: RB409.
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\\n', $1, $2, $3, $4), 0)) THEN
    RAISE EXCEPTION 'in progress' USING ERRCODE = 'RB409';
  END IF;
  RETURN QUERY SELECT i.fingerprint, i.answer, i.etag, i.row_key FROM public.idempotency i
    WHERE i.member_id = $1 AND i.method = $2 AND i.path = $3 AND i.key = $4
      AND i.created_at > now() - interval '24 hours';
END $$""",
)
"""The functions that the triggers of all tables share, and the one that begins a write of the service."""

_EPOCH = """
    IF NEW.token_epoch = OLD.token_epoch AND (NEW.role <> OLD.role OR NEW.status <> OLD.status) THEN
      NEW.token_epoch := OLD.token_epoch + 1;  -- tokens given for the old role or status end here
    END IF;"""


def _stamp_sql(resource: Resource) -> str:
    name, key = resource.name, resource.key
    return f"""CREATE OR REPLACE FUNCTION public.{resource.table.name}_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
-- The rows are compared column by column: to compare NEW as a whole would copy its images into it, and each change of a
-- vehicle would write them again.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
{_generated(resource)}    IF ROW(NEW.*) IS NOT DISTINCT FROM ROW(OLD.*) THEN
      RETURN NEW;
    END IF;
    IF NEW.{key} <> OLD.{key} THEN
      PERFORM public.retrobus_bury('{name}', OLD.{key}, OLD.version, {_shown(resource, "OLD.")});
      PERFORM public.retrobus_lock_key('{name}', NEW.{key});
    END IF;{_EPOCH if "token_epoch" in resource.table.c else ""}
  ELSE
    PERFORM public.retrobus_lock_key('{name}', NEW.{key});
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
{_public_sql(resource)}  {pieces_sql(resource)}
  RETURN NEW;
END $$"""


def _shown(resource: Resource, row: str = "") -> str:
    """Whether the public ever saw the row under its key."""
    return "false" if resource.published is None else f"{row}public_version IS NOT NULL"


def _public_sql(resource: Resource) -> str:
    """What keeps `public_version`: the row's version while it is public, then the version that hid it."""
    if resource.published is None:
        return ""
    key = resource.key
    return f"""  NEW.public_version := CASE
    WHEN {resource.published.format("NEW")} THEN NEW.version
    WHEN TG_OP = 'INSERT' OR NEW.{key} <> OLD.{key} THEN NULL
    WHEN {resource.published.format("OLD")} THEN NEW.version
    ELSE OLD.public_version
  END;
"""


def _generated(resource: Resource) -> str:
    """PostgreSQL fills generated columns after this trigger: empty ones would make every row look changed."""
    names = [column.name for column in resource.table.columns if column.computed is not None]
    return "".join(f"    NEW.{name} := OLD.{name};\n" for name in names)


def _bury_sql(resource: Resource) -> str:
    table = resource.table.name
    return f"""CREATE OR REPLACE FUNCTION public.{table}_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('{resource.name}', {resource.key}, version, {_shown(resource)})
      FROM public.{table};
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('{resource.name}', OLD.{resource.key}, OLD.version, {_shown(resource, "OLD.")});
  RETURN OLD;
END $$"""


def trigger_sql(resource: Resource) -> list[str]:
    """The statements that create the functions and triggers of a resource's table."""
    name = resource.table.name
    return [
        _stamp_sql(resource),
        _bury_sql(resource),
        f"CREATE TRIGGER {name}_stamp BEFORE INSERT OR UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_stamp()",
        f"CREATE TRIGGER {name}_bury BEFORE DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_bury()",
        f"CREATE TRIGGER {name}_bury_all BEFORE TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {name}_bury()",
    ]
