"""The schema of a database: as it is, and as the tables and trigger texts of the code make it."""

import asyncio
from typing import Any

from harness import run_sql
from retrobus.database import identity, migrate, numbers, rules, triggers
from retrobus.model import sorting
from retrobus.model.resources import ALL
from retrobus.model.tables import metadata

COLUMNS = """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
  a.attgenerated, coll.collname, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_collation coll ON coll.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
  AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2"""
CONSTRAINTS = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2"""
INDEXES = """SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version' ORDER BY 1"""
FUNCTIONS = """SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
AND proname NOT IN ('retrobus_fingerprints', 'retrobus_is_erased') ORDER BY proname"""
TRIGGERS = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"


def seen(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives."""
    return [tuple(row) for row in run_sql(url, query)]


def schema(url: str) -> list[list[tuple[Any, ...]]]:
    """Everything that makes the schema of a database, to compare it with that of another."""
    return [seen(url, query) for query in (COLUMNS, CONSTRAINTS, INDEXES, FUNCTIONS, TRIGGERS)]


def build_from_models(url: str) -> None:
    """Makes tables, functions and triggers from the code of today, without any migration."""

    async def build() -> None:
        async with migrate.connect(url) as connection:
            for statement in sorting.FUNCTIONS_SQL:
                await connection.exec_driver_sql(statement)
            await connection.run_sync(metadata.create_all)
            await connection.commit()

    asyncio.run(build())
    run_sql(url, *triggers.SHARED)
    run_sql(url, *(statement for resource in ALL for statement in triggers.trigger_sql(resource)))
    run_sql(url, *(statement for name in numbers.NUMBERED for statement in numbers.number_sql(name)))
    run_sql(url, *rules.RULES, *rules.CHECKS.values())
    run_sql(url, identity.AT_HOME_SQL, identity.NOTE_SQL, identity.TRIGGER_SQL)
