"""The databases of `make growth`: the same collection in several sizes, made by SQL through the real tables."""

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from retrobus.api.queries import cursor_of
from retrobus.model.wire import moment
from timing.collection import ADMIN, VEHICLES, Workload, run_sql

PAGE = 100
"""Rows of a page: each list has at least so many in every size, but for the vehicle with few events."""

FEW = 20
"""Events of vehicle P0042 in every size, and as many rows as its list gives."""

TOMBSTONES = """SELECT count(retrobus_bury('Event', 'parti-' || i, 0, false)) FROM generate_series(1, {tombstones}) i"""
EVENTS = """INSERT INTO event (id, title, date, time, location, description, hello_asso_url, layout, adult_price,
  child_price, vehicle_id, status, extras, max_participants)
SELECT 'e' || i, 'Sortie n° ' || i, '1950-01-01'::timestamptz + i * interval '1 hour', '14:00', 'Place du Dépôt',
  repeat('Visite du dépôt et balade commentée en autobus de collection. ', 2 + i % 3),
  'https://billets.example.org/' || i, 'standard', 12.5, 6,
  CASE WHEN i <= {few} THEN 'P0042' ELSE 'P' || lpad((1 + i % 4)::text, 4, '0') END,
  CASE WHEN i <= {page} THEN 'ARCHIVED' ELSE (ARRAY['DRAFT', 'PUBLISHED'])[1 + i / 4 % 2] END,
  '{{"isVisible": true, "tags": ["bus", "balade"]}}', 50 FROM generate_series(1, {events}) i"""
KEPT = """INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
SELECT 'bench', 'POST', '/api/events', md5(i::text), sha256(i::text::bytea), repeat('x', 900), '"x"', 'e' || i
FROM generate_series(1, {kept}) i"""
CHANGED = f"UPDATE event SET title = title || '.' WHERE id IN (SELECT 'e' || i FROM generate_series(1, {PAGE}) i)"  # noqa: S608 - a number of ours
MIDDLE = "SELECT id, date FROM event ORDER BY date DESC, id OFFSET (SELECT count(*) / 2 FROM event) LIMIT 1"


@dataclass(frozen=True)
class Size:
    """How many rows a database has."""

    events: int
    tombstones: int
    kept: int

    @property
    def title(self) -> str:
        """How the table calls it."""
        return f"{self.events:,} events, {self.tombstones:,} tombstones, {self.kept:,} keys"

    def divided(self, by: int) -> "Size":
        """A part of this size."""
        return Size(self.events // by, self.tombstones // by, self.kept // by)


async def make(url: str, size: Size) -> None:
    """Fills the migrated database; the triggers of the tables run for each row, as for writes of the service."""
    values = {"events": size.events, "tombstones": size.tombstones, "kept": size.kept, "few": FEW, "page": PAGE}
    rows = [text.format_map(values) for text in (TOMBSTONES, EVENTS, KEPT)]
    await run_sql(url, "SET retrobus.cause = 'api'", ADMIN, VEHICLES, *rows, "VACUUM ANALYZE")


async def workloads(url: str) -> list[Workload]:
    """The requests that are measured; each gives the same number of rows whatever the size."""
    connection = await asyncpg.connect(url)
    try:
        middle = await connection.fetchrow(MIDDLE)
    finally:
        await connection.close()
    since, at = (moment(middle["date"] - hours) for hours in (timedelta(hours=PAGE), timedelta()))
    events, page = "/api/events", f"limit={PAGE}"
    return [
        Workload("first page of events", f"{events}?{page}"),
        Workload("page in the middle, by its cursor", f"{events}?{page}&cursor={cursor_of((at, middle['id']))}"),
        Workload("one event", f"{events}/{middle['id']}"),
        Workload("create + delete", events, writes=True),
        Workload("create + delete with Idempotency-Key", events, writes=True, keyed=True),
        Workload("events by status: every second one", f"{events}?{page}&status=DRAFT"),
        Workload("events by status: the 100 oldest", f"{events}?{page}&status=ARCHIVED"),
        Workload("events of a period", f"{events}?{page}&from={since}&to={at}"),
        Workload("events of a vehicle that has a quarter of all", f"{events}?{page}&vehicleId=P0001"),
        Workload("events of a vehicle that has 20, the oldest", f"{events}?{page}&vehicleId=P0042"),
        Workload("public events", f"/public/events?{page}"),
        Workload("public events of a vehicle", f"/public/vehicles/P0001/events?{page}"),
    ]
