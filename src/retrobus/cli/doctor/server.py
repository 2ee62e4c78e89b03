"""The checks of `retrobus doctor` that ask PostgreSQL, damage that `retrobus db repair` mends among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrobus.checklist.judging import Facts, Item, judged
from retrobus.checklist.server import Way, facts_of_server, rules_for
from retrobus.cli.doctor.repair import repair_facts
from retrobus.cli.failures import sentence
from retrobus.cli.postgres import with_connection
from retrobus.model.tables import REVISION
from retrobus.repair.findings import look
from retrobus.settings import Settings

if TYPE_CHECKING:
    from retrobus.database.connection import AnyConnection


def server_items(settings: Settings) -> list[Item]:
    """A line for each check; one alone if there is no connection."""
    if settings.database_url is None:
        if settings.app_env == "development" and settings.enable_memory_fallback:
            return [Item("warning", "DATABASE_URL", "absente : tout vit en mémoire", "indiquer une base")]
        return [Item("error", "DATABASE_URL", "absente", "indiquer la base (voir .env.example)")]
    try:
        facts = with_connection(lambda connection: _ask(connection, settings))
    except Exception as failure:
        known = sentence(failure)
        if known is None:
            raise
        return [Item("error", "DATABASE_URL", known, "vérifier l'adresse, le mot de passe et le serveur")]
    return [Item("ok", "DATABASE_URL", "valide, PostgreSQL répond"), *judged(rules_for(facts), facts)]


async def _ask(connection: AnyConnection, settings: Settings) -> Facts:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    way = Way(url, settings.database_pool_size, settings.database_statement_cache)
    facts = await facts_of_server(connection, way)
    if facts["suits"] and facts["revision"] == REVISION:
        facts |= repair_facts(await look(connection, settings.backups_dir))
    return facts
