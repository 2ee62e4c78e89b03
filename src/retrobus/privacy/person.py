"""One member, by everything that names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrobus.model.rows import fold


@dataclass(frozen=True, slots=True)
class Person:
    """The id, and what else may lead to the same person under another id."""

    id: str
    email: str | None = None
    matricule: str | None = None
    number: str | None = None
    others: frozenset[str] = frozenset()
    """The ids of the other members there are: a row of one of them is theirs, whatever number it once had."""

    def is_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether a member row, by column name, may be about this person."""
        return self.is_surely_in(row) or self.is_perhaps_in(row)

    def is_perhaps_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether it has nothing of theirs but the matricule or the number, and is no other member's of today."""
        if row is None or self.is_surely_in(row) or row.get("id") in self.others:
            return False
        pairs = ((self.number, row.get("member_number")), (_folded(self.matricule), _folded(row.get("matricule"))))
        return any(mine and mine == theirs for mine, theirs in pairs)

    def is_surely_in(self, row: Mapping[str, Any] | None) -> bool:
        """Whether it has their id or their address; a matricule or number alone may have been another member's before.

        For example: S12 was Claude's, who left; Sacha has it now. An old row with S12 holds Claude's address.
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
