"""Roles as rights see them."""

from retrobus.model.members import ROLES

ADMIN = "ADMIN"
MANAGERS = frozenset({"BUREAU", ADMIN, "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"})


def effective_role(role: str) -> str:
    """The role itself, or MEMBER for a value that old data brought along."""
    return role if role in ROLES else "MEMBER"
