"""Chooses the store: the one place that reads the three toggles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrobus import logbook
from retrobus.accounts.logins import SharedCounts
from retrobus.accounts.throttle import Uncounted
from retrobus.background import Background
from retrobus.database.connecting import CannotConnect
from retrobus.database.pooler import PoolerInTheWay
from retrobus.database.server import Timelines
from retrobus.fallback.boot import fill_from_files, fill_from_sample
from retrobus.fallback.follower import Follower
from retrobus.fallback.journal import NAME as JOURNAL_NAME
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore, Serving
from retrobus.fallback.snapshot import NAME as SNAPSHOT_NAME
from retrobus.fallback.snapshot import SnapshotWriter
from retrobus.fallback.timelines import read_timelines
from retrobus.files.folder import Locked, Refused, locked, sweep
from retrobus.files.trouble import told
from retrobus.settings import Settings
from retrobus.store.availability import Availability, Watcher
from retrobus.store.commit import Commits
from retrobus.store.contract import Store, StoreError
from retrobus.store.diagnosis import Diagnosis, Diagnostician
from retrobus.store.pool import Connection, Pool, open_connection
from retrobus.store.postgres import PostgresStore
from retrobus.store.servers import Servers

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
    commits: Commits
    mode: str
    servers: Servers
    logins: SharedCounts | None
    """The shared count of wrong passwords; None without a database."""

    mirrored: MirroredStore | None = None
    snapshot: SnapshotWriter | None = None


def needs_mirror(settings: Settings) -> bool:
    """Whether a toggle is on; otherwise nothing is held in memory and no file is opened."""
    return any(settings.toggles.values())


def check_start(settings: Settings) -> None:
    """CannotStart if these settings promise what cannot be kept here."""
    if settings.database_url is None and not _without_postgres(settings):
        raise CannotStart("DATABASE_URL manque : indiquez la base (voir .env.example)")
    if needs_mirror(settings):
        with _sole_use(settings.backups_dir):
            pass
    journal = _read_journal(settings)
    if (journal.entries or journal.refusal) and not settings.enable_runtime_state_save:
        raise CannotStart(
            f"{settings.backups_dir / JOURNAL_NAME} contient {len(journal)} écriture(s) acquittée(s) : "
            "réglez-les avec « retrobus resync », ou mettez le journal de côté avec « retrobus purge »"
        )


async def check_way(settings: Settings) -> None:
    """CannotStart if a pooler is where these settings cannot work; says nothing while Postgres is away."""
    try:
        connection = await _servers(settings).open()
    except PoolerInTheWay as error:
        raise CannotStart(f"DATABASE_URL : {error}") from None
    except Exception:  # noqa: BLE001 - away, for whatever reason: the service starts, and tells it
        return
    connection.terminate()


def _read_journal(settings: Settings) -> Journal:
    try:
        return read_journal(settings.backups_dir, max_age=settings.journal_max_age * DAY)
    except OSError as error:
        raise CannotStart(told(error, settings.backups_dir / JOURNAL_NAME)) from None
    except Refused as error:
        raise CannotStart(str(error)) from None


def _without_postgres(settings: Settings) -> bool:
    return settings.app_env == "development" and settings.enable_memory_fallback


@asynccontextmanager
async def open_store(settings: Settings, watcher: Watcher, background: Background) -> AsyncIterator[OpenStore]:
    """Postgres alone in strict mode; Postgres wrapped in its mirror when a toggle needs one.

    Opens even while Postgres is away, and notices when it comes. CannotStart if the settings promise too much.
    """
    check_start(settings)
    servers = _servers(settings)
    opener = servers.open
    pool = Pool(opener, settings.database_pool_size, servers.is_current)
    availability = Availability(pool, opener, settings.database_timeout, watcher, lambda: servers.last_words)
    diagnose = Diagnostician(availability, opener).ask
    async with AsyncExitStack() as stack:
        stack.callback(pool.drop)
        if settings.database_url is not None:
            if not await availability.verdict():
                watcher.lost(availability.reason)
            await stack.enter_async_context(background.running("watch", availability.watch))
            await stack.enter_async_context(background.running("servers", servers.watch))
        if needs_mirror(settings):
            opened = await stack.enter_async_context(_mirrored(settings, availability, servers, diagnose, background))
        else:
            alone, logins = PostgresStore(availability, opener, servers.acknowledged), SharedCounts(availability)
            opened = OpenStore(alone, availability, diagnose, alone.commits, "strict", servers, logins)
        await stack.enter_async_context(background.running("prune", lambda: _prune(opened)))
        yield opened


def _servers(settings: Settings) -> Servers:
    seconds = settings.database_timeout * CONNECT_SHARE
    url = "" if settings.database_url is None else settings.database_url.get_secret_value()

    save = settings.enable_runtime_state_save
    timelines = read_timelines(settings.backups_dir) if save else Timelines()

    async def opening(place: Mapping[str, Any]) -> Connection:
        if not url:
            raise CannotConnect("DATABASE_URL manque")
        return await open_connection(
            url,
            timeout=seconds,
            statement_cache=settings.database_statement_cache,
            place=place,
        )

    return Servers(url, opening, seconds, timelines)


@asynccontextmanager
async def _mirrored(
    settings: Settings,
    availability: Availability,
    servers: Servers,
    diagnose: Callable[[], Awaitable[Diagnosis]],
    background: Background,
) -> AsyncIterator[OpenStore]:
    """The mirror with what keeps it: one process per folder, the follower, the journal, the snapshot."""
    mirror = Mirror()
    async with AsyncExitStack() as stack:
        stack.enter_context(_sole_use(settings.backups_dir))
        journal = _journal(settings)
        serving = Serving(settings.enable_memory_fallback, when_empty=settings.app_env == "development")
        store = MirroredStore(availability, servers.open, servers.acknowledged, mirror, journal, serving)
        _say_what_is_read(settings, availability, journal)
        if not availability.up or journal.entries:
            _fill(settings, availability, mirror, journal)
        follower = Follower(availability, servers.open_newest, store.settling, store.feed)
        snapshot = await stack.enter_async_context(_snapshot(settings, mirror, background))
        if settings.database_url is not None:
            await stack.enter_async_context(background.running("follower", follower.run))
            if availability.up:
                await follower.tried(CATCH_UP)
        stack.push_async_callback(store.drained)
        if not availability.up and not mirror.filled:
            _fill(settings, availability, mirror, journal)  # it went while the mirror was being filled
        logins = None if settings.database_url is None else SharedCounts(availability)
        commits = store.postgres.commits
        yield OpenStore(store, availability, diagnose, commits, _mode(settings), servers, logins, store, snapshot)


@contextmanager
def _sole_use(folder: Path) -> Iterator[None]:
    """Holds the folder for this process."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, LOCK))
        except Locked:
            raise CannotStart(f"Un autre service utilise déjà {folder} : un seul à la fois") from None
        except OSError as error:
            raise CannotStart(told(error, folder)) from None
        yield


