"""The three resources as the checker sees them: the field that names a row, and the field that each write marks."""

from dataclasses import dataclass

State = str | None
"""The mark that the last write left in a row; None: there is no such row."""

Slot = tuple[str, str]
"""The resource and the name of a row; the row may be deleted and created again under this name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource; its columns and its wire fields have the same names here."""

    resource: str
    table: str
    path: str
    listed: str
    name: str
    mark: str
    key: str
    """The column by which the API addresses a row; a member's is the server's to choose."""


EVENT = Kind("Event", "event", "/api/events", "events", "id", "title", "id")
VEHICLE = Kind("Vehicle", "vehicle", "/api/vehicles", "vehicles", "parc", "modele", "parc")
MEMBER = Kind("Member", "member", "/api/members", "members", "email", "city", "id")
KINDS = {kind.resource: kind for kind in (EVENT, VEHICLE, MEMBER)}

ADMIN = "checker"
"""The member who sends every request; no step touches it."""

ADMIN_ROW = "INSERT INTO member (id, email, role, city) VALUES ('checker', 'checker@example.org', 'ADMIN', 'checker')"
