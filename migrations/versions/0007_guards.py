"""Versions that never repeat, numbers that are free, functions that find their tables in any session."""

from alembic import op

revision = "0007"
down_revision = "0006"
compatible = True
"""Whether code that expects the revision before works with this one too."""

FUNCTIONS = [
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_next_version(before bigint) RETURNS bigint
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
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_version_above(before bigint) RETURNS bigint
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
  used := greatest(before, (SELECT last_value FROM public.version_floor), greatest((SELECT max(version) FROM public.vehicle), (SELECT max(version) FROM public.event), (SELECT max(version) FROM public.member), (SELECT max(version) FROM public.deletion)));
  last := (SELECT last_value FROM public.row_version);
  IF known <> substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) THEN
    UPDATE public.version_guard SET timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
    PERFORM setval('public.row_version', greatest(last, used) + 4294967296);
  ELSIF last <= used THEN
    PERFORM setval('public.row_version', used + 1048576);
  END IF;
  RETURN nextval('public.row_version');
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_digits(value double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET extra_float_digits = 1 AS $$
-- A figure with all its digits, also in a session that prints fewer.
SELECT value::text
$$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_lock_key(resource text, key text) RETURNS void
LANGUAGE plpgsql AS $$
-- Orders inserts and deletes of one key, so that the later state has the higher version.
-- 1024 locks for each table: a delete of every row must not exhaust the server's lock table.
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext(resource), hashtext(key) & 1023);
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_bury(resource text, key text, version bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- Leaves the tombstone of one row, above the row's version: who, why, and in which transaction.
BEGIN
  PERFORM public.retrobus_lock_key(resource, key);
  INSERT INTO public.deletion (version, resource, key, actor, cause, batch)
  VALUES (public.retrobus_next_version(version), resource, key, nullif(current_setting('retrobus.actor', true), ''),
          coalesce(nullif(current_setting('retrobus.cause', true), ''), 'sql'),
          pg_current_xact_id()::text::bigint);
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_open(caller text, epoch integer) RETURNS void
LANGUAGE plpgsql AS $$
-- Begins a write of the service: proves that the caller still has access, notes who writes for the tombstones.
BEGIN
  IF caller IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.member WHERE id = caller AND token_epoch = epoch AND status = 'active'
  ) THEN
    RAISE EXCEPTION 'no access' USING ERRCODE = 'RB401';
  END IF;
  PERFORM set_config('retrobus.actor', coalesce(caller, ''), true), set_config('retrobus.cause', 'api', true);
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, whoever writes it.
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.sort_parc := OLD.sort_parc;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.parc <> OLD.parc THEN
      PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version);
      PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
      PERFORM pg_notify('retrobus_change', 'Vehicle ' || OLD.parc);
    END IF;
    IF NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.wire_public := '{' ||
    '"parc":' || to_json(NEW.parc)::text || ',' ||
    '"type":' || to_json(NEW.type)::text || ',' ||
    '"modele":' || to_json(NEW.modele)::text || ',' ||
    '"marque":' || coalesce(to_json(NEW.marque)::text, 'null') || ',' ||
    '"subtitle":' || coalesce(to_json(NEW.subtitle)::text, 'null') || ',' ||
    '"immat":' || coalesce(to_json(NEW.immat)::text, 'null') || ',' ||
    '"etat":' || to_json(NEW.etat)::text || ',' ||
    '"miseEnCirculation":' || coalesce('"' || to_char(NEW.mise_en_circulation AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || ',' ||
    '"energie":' || coalesce(to_json(NEW.energie)::text, 'null') || ',' ||
    '"description":' || coalesce(to_json(NEW.description)::text, 'null') || ',' ||
    '"history":' || coalesce(to_json(NEW.history)::text, 'null') || ',' ||
    '"caracteristiques":' || NEW.caracteristiques::text || ',' ||
    '"backgroundPosition":' || coalesce(to_json(NEW.background_position)::text, 'null') || ',' ||
    '"createdAt":' || '"' || to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"updatedAt":' || '"' || to_char(NEW.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"';
  NEW.wire_images := CASE WHEN starts_with(NEW.background_image, 'data:') THEN ',"hasBackgroundImage":true'
      ELSE ',"backgroundImage":' || coalesce(to_json(NEW.background_image)::text, 'null') END ||
    CASE WHEN jsonb_path_exists(NEW.gallery, '$[*] ? (@ starts with "data:")') THEN ',"hasGallery":true'
      ELSE ',"gallery":' || NEW.gallery::text END;
  NEW.wire_private := ',' ||
    '"id":' || NEW.id::text || ',' ||
    '"fuel":' || coalesce(public.retrobus_digits(NEW.fuel), 'null') || ',' ||
    '"mileage":' || coalesce(public.retrobus_digits(NEW.mileage), 'null') || ',' ||
    '"isPublic":' || NEW.is_public::text || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Vehicle', parc, version) FROM public.vehicle;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version);
  RETURN OLD;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_announce() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Tells listeners, if there are any, which rows changed; a change of many rows is told as one word.
-- (A notification makes commits wait for each other: without listeners, writes are 1.5 times as fast.)
BEGIN
  IF NOT EXISTS (SELECT FROM public.listener) THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('retrobus_change', 'Vehicle');
  ELSIF (SELECT count(*) FROM (SELECT FROM touched LIMIT 51) AS first) > 50 THEN
    PERFORM pg_notify('retrobus_change', 'Vehicle');
  ELSE
    PERFORM pg_notify('retrobus_change', 'Vehicle ' || parc) FROM touched;
  END IF;
  RETURN NULL;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.event_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, whoever writes it.
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id THEN
      PERFORM public.retrobus_bury('Event', OLD.id, OLD.version);
      PERFORM public.retrobus_lock_key('Event', NEW.id);
      PERFORM pg_notify('retrobus_change', 'Event ' || OLD.id);
    END IF;
    IF NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Event', NEW.id);
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.wire := '{' ||
    '"id":' || to_json(NEW.id)::text || ',' ||
    '"title":' || to_json(NEW.title)::text || ',' ||
    '"date":' || '"' || to_char(NEW.date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"time":' || coalesce(to_json(NEW.time)::text, 'null') || ',' ||
    '"location":' || coalesce(to_json(NEW.location)::text, 'null') || ',' ||
    '"description":' || coalesce(to_json(NEW.description)::text, 'null') || ',' ||
    '"helloAssoUrl":' || coalesce(to_json(NEW.hello_asso_url)::text, 'null') || ',' ||
    '"layout":' || coalesce(to_json(NEW.layout)::text, 'null') || ',' ||
    '"adultPrice":' || coalesce(trim_scale(NEW.adult_price)::text, 'null') || ',' ||
    '"childPrice":' || coalesce(trim_scale(NEW.child_price)::text, 'null') || ',' ||
    '"vehicleId":' || coalesce(to_json(NEW.vehicle_id)::text, 'null') || ',' ||
    '"status":' || to_json(NEW.status)::text || ',' ||
    '"extras":' || coalesce(to_json(NEW.extras::text)::text, 'null') || ',' ||
    '"maxParticipants":' || coalesce(NEW.max_participants::text, 'null') || ',' ||
    '"currentParticipants":' || NEW.current_participants::text || ',' ||
    '"createdAt":' || '"' || to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"updatedAt":' || '"' || to_char(NEW.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.event_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Event', id, version) FROM public.event;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Event', OLD.id, OLD.version);
  RETURN OLD;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.event_announce() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Tells listeners, if there are any, which rows changed; a change of many rows is told as one word.
-- (A notification makes commits wait for each other: without listeners, writes are 1.5 times as fast.)
BEGIN
  IF NOT EXISTS (SELECT FROM public.listener) THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('retrobus_change', 'Event');
  ELSIF (SELECT count(*) FROM (SELECT FROM touched LIMIT 51) AS first) > 50 THEN
    PERFORM pg_notify('retrobus_change', 'Event');
  ELSE
    PERFORM pg_notify('retrobus_change', 'Event ' || id) FROM touched;
  END IF;
  RETURN NULL;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.member_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, whoever writes it.
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.sort_last_name := OLD.sort_last_name;
    NEW.sort_first_name := OLD.sort_first_name;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id THEN
      PERFORM public.retrobus_bury('Member', OLD.id, OLD.version);
      PERFORM public.retrobus_lock_key('Member', NEW.id);
      PERFORM pg_notify('retrobus_change', 'Member ' || OLD.id);
    END IF;
    IF NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
    IF NEW.token_epoch = OLD.token_epoch AND (NEW.role <> OLD.role OR NEW.status <> OLD.status) THEN
      NEW.token_epoch := OLD.token_epoch + 1;  -- tokens given for the old role or status end here
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Member', NEW.id);
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.wire := '{' ||
    '"id":' || to_json(NEW.id)::text || ',' ||
    '"firstName":' || to_json(NEW.first_name)::text || ',' ||
    '"lastName":' || to_json(NEW.last_name)::text || ',' ||
    '"email":' || to_json(NEW.email)::text || ',' ||
    '"phone":' || coalesce(to_json(NEW.phone)::text, 'null') || ',' ||
    '"address":' || coalesce(to_json(NEW.address)::text, 'null') || ',' ||
    '"city":' || coalesce(to_json(NEW.city)::text, 'null') || ',' ||
    '"postalCode":' || coalesce(to_json(NEW.postal_code)::text, 'null') || ',' ||
    '"birthDate":' || coalesce('"' || to_char(NEW.birth_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || ',' ||
    '"memberNumber":' || coalesce(to_json(NEW.member_number)::text, 'null') || ',' ||
    '"matricule":' || coalesce(to_json(NEW.matricule)::text, 'null') || ',' ||
    '"membershipType":' || to_json(NEW.membership_type)::text || ',' ||
    '"membershipStatus":' || to_json(NEW.membership_status)::text || ',' ||
    '"membershipStartDate":' || coalesce('"' || to_char(NEW.membership_start_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || ',' ||
    '"membershipEndDate":' || coalesce('"' || to_char(NEW.membership_end_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || ',' ||
    '"paymentAmount":' || coalesce(trim_scale(NEW.payment_amount)::text, 'null') || ',' ||
    '"paymentMethod":' || coalesce(to_json(NEW.payment_method)::text, 'null') || ',' ||
    '"newsletter":' || NEW.newsletter::text || ',' ||
    '"hasLinkedAccess":' || NEW.has_linked_access::text || ',' ||
    '"notes":' || coalesce(to_json(NEW.notes)::text, 'null') || ',' ||
    '"role":' || to_json(NEW.role)::text || ',' ||
    '"status":' || to_json(NEW.status)::text || ',' ||
    '"permissions":' || NEW.permissions::text || ',' ||
    '"createdBy":' || coalesce(to_json(NEW.created_by)::text, 'null') || ',' ||
    '"createdAt":' || '"' || to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"updatedAt":' || '"' || to_char(NEW.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.member_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Member', id, version) FROM public.member;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Member', OLD.id, OLD.version);
  RETURN OLD;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.member_announce() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Tells listeners, if there are any, which rows changed; a change of many rows is told as one word.
-- (A notification makes commits wait for each other: without listeners, writes are 1.5 times as fast.)
BEGIN
  IF NOT EXISTS (SELECT FROM public.listener) THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify('retrobus_change', 'Member');
  ELSIF (SELECT count(*) FROM (SELECT FROM touched LIMIT 51) AS first) > 50 THEN
    PERFORM pg_notify('retrobus_change', 'Member');
  ELSE
    PERFORM pg_notify('retrobus_change', 'Member ' || id) FROM touched;
  END IF;
  RETURN NULL;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_number() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
-- After a copy without its sequence, or rows with numbers of their own, the number just drawn may be taken.
-- For example: rows 1 to 5 are there, the sequence draws 3. It is set to 5, and the row gets 6.
-- A number that the client of psql gave itself and that is taken stays an error.
DECLARE
  drawn bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM vehicle WHERE id = NEW.id) THEN
    RETURN NEW;
  END IF;
  BEGIN
    drawn := currval('vehicle_id_seq');
  EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN NEW;
  END;
  IF drawn = NEW.id THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('retrobus:vehicle_number', 0));
    PERFORM setval('vehicle_id_seq', greatest((SELECT max(id) FROM vehicle), (SELECT last_value FROM vehicle_id_seq)));
    NEW.id := nextval('vehicle_id_seq');
  END IF;
  RETURN NEW;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.conflict_number() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
-- After a copy without its sequence, or rows with numbers of their own, the number just drawn may be taken.
-- For example: rows 1 to 5 are there, the sequence draws 3. It is set to 5, and the row gets 6.
-- A number that the client of psql gave itself and that is taken stays an error.
DECLARE
  drawn bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM conflict WHERE id = NEW.id) THEN
    RETURN NEW;
  END IF;
  BEGIN
    drawn := currval('conflict_id_seq');
  EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN NEW;
  END;
  IF drawn = NEW.id THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('retrobus:conflict_number', 0));
    PERFORM setval('conflict_id_seq', greatest((SELECT max(id) FROM conflict), (SELECT last_value FROM conflict_id_seq)));
    NEW.id := nextval('conflict_id_seq');
  END IF;
  RETURN NEW;
END $$
    """,
]

UPGRADE = [
    """
CREATE TABLE version_guard (
    timeline VARCHAR(8) COLLATE "C" NOT NULL,
    CONSTRAINT version_guard_pkey PRIMARY KEY (timeline)
)
    """,
    "CREATE UNIQUE INDEX version_guard_single ON version_guard ((true))",
    "INSERT INTO version_guard VALUES (substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))",
    "CREATE INDEX vehicle_version ON vehicle (version)",
    "CREATE INDEX event_version ON event (version)",
    "CREATE INDEX member_version ON member (version)",
    "CREATE SEQUENCE version_floor MINVALUE 0 START 0",
    "SELECT setval('version_floor', CASE WHEN is_called THEN last_value ELSE 0 END) FROM row_version",
    *FUNCTIONS,
    "DROP FUNCTION retrobus_bury(text, text)",
    "CREATE TRIGGER vehicle_number BEFORE INSERT ON vehicle FOR EACH ROW EXECUTE FUNCTION vehicle_number()",
    "CREATE TRIGGER conflict_number BEFORE INSERT ON conflict FOR EACH ROW EXECUTE FUNCTION conflict_number()",
    "ALTER FUNCTION retrobus_fingerprints(text, text, text, text) SET search_path = public, pg_temp",
    "ALTER FUNCTION retrobus_is_erased(text, text, text, text) SET search_path = public, pg_temp",
]

DOWNGRADE = [
    "ALTER FUNCTION retrobus_is_erased(text, text, text, text) RESET ALL",
    "ALTER FUNCTION retrobus_fingerprints(text, text, text, text) RESET ALL",
    "DROP TRIGGER conflict_number ON conflict",
    "DROP TRIGGER vehicle_number ON vehicle",
    "DROP FUNCTION conflict_number()",
    "DROP FUNCTION vehicle_number()",
    "DROP INDEX vehicle_version, event_version, member_version",
    "DROP FUNCTION retrobus_bury(text, text, bigint)",
    "DROP FUNCTION retrobus_next_version(bigint)",
    "DROP FUNCTION retrobus_version_above(bigint)",
    "DROP FUNCTION retrobus_digits(double precision)",
    "DROP SEQUENCE version_floor",
    "DROP TABLE version_guard",
]


def upgrade() -> None:
    """Adds the guard of versions, and replaces every function."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Puts the functions of the first schema back, and drops the rest."""
    first = op.get_context().script.get_revision("0001").module.UPGRADE
    for statement in first:
        if statement.strip().startswith("CREATE FUNCTION"):
            op.get_bind().exec_driver_sql(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
