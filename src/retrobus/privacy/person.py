"""One member, by everything by which a row can be known as theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrobus.model.rows import fold


@dataclass(frozen=True, slots=True)
class Person:
    """The id, and what may lead to the same person under another id: address, matricule, member number."""

    id: str
    email: str | None = None
    matricule: str | None = None
    number: str | None = None
    others: frozenset[str] = frozenset()
    """The ids of all other members: a row with one of these ids is that member's, whatever number it once had."""

    def is_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether a member row, by column name, may be about this person."""
        return self.is_surely_in(row) or self.is_perhaps_in(row)

    def is_perhaps_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether the row has only the matricule or the number in common, and its id is no other member's."""
        if row is None or self.is_surely_in(row) or row.get("id") in self.others:
            return False
        pairs = ((self.number, row.get("member_number")), (_folded(self.matricule), _folded(row.get("matricule"))))
        return any(mine and mine == theirs for mine, theirs in pairs)

    def is_surely_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether the row has their id or their address; a matricule or number may have been another member's before.

        For example: Claude had the matricule S12 and left; Sacha has S12 now. An old row with S12 holds Claude's
        address, so it is not surely Sacha's.
        """
        if row is None:
            return False
        if row.get("id") == self.id:
            return True
        mine = _folded(self.email)
        return mine is not None and mine == _folded(row.get("email")) and row.get("id") not in self.others


def person_of(row: Mapping[str, Any], others: frozenset[str] = frozenset()) -> Person:
    """The person of a member row."""
    return Person(row["id"], row["email"], row["matricule"], row["member_number"], others)


def _folded(value: Any) -> str | None:
    return fold(value) if isinstance(value, str) else None
