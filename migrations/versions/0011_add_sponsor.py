"""Add sponsor."""

from alembic import op

revision = "0011"
down_revision = "0010"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    'ALTER TABLE event ADD COLUMN sponsor VARCHAR(200) COLLATE "C"',
    """
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
    '"sponsor":' || coalesce(to_json(NEW.sponsor)::text, 'null') || ',' ||
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
    """
-- The trigger writes version and JSON of every row again; the second statement gives updated_at its value back.
UPDATE event SET updated_at = updated_at + interval '1 millisecond'
    """,
    "UPDATE event SET updated_at = updated_at - interval '1 millisecond'",
]

DOWNGRADE = [
    """
CREATE OR REPLACE FUNCTION public.event_stamp()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
END $function$
    """,
    """
-- The trigger writes version and JSON of every row again; the second statement gives updated_at its value back.
UPDATE event SET updated_at = updated_at + interval '1 millisecond'
    """,
    "UPDATE event SET updated_at = updated_at - interval '1 millisecond'",
    "ALTER TABLE event DROP COLUMN sponsor",
]


def upgrade() -> None:
    """Add sponsor."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Takes it back."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
