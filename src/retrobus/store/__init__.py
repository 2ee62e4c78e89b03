"""Chooses the store: the one place that reads the three toggles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from retrobus import logbook
from retrobus.backups.files import Locked, locked
from retrobus.settings import Settings
from retrobus.store.availability import Availability, Watcher
from retrobus.store.boot import fill_from_files, fill_from_sample
from retrobus.store.contract import Store
from retrobus.store.diagnosis import Diagnosis, Diagnostician
from retrobus.store.follower import Follower
from retrobus.store.journal import NAME as JOURNAL_NAME
from retrobus.store.journal import Journal, read_journal
from retrobus.store.mirror import Mirror
from retrobus.store.mirrored import MirroredStore, Serving
from retrobus.store.pool import Connection, Pool, open_connection
from retrobus.store.postgres import PostgresStore
from retrobus.store.snapshot import SnapshotWriter

PRUNE_INTERVAL = 3600.0
CONNECT_SHARE = 0.5
"""Part of DATABASE_TIMEOUT that opening one connection may take."""

CATCH_UP = 10.0
"""Seconds that the start waits for the mirror to be Postgres's; it goes on following afterwards."""

LOCK = "service.lock"
DAY = 86_400.0


class CannotStart(Exception):
    """The service must not start with these settings here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The store, and what can be asked about it."""

    store: Store
    availability: Availability
    diagnose: Callable[[], Awaitable[Diagnosis]]
    mode: str
    mirrored: MirroredStore | None = None
    snapshot: SnapshotWriter | None = None


def needs_mirror(settings: Settings) -> bool:
    """Whether a toggle is on; otherwise nothing is held in memory and no file is opened."""
    return any(settings.toggles.values())


def check_start(settings: Settings) -> None:
    """CannotStart if these settings promise what cannot be kept here."""
    if settings.database_url is None and not _without_postgres(settings):
        raise CannotStart("DATABASE_URL manque : indiquez la base (voir .env.example)")
    if settings.enable_runtime_state_save:
        return
    journal = read_journal(settings.backups_dir, max_age=settings.journal_max_age * DAY)
    if journal.entries or journal.refusal:
        raise CannotStart(
            f"{settings.backups_dir / JOURNAL_NAME} contient {len(journal)} écriture(s) acquittée(s) : "
            "réglez-les avec « retrobus resync », ou mettez le journal de côté avec « retrobus purge »"
        )


def _without_postgres(settings: Settings) -> bool:
    return settings.app_env == "development" and settings.enable_memory_fallback


@asynccontextmanager
async def open_store(settings: Settings, watcher: Watcher) -> AsyncIterator[OpenStore]:
    """Postgres alone in strict mode; Postgres wrapped in its mirror when a toggle needs one.

    Opens even while Postgres is away, and notices when it comes. CannotStart if the settings promise too much.
    """
    check_start(settings)
    opener = _opener(settings)
    pool = Pool(opener, settings.database_pool_size)
    availability = Availability(pool, opener, settings.database_timeout, watcher)
    diagnose = Diagnostician(availability, opener).ask
    async with AsyncExitStack() as stack:
        stack.callback(pool.drop)
        if settings.database_url is not None:
            if not await availability.verdict():
                watcher.lost(availability.reason)
            await stack.enter_async_context(_running(availability.watch()))
        if needs_mirror(settings):
            opened = await stack.enter_async_context(_mirrored(settings, availability, opener, diagnose))
        else:
            opened = OpenStore(PostgresStore(availability, opener), availability, diagnose, "strict")
        await stack.enter_async_context(_running(_prune(opened.store)))
        yield opened


def _opener(settings: Settings) -> Callable[[], Awaitable[Connection]]:
    url = settings.database_url

    async def opener() -> Connection:
        if url is None:
            raise ConnectionRefusedError
        return await open_connection(
            url.get_secret_value(),
            timeout=settings.database_timeout * CONNECT_SHARE,
            statement_cache=settings.database_statement_cache,
        )

    return opener


@asynccontextmanager
async def _mirrored(
    settings: Settings,
    availability: Availability,
    opener: Callable[[], Awaitable[Connection]],
    diagnose: Callable[[], Awaitable[Diagnosis]],
) -> AsyncIterator[OpenStore]:
    """The mirror with what keeps it: one process per folder, the follower, the journal, the snapshot."""
    mirror = Mirror()
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(locked(settings.backups_dir, LOCK))
        except Locked:
            raise CannotStart(f"un autre service utilise déjà {settings.backups_dir} : un seul à la fois") from None
        journal = _journal(settings)
        serving = Serving(settings.enable_memory_fallback, when_empty=settings.app_env == "development")
        store = MirroredStore(availability, opener, mirror, journal, serving)
        _fill(settings, availability, mirror, journal)
        follower = Follower(mirror, availability, opener, store)
        store.interrupt = follower.interrupt
        snapshot = _snapshot(settings, mirror)
        if snapshot is not None:
            mirror.changed = snapshot.changed
            stack.push_async_callback(snapshot.write)
            await stack.enter_async_context(_running(snapshot.run()))
        stack.push_async_callback(store.drained)
        await stack.enter_async_context(_running(store.run()))
        if settings.database_url is not None:
            await stack.enter_async_context(_running(follower.run()))
            if availability.up:
                await follower.caught_up(CATCH_UP)
        yield OpenStore(store, availability, diagnose, _mode(settings), store, snapshot)


def _mode(settings: Settings) -> str:
    if settings.database_url is None:
        return "memory"
    return "fallback" if settings.enable_memory_fallback else "strict"


def _journal(settings: Settings) -> Journal:
    if not settings.enable_runtime_state_save:
        return Journal(None)
    return read_journal(settings.backups_dir, max_age=settings.journal_max_age * DAY)


def _fill(settings: Settings, availability: Availability, mirror: Mirror, journal: Journal) -> None:
    """What the mirror holds before Postgres is asked, or while it does not answer."""
    save, load = settings.enable_runtime_state_save, settings.load_backup_at_boot
    if load and not settings.enable_memory_fallback:
        logbook.backup_cannot_serve()
    if availability.up and load:
        logbook.backup_left_alone()
    if journal.entries and journal.refusal is not None:
        logbook.journal_refused(journal.refusal, len(journal))
    if not availability.up or journal.entries:
        fill_from_files(mirror, settings.backups_dir, journal, save=save, load=load and not availability.up)
    if settings.database_url is None and not mirror.filled:
        fill_from_sample(mirror)


def _snapshot(settings: Settings, mirror: Mirror) -> SnapshotWriter | None:
    if not settings.enable_runtime_state_save:
        return None
    return SnapshotWriter(
        settings.backups_dir,
        mirror,
        delay=settings.runtime_state_debounce,
        longest=settings.runtime_state_max_delay,
    )


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    """A background task for as long as the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _prune(store: Any) -> None:
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        with suppress(Exception):  # away or busy: the next hour prunes more
            await store.prune()
