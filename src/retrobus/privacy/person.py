"""One member, by everything that names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrobus.rows import fold


@dataclass(frozen=True, slots=True)
class Person:
    """The id, and what else may lead to the same person under another id."""

    id: str
    email: str | None = None
    matricule: str | None = None
    number: str | None = None

    def is_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether a member row, by column name, is about this person."""
        if row is None:
            return False
        pairs = (
            (self.id, row.get("id")),
            (self.number, row.get("member_number")),
            (_folded(self.email), _folded(row.get("email"))),
            (_folded(self.matricule), _folded(row.get("matricule"))),
        )
        return any(mine and mine == theirs for mine, theirs in pairs)


def person_of(row: Mapping[str, Any]) -> Person:
    """The person of a member row."""
    return Person(row["id"], row["email"], row["matricule"], row["member_number"])


def _folded(value: Any) -> str | None:
    return fold(value) if isinstance(value, str) else None
