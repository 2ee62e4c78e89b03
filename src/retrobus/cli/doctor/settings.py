"""What the settings alone tell."""

from collections.abc import Iterator

from retrobus.checklist.judging import Item
from retrobus.settings import Settings
from retrobus.settings.complaints import misspelt

FEW_CHARACTERS = 16
"""Different characters that a random secret of 32 bytes has at least, in practice."""


def settings_items(settings: Settings) -> Iterator[Item]:
    """What can be said without looking at files or at PostgreSQL."""
    production = settings.app_env == "production"
    if production:
        yield Item("ok", "APP_ENV", "production")
    else:
        yield Item("warning", "APP_ENV", settings.app_env, "APP_ENV=production pour un vrai service")
    for name, meant in misspelt():
        yield Item("warning", name, "n'est pas un réglage du service", f"voulez-vous dire {meant} ?")
    yield _secret(settings)
    for name, on in settings.toggles.items():
        if on and production:
            yield Item("warning", name, "true en production", f"{name}=false pour le mode strict")
        else:
            yield Item("ok", name, "true" if on else "false")
    yield Item("ok", "BACKUP_SCHEDULE", ", ".join(settings.backup_schedule) or "aucun backup automatique")
    if settings.load_backup_at_boot and not settings.enable_memory_fallback:
        found = "actif sans ENABLE_MEMORY_FALLBACK : un backup chargé ne sera jamais servi"
        yield Item("warning", "LOAD_BACKUP_AT_BOOT", found, "activer les deux, ou aucun")


def _secret(settings: Settings) -> Item:
    cure = "y mettre la sortie de : openssl rand -base64 48"
    if settings.jwt_secret is None:
        return Item("error", "JWT_SECRET", "absent", cure)
    if len(set(settings.jwt_secret.get_secret_value())) < FEW_CHARACTERS:
        return Item("warning", "JWT_SECRET", "peu varié, donc devinable", cure)
    return Item("ok", "JWT_SECRET", "présent")
