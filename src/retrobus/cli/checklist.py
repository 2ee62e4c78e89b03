"""What `retrobus doctor` says of the settings, and the form of every line that it prints."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from retrobus.settings import Settings, misspelt

Level = Literal["ok", "warning", "error"]
FEW_CHARACTERS = 16
"""Different characters that a random secret of 32 bytes has at least, in practice."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: what was looked at, what was found, and what to do about it."""

    level: Level
    name: str
    found: str
    cure: str = ""


def good(name: str, found: str) -> Item:
    """As it should be."""
    return Item("ok", name, found)


def doubtful(name: str, found: str, cure: str) -> Item:
    """The service works, but an operator should know."""
    return Item("warning", name, found, cure)


def bad(name: str, found: str, cure: str) -> Item:
    """To be cured before the service is used."""
    return Item("error", name, found, cure)


def settings_items(settings: Settings) -> Iterator[Item]:
    """What can be said without looking at anything else."""
    if settings.app_env == "production":
        yield good("APP_ENV", "production")
    else:
        yield doubtful("APP_ENV", settings.app_env, "APP_ENV=production pour un vrai service")
    for name, meant in misspelt():
        yield doubtful(name, "n'est pas un réglage du service", f"voulez-vous dire {meant} ?")
    yield _secret(settings)
    for name, on in settings.toggles.items():
        yield _toggle(name, on=on, production=settings.app_env == "production")
    yield good("BACKUP_SCHEDULE", ", ".join(settings.backup_schedule) or "aucun backup automatique")
    if settings.load_backup_at_boot and not settings.enable_memory_fallback:
        found = "actif sans ENABLE_MEMORY_FALLBACK : un backup chargé ne sera jamais servi"
        yield doubtful("LOAD_BACKUP_AT_BOOT", found, "activer les deux, ou aucun")


def _secret(settings: Settings) -> Item:
    if settings.jwt_secret is None:
        return bad("JWT_SECRET", "absent", "y mettre la sortie de : openssl rand -base64 48")
    if len(set(settings.jwt_secret.get_secret_value())) < FEW_CHARACTERS:
        return doubtful("JWT_SECRET", "peu varié, donc devinable", "y mettre la sortie de : openssl rand -base64 48")
    return good("JWT_SECRET", "présent")


def _toggle(name: str, *, on: bool, production: bool) -> Item:
    if on and production:
        return doubtful(name, "true en production", f"{name}=false pour le mode strict")
    return good(name, "true" if on else "false")
