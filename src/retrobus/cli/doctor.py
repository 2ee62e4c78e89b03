"""`retrobus doctor`: the deployment checklist, one line for each item, with the cure of what is not as it should be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from retrobus.cli.backup import AsJson, answer

if TYPE_CHECKING:
    from retrobus.cli.checklist import Item

SIGNS = {"ok": "✅", "warning": "⚠️ ", "error": "❌"}


def doctor(*, as_json: AsJson = False) -> None:
    """Passe en revue réglages, fichiers et base ; échoue si un point doit être corrigé avant de servir."""
    items = _items()
    good = all(item.level != "error" for item in items)
    if as_json:
        answer({"ok": good, "items": [asdict(item) for item in items]})
    for item in () if as_json else items:
        cure = f" → {item.cure}" if item.cure else ""
        typer.echo(f"{SIGNS[item.level]} {item.name} : {item.found}{cure}")
    if not good:
        raise typer.Exit(1)


def _items() -> list[Item]:
    from retrobus.cli.checklist import bad, settings_items
    from retrobus.cli.checklist_database import database_items
    from retrobus.cli.checklist_files import file_items
    from retrobus.settings import Settings, UnreadableFile, complaints

    try:
        settings = Settings()
    except (ValidationError, UnreadableFile) as error:
        return [bad("Réglages", text, "corriger .env, .env.local ou l'environnement") for text in complaints(error)]
    return [*settings_items(settings), *file_items(settings), *database_items(settings)]