def _mode(settings: Settings) -> str:
    if settings.database_url is None:
        return "memory"
    return "fallback" if settings.enable_memory_fallback else "strict"


def _journal(settings: Settings) -> Journal:
    if not settings.enable_runtime_state_save:
        return Journal(None)
    journal = _read_journal(settings)
    if journal.refusal and not journal.entries:
        journal.settle(journal.last)  # nothing in it can be read: it is set aside
    return journal


def _say_what_is_read(settings: Settings, availability: Availability, journal: Journal) -> None:
    if settings.load_backup_at_boot and not settings.enable_memory_fallback:
        logbook.backup_cannot_serve()
    if settings.load_backup_at_boot and availability.up:
        logbook.backup_left_alone()
    if journal.refusal is not None:
        logbook.journal_refused(journal.refusal, len(journal))


def _fill(settings: Settings, availability: Availability, mirror: Mirror, journal: Journal) -> None:
    """What the mirror holds while Postgres does not answer, or until it has the journal."""
    save = settings.enable_runtime_state_save and settings.enable_memory_fallback
    load = settings.load_backup_at_boot and not availability.up
    fill_from_files(mirror, settings.backups_dir, journal, save=save, load=load)
    if settings.database_url is None and not mirror.filled:
        fill_from_sample(mirror)


@asynccontextmanager
async def _snapshot(settings: Settings, mirror: Mirror, background: Background) -> AsyncIterator[SnapshotWriter | None]:
    """What writes the snapshot for as long as the block, and once more at its end; None if nothing shall."""
    if not settings.enable_runtime_state_save:
        yield None
        return
    sweep(settings.backups_dir, SNAPSHOT_NAME)
    delay, longest = settings.runtime_state_debounce, settings.runtime_state_max_delay
    snapshot = SnapshotWriter(settings.backups_dir, mirror, delay=delay, longest=longest)
    try:
        async with background.running("snapshot", snapshot.run):
            yield snapshot
    finally:
        await snapshot.write()


async def _prune(opened: OpenStore) -> None:
    store: Any = opened.store
    while True:
        await asyncio.sleep(PRUNE_INTERVAL)
        with suppress(StoreError, Uncounted):  # away or busy: the next hour prunes more
            await store.prune()
            if opened.logins is not None:
                await opened.logins.prune()
