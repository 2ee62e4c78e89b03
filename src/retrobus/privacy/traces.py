"""What an export shows of a trace: the person's own row whole; of another's row, only that the person changed it.

For example: the treasurer changed a member, so the treasurer's journal entry holds that member's address and password
hash. The treasurer's export says when and what kind of change it was, and shows no field.
"""

from collections.abc import Mapping
from typing import Any, Literal

from retrobus.model.resources import MEMBER

UNTOLD = MEMBER.secret | {"created_by", "createdBy", "updated_by", "updatedBy"}
"""Columns (and fields of answers) of the person's own rows that are secret, or name another member."""

Trace = dict[str, Any]
Role = Literal["subject", "actor"]


def own_row(row: Mapping[str, Any] | None) -> Trace | None:
    """A row of the person without secrets."""
    return None if row is None else {name: value for name, value in row.items() if name not in UNTOLD}


def trace(role: Role, at: str, resource: str, operation: str, **own: Any) -> Trace:
    """One line of an export; `own` is what else it shows, if the row is the person's own."""
    return {"role": role, "at": at, "resource": resource, "operation": operation, **own}
