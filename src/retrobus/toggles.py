"""Chooses the store: the one place that reads the three toggles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from retrobus.accounts.logins import SharedCounts
from retrobus.accounts.throttle import Uncounted
from retrobus.background import Background
from retrobus.database.errors import CannotConnect, PoolerInTheWay
from retrobus.database.server import Timelines
from retrobus.fallback.journal import NAME as JOURNAL
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.mirrored import MirroredStore
from retrobus.fallback.opening import DAY, FolderInUse, Sample, open_mirrored, sole_use
from retrobus.fallback.snapshot import SnapshotWriter
from retrobus.fallback.timelines import read_timelines
from retrobus.files.error_texts import told
from retrobus.files.folder import Refused
from retrobus.settings import Settings
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability, Watcher
from retrobus.store.commit import Commits
from retrobus.store.contract import Store
from retrobus.store.diagnosis import Diagnosis, Diagnostician
from retrobus.store.errors import NoAnswer, StoreError, Unavailable
from retrobus.store.opening import open_connection
from retrobus.store.pool import Connection, Pool
from retrobus.store.postgres import PostgresStore
from retrobus.store.servers import Servers
from retrobus.words import WRITES, plural

PRUNE_INTERVAL = 3600.0
"""Seconds between two removals of old Idempotency-Keys and counts of wrong passwords."""

CONNECT_SHARE = 0.5
"""Part of DATABASE_TIMEOUT that opening one connection may take."""


class CannotStart(Exception):
    """The service must not start with these settings here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The store, and what can be asked about it."""

    store: Store
    availability: Availability
    diagnose: Callable[[], Awaitable[Diagnosis]]
    postgres: PostgresStore
    mode: str
    servers: Servers
    logins: SharedCounts | None
    """The shared count of wrong passwords; None without a database."""

    mirrored: MirroredStore | None = None
    snapshot: SnapshotWriter | None = None

    @property
    def commits(self) -> Commits:
        """The transactions of writes, and what is known of their ends."""
        return self.postgres.commits

    @property
    def postgres_alone(self) -> Attempts:
        """For work that memory never does; its refusal says so where memory answers other requests."""
        return Attempts(self.availability, Unavailable if self.mode == "strict" else NoAnswer)


def needs_mirror(settings: Settings) -> bool:
    """Whether a toggle is on; otherwise nothing is held in memory and no file is opened."""
    return any(settings.toggles.values())


def check_start(settings: Settings) -> None:
    """CannotStart if these settings promise what cannot be kept here."""
    if settings.database_url is None and not (settings.app_env == "development" and settings.enable_memory_fallback):
        raise CannotStart("DATABASE_URL manque : indiquez la base (voir .env.example)")
    try:
        if needs_mirror(settings):
            with sole_use(settings.backups_dir):
                pass
        path = settings.backups_dir / JOURNAL
        journal = read_journal(settings.backups_dir, max_age=settings.journal_max_age * DAY)
    except (FolderInUse, OSError, Refused) as error:
        raise _told(error, settings) from None
    if _is_stranded(journal, settings):
        raise CannotStart(
            f"{path} contient {plural(len(journal), *WRITES)} : "
            "reprenez le journal avec « retrobus resync », ou mettez-le de côté avec « retrobus purge »"
        )


def _is_stranded(journal: Journal, settings: Settings) -> bool:
    """Whether acknowledged writes lie in a journal that these settings never read."""
    return bool(journal.entries or journal.refusal) and not settings.enable_runtime_state_save


def _told(error: Exception, settings: Settings) -> CannotStart:
    """Why the folder of journal and snapshot cannot be used."""
    folder = settings.backups_dir
    if isinstance(error, FolderInUse):
        return CannotStart(f"Un autre service utilise déjà {folder} : un seul à la fois")
    return CannotStart(told(error, folder / JOURNAL) if isinstance(error, OSError) else str(error))


async def check_way(settings: Settings) -> None:
    """CannotStart if a pooler is where these settings cannot work; says nothing while Postgres is away."""
    try:
        connection = await _servers(settings).open()
    except PoolerInTheWay as error:
        raise CannotStart(f"DATABASE_URL : {error}") from None
    except Exception:  # noqa: BLE001 - away, for whatever reason: the service starts, and tells it
        return
    connection.terminate()


@asynccontextmanager
async def open_store(
    settings: Settings, watcher: Watcher, background: Background, sample: Sample | None = None
) -> AsyncIterator[OpenStore]:
    """Postgres alone in strict mode; Postgres wrapped in its mirror when a toggle needs one.

    Opens even while Postgres is away, and notices when it comes. CannotStart if the settings promise too much.
    """
    check_start(settings)
    servers = _servers(settings)
    pool = Pool(servers.open, settings.database_pool_size, servers.is_current)
    availability = Availability(pool, servers.open, settings.database_timeout, watcher, lambda: servers.last_words)
    async with AsyncExitStack() as stack:
        stack.callback(pool.drop)
        if settings.database_url is not None:
            if not await availability.verdict():
                watcher.lost(availability.reason)
            await stack.enter_async_context(background.running("watch", availability.watch))
            await stack.enter_async_context(background.running("servers", servers.watch))
        opened = await stack.enter_async_context(_chosen(settings, availability, servers, background, sample))
        await stack.enter_async_context(background.running("prune", lambda: _prune(opened)))
        yield opened


@asynccontextmanager
async def _chosen(
    settings: Settings, availability: Availability, servers: Servers, background: Background, sample: Sample | None
) -> AsyncIterator[OpenStore]:
    """The bare Postgres store if all toggles are off: strict mode has no mirror code in its path."""
    diagnose = Diagnostician(availability, servers.open).ask
    logins = None if settings.database_url is None else SharedCounts(availability)
    if not needs_mirror(settings):
        alone = PostgresStore(availability, servers.open, servers.acknowledged)
        yield OpenStore(alone, availability, diagnose, alone, "strict", servers, logins)
        return
    try:
        async with open_mirrored(settings, availability, servers, background, sample) as found:
            store, mode = found.store, _mode(settings)
            parts = (store, availability, diagnose, store.postgres, mode, servers, logins)
            yield OpenStore(*parts, mirrored=store, snapshot=found.snapshot)
    except (FolderInUse, Refused) as error:
        raise _told(error, settings) from None


def _mode(settings: Settings) -> str:
    if settings.database_url is None:
        return "memory"
    return "fallback" if settings.enable_memory_fallback else "strict"


def _servers(settings: Settings) -> Servers:
    seconds = settings.database_timeout * CONNECT_SHARE
    url = "" if settings.database_url is None else settings.database_url.get_secret_value()
    timelines = read_timelines(settings.backups_dir) if settings.enable_runtime_state_save else Timelines()

    async def opening(place: Mapping[str, Any]) -> Connection:
        if not url:
            raise CannotConnect("DATABASE_URL manque")
        return await open_connection(
            url, timeout=seconds, statement_cache=settings.database_statement_cache, place=place
        )

    return Servers(url, opening, seconds, timelines)


async def _prune(opened: OpenStore) -> None:
    """Every hour forgets what is older than a day."""
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        with suppress(StoreError, Uncounted):  # away or busy: the next hour prunes more
            await opened.postgres.prune()
            if opened.logins is not None:
                await opened.logins.prune()
