"""Bodies and rows for tests: a valid default, and what a test cares about by name."""

from itertools import count
from typing import Any

_numbers = count(1)

Body = dict[str, Any]

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
"""A PNG of one red pixel, as a data URL."""


def an_event(**fields: Any) -> Body:
    """A body for POST /api/events."""
    return {"title": "Sortie au dépôt", "date": "2026-05-01T09:30:00.000Z", **fields}


def a_vehicle(**fields: Any) -> Body:
    """A body for POST /api/vehicles, under a parc of its own."""
    return {"parc": f"T{next(_numbers):05d}", "marque": "Saviem", "modele": "SC10", "isPublic": True, **fields}


def a_member(**fields: Any) -> Body:
    """A body for POST /api/members, with an e-mail of its own."""
    number = next(_numbers)
    return {"firstName": "Camille", "lastName": "Exemple", "email": f"camille.{number}@example.org", **fields}
