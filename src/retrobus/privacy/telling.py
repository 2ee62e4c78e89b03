"""What an export tells of a trace: a row of the person whole, of what they did to other rows only that they did it.

A journal entry of a treasurer holds the address and the password hash of the member whom the treasurer changed.
"""

from collections.abc import Mapping
from typing import Any, Literal

from retrobus.model.tables import SECRET_COLUMNS

UNTOLD = SECRET_COLUMNS | {"created_by", "createdBy"}
"""Columns (and fields of answers) of the person's own rows that are secret, or name another member."""

Trace = dict[str, Any]
Role = Literal["subject", "actor"]


def own_row(row: Mapping[str, Any] | None) -> Trace | None:
    """A row of the person without secrets."""
    return None if row is None else {name: value for name, value in row.items() if name not in UNTOLD}


def trace(role: Role, at: str, resource: str, operation: str, **own: Any) -> Trace:
    """When, on which resource, which operation; `own` is what else is told of a row that is the person's."""
    return {"role": role, "at": at, "resource": resource, "operation": operation, **own}
