"""The rows and requests of the measurements: 200 vehicles and 500 events with every column filled, all invented."""

import json
from dataclasses import dataclass

import asyncpg

from retrobus.accounts.tokens import TokenRules, Tokens

SECRET = "a-secret-for-benchmarks-and-nothing-else"
ADMIN = "INSERT INTO member (id, email, role) VALUES ('bench', 'bench@example.org', 'ADMIN')"
VEHICLES = """INSERT INTO vehicle (parc, type, modele, marque, subtitle, immat, etat, mise_en_circulation, energie,
  description, history, caracteristiques, gallery, background_image, background_position, is_public, fuel, mileage)
SELECT 'P' || lpad(i::text, 4, '0'), 'Autobus', 'Modèle ' || i, 'Saviem', 'Le n° ' || i || ' du dépôt',
  'AB-' || 100 + i || '-CD', 'Préservé', '1985-01-01'::timestamptz + i * interval '17 days', 'Gazole',
  repeat('Conservé dans son état d''origine par les bénévoles. ', 3 + i % 4),
  repeat('Mis en service au dépôt central, réformé après une longue carrière. ', 3 + i % 5),
  (SELECT jsonb_agg(jsonb_build_object('label', 'Cote ' || j, 'value', i * j || ' mm')) FROM generate_series(1, 8) j),
  (SELECT jsonb_agg('https://images.example.org/' || i || '/' || j || '.jpg') FROM generate_series(1, 3) j),
  'https://images.example.org/fond/' || i || '.jpg', '50% 50%', true, i % 100 + 0.5, i * 1234.5
FROM generate_series(1, 200) i"""
EVENTS = """INSERT INTO event (id, title, date, time, location, description, hello_asso_url, layout, adult_price,
  child_price, vehicle_id, status, extras, max_participants)
SELECT 'e' || i, 'Sortie n° ' || i, '2024-01-01'::timestamptz + i * interval '1 day', '14:00', 'Place de la République',
  repeat('Visite du dépôt et balade commentée en autobus de collection. ', 2 + i % 3),
  'https://billets.example.org/' || i, 'standard', 12.5, 6, 'P' || lpad((1 + i % 200)::text, 4, '0'), 'PUBLISHED',
  '{"isVisible": true, "tags": ["bus", "balade"]}', 50 FROM generate_series(1, 500) i"""
TITLE = "Écrit par la mesure"
NEW = {
    "title": TITLE, "date": "2026-01-01T09:00:00Z", "time": "14:00", "location": "Place de la République",
    "description": "Visite du dépôt et balade commentée en autobus de collection. " * 3,
    "helloAssoUrl": "https://billets.example.org/essai", "layout": "standard", "adultPrice": 12.5, "childPrice": 6,
    "vehicleId": "P0042", "status": "PUBLISHED", "extras": {"isVisible": True}, "maxParticipants": 50,
}  # fmt: skip
BODY = json.dumps(NEW).encode()


@dataclass(frozen=True)
class Workload:
    """One kind of request.

    `writes`: each POST is followed by the DELETE of its row; `keyed`: both have an Idempotency-Key of their own;
    `cached`: the client has the row already, with this `etag`.
    """

    title: str
    path: str
    writes: bool = False
    keyed: bool = False
    cached: bool = False
    etag: str | None = None


ONE = Workload("one vehicle", "/api/vehicles/P0042")
LIST = Workload("500 events", "/api/events")
PUBLIC = Workload("200 public vehicles", "/public/vehicles")
WRITE = Workload("create + delete", "/api/events", writes=True)
ONE_CACHED = Workload("one vehicle, 304", ONE.path, cached=True)
LIST_CACHED = Workload("500 events, 304", LIST.path, cached=True)
WORKLOADS = (ONE, LIST, PUBLIC, WRITE, ONE_CACHED, LIST_CACHED)


def bearer() -> str:
    """A token of the administrator that `fill` makes."""
    tokens = Tokens(TokenRules((SECRET,), "retrobus", "retrobus-api", 86_400))
    return tokens.issue({"id": "bench", "role": "ADMIN", "token_epoch": 0})[0]


async def run_sql(url: str, *statements: str) -> None:
    """Runs statements one after the other."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fill(url: str) -> None:
    """Fills the tables of the service with the rows and the administrator."""
    await run_sql(url, ADMIN, VEHICLES, EVENTS, "VACUUM ANALYZE")


async def remove_written(url: str) -> None:
    """Removes the events that a slice of writes has left, so that lists stay as long as they were."""
    await run_sql(url, f"DELETE FROM event WHERE title = '{TITLE}'", "VACUUM event")  # noqa: S608 - our own constant
