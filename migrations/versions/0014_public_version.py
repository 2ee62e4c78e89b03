"""Rows and tombstones say what the public saw of them: its feed tells what is no longer shown, and nothing else."""

from alembic import op

revision = "0014"
down_revision = "0013"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    "ALTER TABLE deletion ADD COLUMN shown BOOLEAN DEFAULT false NOT NULL",
    "ALTER TABLE event ADD COLUMN public_version BIGINT",
    "CREATE INDEX event_public_version ON event (public_version) WHERE public_version IS NOT NULL",
    "ALTER TABLE vehicle ADD COLUMN public_version BIGINT",
    "CREATE INDEX vehicle_public_version ON vehicle (public_version) WHERE public_version IS NOT NULL",
    """
CREATE OR REPLACE FUNCTION public.retrobus_bury(resource text, key text, version bigint, shown boolean)
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
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.vehicle_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.sort_parc := OLD.sort_parc;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.parc <> OLD.parc THEN
      PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version, OLD.public_version IS NOT NULL);
      PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
  NEW.public_version := CASE
    WHEN NEW.is_public THEN NEW.version
    WHEN TG_OP = 'INSERT' OR NEW.parc <> OLD.parc THEN NULL
    WHEN OLD.is_public THEN NEW.version
    ELSE OLD.public_version
  END;
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
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.vehicle_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Vehicle', parc, version, public_version IS NOT NULL)
      FROM public.vehicle;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version, OLD.public_version IS NOT NULL);
  RETURN OLD;
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.event_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id THEN
      PERFORM public.retrobus_bury('Event', OLD.id, OLD.version, OLD.public_version IS NOT NULL);
      PERFORM public.retrobus_lock_key('Event', NEW.id);
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Event', NEW.id);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
  NEW.public_version := CASE
    WHEN NEW.status = 'PUBLISHED' AND (NEW.extras -> 'isVisible') IS DISTINCT FROM 'false'::jsonb THEN NEW.version
    WHEN TG_OP = 'INSERT' OR NEW.id <> OLD.id THEN NULL
    WHEN OLD.status = 'PUBLISHED' AND (OLD.extras -> 'isVisible') IS DISTINCT FROM 'false'::jsonb THEN NEW.version
    ELSE OLD.public_version
  END;
  NEW.wire_public := '{' ||
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
    '"version":' || NEW.version::text;
  NEW.wire_private := ',' ||
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || '}';
  RETURN NEW;
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.event_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Event', id, version, public_version IS NOT NULL)
      FROM public.event;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Event', OLD.id, OLD.version, OLD.public_version IS NOT NULL);
  RETURN OLD;
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.member_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.sort_last_name := OLD.sort_last_name;
    NEW.sort_first_name := OLD.sort_first_name;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id THEN
      PERFORM public.retrobus_bury('Member', OLD.id, OLD.version, false);
      PERFORM public.retrobus_lock_key('Member', NEW.id);
    END IF;
    IF NEW.token_epoch = OLD.token_epoch AND (NEW.role <> OLD.role OR NEW.status <> OLD.status) THEN
      NEW.token_epoch := OLD.token_epoch + 1;  -- tokens given for the old role or status end here
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Member', NEW.id);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
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
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    """
CREATE OR REPLACE FUNCTION public.member_bury() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Member', id, version, false)
      FROM public.member;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Member', OLD.id, OLD.version, false);
  RETURN OLD;
END $$
    """,
    "DROP FUNCTION public.retrobus_bury(text, text, bigint)",
    "SELECT set_config('retrobus.stamps', 'given', true)",
    """
-- The trigger notes of each row that the public sees at which version that is; the setting keeps the two stamps.
UPDATE vehicle SET version = 0 WHERE is_public
    """,
    """
UPDATE event SET version = 0
WHERE status = 'PUBLISHED' AND (extras -> 'isVisible') IS DISTINCT FROM 'false'::jsonb
    """,
    "SELECT set_config('retrobus.stamps', '', true)",
]

DOWNGRADE = [
    """
