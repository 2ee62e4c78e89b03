"""The command `retrobus doctor`: prints the checklist, and ends with 1 if the service should not be used yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from retrobus.cli.doctor.pages import PAGES
from retrobus.cli.terminal import AsJson, answer

if TYPE_CHECKING:
    from retrobus.checklist.judging import Item

SIGNS = {"ok": "✅", "warning": "⚠️ ", "error": "❌"}


def doctor(*, as_json: AsJson = False) -> None:
    """Passe en revue réglages, fichiers et base ; échoue si un point doit être corrigé avant de servir."""
    items = _items()
    good = all(item.level != "error" for item in items)
    if as_json:
        answer({"ok": good, "items": [{**asdict(item), "page": _page(item)} for item in items]})
    for item in () if as_json else items:
        cure = f" → {item.cure}" if item.cure else ""
        page = f" (voir {_page(item)})" if _page(item) else ""
        typer.echo(f"{SIGNS[item.level]} {item.name} : {item.found}{cure}{page}")
    if not good:
        raise typer.Exit(1)


def _page(item: Item) -> str | None:
    """The section that explains what is wrong; None if nothing is, or if the cure says all."""
    return None if item.level == "ok" else PAGES.get(item.name)


def _items() -> list[Item]:
    from retrobus.checklist.folder import FolderUse, file_items
    from retrobus.checklist.judging import Item
    from retrobus.cli.doctor.server import server_items
    from retrobus.cli.doctor.settings import settings_items
    from retrobus.settings import Settings
    from retrobus.settings.complaints import complaints
    from retrobus.settings.env_files import UnreadableFile, env_files

    try:
        settings = Settings()
    except (ValidationError, UnreadableFile) as error:
        cure = f"corriger {', '.join(env_files())} ou l'environnement"
        return [Item("error", "Réglages", text, cure) for text in complaints(error)]
    if settings.jwt_secret is None and _beside_development():
        settings = Settings()
    use = FolderUse(settings.backups_dir, settings.load_backup_at_boot, settings.enable_runtime_state_save)
    return [*settings_items(settings), *file_items(use, read=True), *server_items(settings)]


def _beside_development() -> bool:
    """Takes what the settings leave out from a `retrobus dev` that runs in this folder, as `retrobus token` does."""
    from retrobus.cli.development_account import use_running
    from retrobus.cli.terminal import DEFAULT_DATA

    return use_running(DEFAULT_DATA)
