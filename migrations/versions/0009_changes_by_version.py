"""Mirrors read what changed since a version: writes send no notifications any more."""

from alembic import op

revision = "0009"
down_revision = "0008"
compatible = False
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    "DROP TRIGGER vehicle_announce_insert ON vehicle",
    "DROP TRIGGER vehicle_announce_update ON vehicle",
    "DROP TRIGGER vehicle_announce_delete ON vehicle",
    "DROP TRIGGER vehicle_announce_truncate ON vehicle",
    "DROP FUNCTION vehicle_announce()",
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
    "DROP TRIGGER event_announce_insert ON event",
    "DROP TRIGGER event_announce_update ON event",
    "DROP TRIGGER event_announce_delete ON event",
    "DROP TRIGGER event_announce_truncate ON event",
    "DROP FUNCTION event_announce()",
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
    "DROP TRIGGER member_announce_insert ON member",
    "DROP TRIGGER member_announce_update ON member",
    "DROP TRIGGER member_announce_delete ON member",
    "DROP TRIGGER member_announce_truncate ON member",
    "DROP FUNCTION member_announce()",
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
    "DROP TABLE listener",
]

DOWNGRADE = [
    "CREATE TABLE listener (pid INTEGER NOT NULL, CONSTRAINT listener_pkey PRIMARY KEY (pid))",
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
    """
CREATE TRIGGER vehicle_announce_insert AFTER INSERT ON vehicle
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION vehicle_announce()
    """,
    """
CREATE TRIGGER vehicle_announce_update AFTER UPDATE ON vehicle
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION vehicle_announce()
    """,
    """
CREATE TRIGGER vehicle_announce_delete AFTER DELETE ON vehicle
    REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION vehicle_announce()
    """,
    """
CREATE TRIGGER vehicle_announce_truncate AFTER TRUNCATE ON vehicle
    FOR EACH STATEMENT EXECUTE FUNCTION vehicle_announce()
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
    """
CREATE TRIGGER event_announce_insert AFTER INSERT ON event
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION event_announce()
    """,
    """
CREATE TRIGGER event_announce_update AFTER UPDATE ON event
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION event_announce()
    """,
    """
CREATE TRIGGER event_announce_delete AFTER DELETE ON event
    REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION event_announce()
    """,
    """
CREATE TRIGGER event_announce_truncate AFTER TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION event_announce()
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
    """
CREATE TRIGGER member_announce_insert AFTER INSERT ON member
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION member_announce()
    """,
    """
CREATE TRIGGER member_announce_update AFTER UPDATE ON member
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION member_announce()
    """,
    """
CREATE TRIGGER member_announce_delete AFTER DELETE ON member
    REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION member_announce()
    """,
    """
CREATE TRIGGER member_announce_truncate AFTER TRUNCATE ON member
    FOR EACH STATEMENT EXECUTE FUNCTION member_announce()
    """,
]


def upgrade() -> None:
    """Drops the notifications and the table of those who listen."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Brings them back."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