CREATE OR REPLACE FUNCTION public.member_bury()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Member', id, version) FROM public.member;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Member', OLD.id, OLD.version);
  RETURN OLD;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.member_stamp()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
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
    END IF;
    IF NEW.token_epoch = OLD.token_epoch AND (NEW.role <> OLD.role OR NEW.status <> OLD.status) THEN
      NEW.token_epoch := OLD.token_epoch + 1;  -- tokens given for the old role or status end here
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Member', NEW.id);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
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
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.event_bury()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Event', id, version) FROM public.event;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Event', OLD.id, OLD.version);
  RETURN OLD;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.event_stamp()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id THEN
      PERFORM public.retrobus_bury('Event', OLD.id, OLD.version);
      PERFORM public.retrobus_lock_key('Event', NEW.id);
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Event', NEW.id);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
  NEW.wire_public := '{' ||
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
    '"version":' || NEW.version::text;
  NEW.wire_private := ',' ||
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || '}';
  RETURN NEW;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.vehicle_bury()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Leaves a tombstone for each row that goes, by DELETE or TRUNCATE.
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM public.retrobus_bury('Vehicle', parc, version) FROM public.vehicle;
    RETURN NULL;
  END IF;
  PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version);
  RETURN OLD;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.vehicle_stamp()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
-- Keeps version, updated_at, updated_by and the wire JSON of a row, for every writer.
-- Without a member as writer, `retrobus.stamps` = 'given' leaves the two stamps as the statement gives them: a restore
-- writes those of the backup, and rows that a migration writes again keep theirs.
DECLARE
  author text := nullif(current_setting('retrobus.actor', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.sort_parc := OLD.sort_parc;
    IF NEW IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
    IF NEW.parc <> OLD.parc THEN
      PERFORM public.retrobus_bury('Vehicle', OLD.parc, OLD.version);
      PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
    END IF;
  ELSE
    PERFORM public.retrobus_lock_key('Vehicle', NEW.parc);
  END IF;
  IF author IS NOT NULL OR current_setting('retrobus.stamps', true) IS DISTINCT FROM 'given' THEN
    NEW.updated_by := coalesce(author, nullif(current_setting('retrobus.cause', true), ''), 'sql');
    IF TG_OP = 'UPDATE' AND NEW.updated_at = OLD.updated_at THEN
      NEW.updated_at := date_trunc('milliseconds', now());
    END IF;
  END IF;
  NEW.version := public.retrobus_next_version(CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END);
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
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
    '"updatedBy":' || coalesce(to_json(NEW.updated_by)::text, 'null') || ',' ||
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $function$
    """,
    """
CREATE OR REPLACE FUNCTION public.retrobus_bury(resource text, key text, version bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
-- Leaves the tombstone of one row, above the row's version: who, why, and in which transaction.
BEGIN
  PERFORM public.retrobus_lock_key(resource, key);
  INSERT INTO public.deletion (version, resource, key, actor, cause, batch, nonce)
  VALUES (public.retrobus_next_version(version), resource, key, nullif(current_setting('retrobus.actor', true), ''),
          coalesce(nullif(current_setting('retrobus.cause', true), ''), 'sql'),
          pg_current_xact_id()::text::bigint, nullif(current_setting('retrobus.nonce', true), '')::bigint);
END $function$
    """,
    "DROP FUNCTION public.retrobus_bury(text, text, bigint, boolean)",
    "DROP INDEX vehicle_public_version",
    "ALTER TABLE vehicle DROP COLUMN public_version",
    "DROP INDEX event_public_version",
    "ALTER TABLE event DROP COLUMN public_version",
    "ALTER TABLE deletion DROP COLUMN shown",
]


def upgrade() -> None:
    """Adds what the public saw to rows and tombstones."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drops it."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
