"""What `retrobus doctor` says of a pooler (PgBouncer and its like) between the service and PostgreSQL."""

from collections.abc import Iterator
from typing import Any

from retrobus.cli.checklist import Item, bad, doubtful, good
from retrobus.settings import Settings
from retrobus.store.pool import SESSION

DIRECT = "une adresse directe dans DATABASE_URL"
LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
"""Limits that the service sets at connect, and that neither a pooler nor a service without statements passes on."""

LIMITS_HERE = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in LIMITS)
UNLIMITED = "0"


def pooler_items(facts: dict[str, Any], settings: Settings) -> Iterator[Item]:
    """`facts` holds `pooled`, `role` and the limits that the role gives to its sessions."""
    if not facts["pooled"]:
        yield good("Pooler", "aucun, adresse directe")
    elif settings.database_statement_cache:
        found = (
            f"reconnu, avec DATABASE_STATEMENT_CACHE={settings.database_statement_cache} : le service refuse de servir"
        )
        yield bad("Pooler", found, f"DATABASE_STATEMENT_CACHE=0, ou {DIRECT}")
    else:
        yield good("Pooler", "reconnu, aucune requête préparée n'est gardée")
    if settings.database_statement_cache == 0:
        yield _limits(facts)


def _limits(facts: dict[str, Any]) -> Item:
    missing = [name for name in LIMITS if facts[name] == UNLIMITED]
    if missing:
        role = '"' + facts["role"].replace('"', '""') + '"'
        cure = " ".join(f"ALTER ROLE {role} SET {name} = '{SESSION[name]}';" for name in missing)
        return doubtful("Limites de session", f"sans limite pour les lectures : {', '.join(missing)}", cure)
    return good("Limites de session", ", ".join(f"{name}={facts[name]}" for name in LIMITS))
