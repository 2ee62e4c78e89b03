"""Which section of which document explains a point of the checklist."""

STRICT = "docs/operations.md#mode-strict"
TOGGLES = "docs/operations.md#bascules"
BACKUPS = "docs/operations.md#backups"
REPAIR = "docs/operations.md#réparer"
PAGES = {
    "JWT_SECRET": "docs/operations.md#comptes",
    "LOAD_BACKUP_AT_BOOT": STRICT,
    "ENABLE_MEMORY_FALLBACK": STRICT,
    "ENABLE_RUNTIME_STATE_SAVE": STRICT,
    "Dossier des backups": BACKUPS,
    "Sélection (restore-info.json)": BACKUPS,
    "Instantané (runtime-state.json)": "docs/operations.md#2-purger-les-restes",
    "Journal (journal.jsonl)": TOGGLES,
    "Fichiers endommagés mis de côté": "docs/operations.md#journaux-attendus",
    "Backups": BACKUPS,
    "Dernier backup": BACKUPS,
    "Vérification du dernier backup": BACKUPS,
    "DATABASE_URL": "docs/operations.md#dépannage",
    "Droits": "README.md#database",
    "Migrations": "docs/operations.md#migrations",
    "Administrateur actif": "docs/operations.md#comptes",
    "Conflits à trancher": TOGGLES,
    "Durabilité": "README.md#what-a-2xx-means",
    "Répliques": "docs/operations.md#réplique-synchrone",
    "Archivage WAL": "docs/backups.md#contre-la-perte-du-serveur",
    "Rôle de DATABASE_URL": "README.md#database",
    "Pooler": "docs/operations.md#poolers",
    "Limites de session": "docs/operations.md#poolers",
    "Identité de la base": REPAIR,
    "Déclencheurs": REPAIR,
    "Séquences": REPAIR,
    "Lignes": REPAIR,
    "Suppressions": REPAIR,
}
"""By the name of the point; a test follows every link. A point whose cure says all has no page."""
