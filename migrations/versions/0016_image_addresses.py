"""Lists name the address of each image that they leave out; a change of a vehicle no longer writes its images again."""

from alembic import op

revision = "0016"
down_revision = "0015"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    """
CREATE OR REPLACE FUNCTION public.retrobus_path_part(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
-- A text as one part of a path: letters, digits and _.~- as they are, every other byte of its UTF-8 as %XX.
SELECT coalesce(string_agg(CASE WHEN byte < 128 AND chr(byte) ~ '[A-Za-z0-9_.~-]' THEN chr(byte)
    ELSE '%' || lpad(upper(to_hex(byte)), 2, '0') END, '' ORDER BY place), '')
FROM (
  SELECT place, get_byte(convert_to(value, 'UTF8'), place) AS byte
  FROM generate_series(0, octet_length(value) - 1) AS place
) AS bytes
$$
    """,
    """
CREATE OR REPLACE FUNCTION public.retrobus_addresses(images jsonb, address text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
-- A list of images as a list of addresses: the links in it, and for every other entry `address` and its place, from 0.
SELECT '[' || string_agg(CASE
    WHEN jsonb_typeof(image) = 'string' AND NOT starts_with(image #>> '{}', 'data:') THEN image::text
    ELSE address || '/' || (place - 1) || '"' END, ',' ORDER BY place) || ']'
FROM jsonb_array_elements(images) WITH ORDINALITY AS listed (image, place)
$$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_stamp() RETURNS trigger
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
    NEW.sort_parc := OLD.sort_parc;
    IF ROW(NEW.*) IS NOT DISTINCT FROM ROW(OLD.*) THEN
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
  NEW.wire_images := CASE WHEN starts_with(NEW.background_image, 'data:') THEN ',"hasBackgroundImage":true,"imageUrl":' || E'"\\/' || 'vehicles/' || public.retrobus_path_part(NEW.parc) || '/image' || '"'
      ELSE ',"backgroundImage":' || coalesce(to_json(NEW.background_image)::text, 'null') END ||
    CASE WHEN jsonb_path_exists(NEW.gallery, '$[*] ? (@ starts with "data:")') THEN ',"hasGallery":true,"galleryUrls":' || public.retrobus_addresses(NEW.gallery, E'"\\/' || 'vehicles/' || public.retrobus_path_part(NEW.parc) || '/gallery')
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
    "SELECT set_config('retrobus.stamps', 'given', true)",
    """
-- The trigger writes the lists' JSON again of the vehicles that hold images themselves; the setting keeps the two stamps.
-- Rows without such images are not touched.
UPDATE vehicle SET version = 0
WHERE starts_with(wire_images, ',"hasBackgroundImage":true') OR wire_images LIKE '%,"hasGallery":true%'
    """,
    "SELECT set_config('retrobus.stamps', '', true)",
    """
CREATE OR REPLACE FUNCTION public.event_stamp() RETURNS trigger
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
    IF ROW(NEW.*) IS NOT DISTINCT FROM ROW(OLD.*) THEN
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
CREATE OR REPLACE FUNCTION public.member_stamp() RETURNS trigger
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
    NEW.sort_last_name := OLD.sort_last_name;
    NEW.sort_first_name := OLD.sort_first_name;
    IF ROW(NEW.*) IS NOT DISTINCT FROM ROW(OLD.*) THEN
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
]

DOWNGRADE = [
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
END $function$
    """,
    "SELECT set_config('retrobus.stamps', 'given', true)",
    """
-- The trigger writes the lists' JSON again of the vehicles that hold images themselves; the setting keeps the two stamps.
-- Rows without such images are not touched.
UPDATE vehicle SET version = 0
WHERE starts_with(wire_images, ',"hasBackgroundImage":true') OR wire_images LIKE '%,"hasGallery":true%'
    """,
    "SELECT set_config('retrobus.stamps', '', true)",
    "DROP FUNCTION public.retrobus_addresses",
    "DROP FUNCTION public.retrobus_path_part",
]


def upgrade() -> None:
    """Adds the addresses."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Takes them out again."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
