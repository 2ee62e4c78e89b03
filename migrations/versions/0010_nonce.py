"""A write is one round trip, and leaves a nonce in its row or tombstone: the service finds it again after a cut."""

from alembic import op

revision = "0010"
down_revision = "0009"
compatible = False
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    "ALTER TABLE vehicle ADD COLUMN nonce BIGINT",
    "ALTER TABLE event ADD COLUMN nonce BIGINT",
    "ALTER TABLE member ADD COLUMN nonce BIGINT",
    "ALTER TABLE deletion ADD COLUMN nonce BIGINT",
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_bury(resource text, key text, version bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- Leaves the tombstone of one row, above the row's version: who, why, and in which transaction.
BEGIN
  PERFORM public.retrobus_lock_key(resource, key);
  INSERT INTO public.deletion (version, resource, key, actor, cause, batch, nonce)
  VALUES (public.retrobus_next_version(version), resource, key, nullif(current_setting('retrobus.actor', true), ''),
          coalesce(nullif(current_setting('retrobus.cause', true), ''), 'sql'),
          pg_current_xact_id()::text::bigint, nullif(current_setting('retrobus.nonce', true), '')::bigint);
END $$
    """,
    "DROP FUNCTION retrobus_open(text, integer)",
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_kept(member text, method text, path text, key text)
RETURNS TABLE (fingerprint bytea, answer text, etag text, row_key text)
LANGUAGE plpgsql AS $$
-- The answer kept for an Idempotency-Key. Until the transaction ends, no other request with this key is done: RB409.
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\n', $1, $2, $3, $4), 0)) THEN
    RAISE EXCEPTION 'in progress' USING ERRCODE = 'RB409';
  END IF;
  RETURN QUERY SELECT i.fingerprint, i.answer, i.etag, i.row_key FROM public.idempotency i
    WHERE i.member_id = $1 AND i.method = $2 AND i.path = $3 AND i.key = $4
      AND i.created_at > now() - interval '24 hours';
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.retrobus_open(caller text, epoch integer, nonce bigint) RETURNS void
LANGUAGE plpgsql AS $$
-- Begins a write of the service: proves that the caller still has access, notes who writes for the tombstones, and a
-- number by which the service finds its write again should the connection be cut.
BEGIN
  IF caller IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.member WHERE id = caller AND token_epoch = epoch AND status = 'active'
  ) THEN
    RAISE EXCEPTION 'no access' USING ERRCODE = 'RB401';
  END IF;
  PERFORM set_config('retrobus.actor', coalesce(caller, ''), true), set_config('retrobus.cause', 'api', true),
    set_config('retrobus.nonce', nonce::text, true);
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.vehicle_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, for every writer.
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
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
    r"""
CREATE OR REPLACE FUNCTION public.event_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, for every writer.
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
  NEW.nonce := nullif(current_setting('retrobus.nonce', true), '')::bigint;
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
CREATE OR REPLACE FUNCTION public.member_stamp() RETURNS trigger
LANGUAGE plpgsql AS $$
-- Keeps version, updated_at and the wire JSON of a row, for every writer.
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
    '"version":' || NEW.version::text || '}';
  RETURN NEW;
END $$
    """,
]

DOWNGRADE = [
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
    "DROP FUNCTION retrobus_open(text, integer, bigint)",
    "DROP FUNCTION retrobus_kept(text, text, text, text)",
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
    "ALTER TABLE deletion DROP COLUMN nonce",
    "ALTER TABLE member DROP COLUMN nonce",
    "ALTER TABLE event DROP COLUMN nonce",
    "ALTER TABLE vehicle DROP COLUMN nonce",
]


def upgrade() -> None:
    """Adds the nonce to rows and tombstones."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drops it."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
