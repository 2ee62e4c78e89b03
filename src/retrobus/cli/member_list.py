"""`retrobus member list`, and the French words for what a member is and may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from retrobus.cli.listing import columns
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, answer
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection

LIST = """SELECT id, email, matricule, first_name, last_name, role, status, membership_status AS membership FROM member
ORDER BY sort_last_name, sort_first_name, id"""
HEADINGS = ("Adresse", "Nom", "Rôle", "État", "Adhésion", "Matricule", "Id")

LABELS = {
    "role": {
        "MEMBER": "membre", "DRIVER": "conducteur", "BUREAU": "bureau", "ADMIN": "administrateur",
        "PRESIDENT": "président", "VICE_PRESIDENT": "vice-président", "TRESORIER": "trésorier",
        "SECRETAIRE_GENERAL": "secrétaire général",
    },
    "status": {"active": "actif", "terminated": "parti", "disabled": "désactivé"},
    "membership": {
        "PENDING": "en attente", "ACTIVE": "en cours", "EXPIRED": "expirée", "SUSPENDED": "suspendue",
        "CANCELLED": "résiliée",
    },
}  # fmt: skip
"""By column: the French word for each value. A role that old data brought along has none and stays as it is."""


def label(column: str, value: str) -> str:
    """The French word for a role, a status or a membership."""
    return LABELS[column].get(value, value)


def full_name(row: dict[str, Any]) -> str:
    """First and last name, as far as they are known."""
    return f"{row['first_name']} {row['last_name']}".strip()


def list_(*, as_json: AsJson = False) -> None:
    """Liste les membres : adresse, nom, rôle, état, adhésion, matricule, id."""

    async def work(connection: AnyConnection) -> list[dict[str, Any]]:
        return [dict(row) for row in await connection.fetch(LIST)]

    members = with_connection(work)
    if as_json:
        answer(members)
        return
    for line in columns(HEADINGS, [_cells(row) for row in members]):
        typer.echo(line)
    typer.echo(plural(len(members), "membre"))


def _cells(row: dict[str, Any]) -> list[object]:
    words = [label(column, row[column]) for column in LABELS]
    return [row["email"], full_name(row), *words, row["matricule"], row["id"]]
