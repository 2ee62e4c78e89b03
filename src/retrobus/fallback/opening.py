"""Opens the store with its mirror, and all that keeps it: the folder's lock, journal, follower, snapshot."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrobus import logbook
from retrobus.background import Background
from retrobus.fallback.boot import Rows, fill_from_files, fill_from_sample
from retrobus.fallback.follower import Follower
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore, Serving
from retrobus.fallback.snapshot import NAME as SNAPSHOT
from retrobus.fallback.snapshot import SnapshotWriter
from retrobus.files.folder import Locked, locked, sweep
from retrobus.settings import Settings
from retrobus.store.availability import Availability
from retrobus.store.servers import Servers

LOCK = "service.lock"
DAY = 86_400.0

Sample = Callable[[], dict[str, Rows]]

CATCH_UP = 10.0
"""Seconds that the start waits for the mirror to be filled from Postgres; the filling goes on afterwards."""


class FolderInUse(Exception):
    """Another service holds the folder of journal and snapshot."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The open store, and the writer of its snapshot if there is one."""

    store: MirroredStore
    snapshot: SnapshotWriter | None


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; FolderInUse if another one does, OSError if the folder cannot be used."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, LOCK))
        except Locked:
            raise FolderInUse from None
        yield


@asynccontextmanager
async def open_mirrored(
    settings: Settings, availability: Availability, servers: Servers, background: Background, sample: Sample | None
) -> AsyncIterator[Mirrored]:
    """The store with its mirror, filled from Postgres if that answers, else from the files that the toggles allow.

    `sample` gives the rows that memory holds if no database is configured and no file has any.
    """
    mirror, folder = Mirror(), settings.backups_dir
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_use(folder))
        journal = _journal(settings)
        serving = Serving(settings.enable_memory_fallback, when_empty=settings.app_env == "development")
        store = MirroredStore(availability, servers.open, servers.acknowledged, mirror, journal, serving)
        _tell(settings, availability, journal)
        if not availability.up or journal.entries:
            _fill(settings, availability, mirror, journal)
        snapshot = await stack.enter_async_context(_snapshot(settings, mirror, background))
        if settings.database_url is not None:
            follower = Follower(availability, servers.open_newest, store.settling, store.feed)
            await stack.enter_async_context(background.running("follower", follower.run))
            if availability.up:
                await follower.tried(CATCH_UP)
        stack.push_async_callback(store.drained)
        if not availability.up and not mirror.filled:
            _fill(settings, availability, mirror, journal)  # Postgres went while the mirror was being filled
        if sample is not None and settings.database_url is None and not mirror.filled:
            fill_from_sample(mirror, sample())
        yield Mirrored(store, snapshot)


def _journal(settings: Settings) -> Journal:
    if not settings.enable_runtime_state_save:
        return Journal(None)
    journal = read_journal(settings.backups_dir, max_age=settings.journal_max_age * DAY)
    if journal.refusal and not journal.entries:
        journal.settle(journal.last)  # nothing in it can be read: it is set aside
    return journal


def _tell(settings: Settings, availability: Availability, journal: Journal) -> None:
    """Says in the log which files are not read as an operator may expect."""
    if settings.load_backup_at_boot and not settings.enable_memory_fallback:
        logbook.backup_cannot_serve()
    if settings.load_backup_at_boot and availability.up:
        logbook.backup_left_alone()
    if journal.refusal is not None:
        logbook.journal_refused(journal.refusal, len(journal))


def _fill(settings: Settings, availability: Availability, mirror: Mirror, journal: Journal) -> None:
    """What the mirror holds while Postgres does not answer, or until Postgres has the journal."""
    fallback = settings.enable_memory_fallback
    save, load = settings.enable_runtime_state_save and fallback, settings.load_backup_at_boot and not availability.up
    fill_from_files(mirror, settings.backups_dir, journal, save=save, load=load)


@asynccontextmanager
async def _snapshot(settings: Settings, mirror: Mirror, background: Background) -> AsyncIterator[SnapshotWriter | None]:
    """Writes the snapshot for as long as the block, and once more at its end; None if the toggle is off."""
    if not settings.enable_runtime_state_save:
        yield None
        return
    sweep(settings.backups_dir, SNAPSHOT)
    delay = min(settings.runtime_state_debounce, settings.runtime_state_max_delay)
    snapshot = SnapshotWriter(settings.backups_dir, mirror, delay)
    try:
        async with background.running("snapshot", snapshot.run):
            yield snapshot
    finally:
        await snapshot.write()
