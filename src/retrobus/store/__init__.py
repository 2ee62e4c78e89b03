"""Chooses the store: the one place that reads the three toggles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from retrobus.settings import Settings
from retrobus.store.availability import Availability, Watcher
from retrobus.store.contract import Store
from retrobus.store.diagnosis import Diagnosis, Diagnostician
from retrobus.store.pool import Connection, Pool, open_connection
from retrobus.store.postgres import PostgresStore

PRUNE_INTERVAL = 3600.0
CONNECT_SHARE = 0.5
"""Part of DATABASE_TIMEOUT that opening one connection may take."""


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The store, and what can be asked about it."""

    store: Store
    availability: Availability
    diagnose: Callable[[], Awaitable[Diagnosis]]
    mode: str


class NoDatabase(Exception):
    """DATABASE_URL is missing."""


@asynccontextmanager
async def open_store(settings: Settings, watcher: Watcher) -> AsyncIterator[OpenStore]:
    """Postgres alone: the only source of truth. Opens even while Postgres is away, and notices when it comes."""
    if settings.database_url is None:
        raise NoDatabase
    url = settings.database_url.get_secret_value()

    async def opener() -> Connection:
        return await open_connection(
            url,
            timeout=settings.database_timeout * CONNECT_SHARE,
            statement_cache=settings.database_statement_cache,
        )

    pool = Pool(opener, settings.database_pool_size)
    availability = Availability(pool, opener, settings.database_timeout, watcher)
    store = PostgresStore(availability, opener)
    if not await availability.verdict():
        watcher.lost(availability.reason)
    tasks = [asyncio.create_task(availability.watch()), asyncio.create_task(_prune(store))]
    try:
        yield OpenStore(store, availability, Diagnostician(availability, opener).ask, "strict")
    finally:
        await _stop(tasks)
        pool.drop()


async def _prune(store: PostgresStore) -> None:
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        with suppress(Exception):  # away or busy: the next hour prunes more
            await store.prune()


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
