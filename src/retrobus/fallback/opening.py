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
from retrobus.store.availability import Availability
from retrobus.store.servers import Servers

LOCK = "service.lock"

CATCH_UP = 10.0
"""Seconds that the start waits for the mirror to be filled from Postgres; the filling goes on afterwards."""


class FolderInUse(Exception):
    """Another service holds the folder of journal and snapshot."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the toggles ask for, where, and how often."""

    folder: Path
    fallback: bool
    save: bool
    load: bool
    journal_max_age: float
    """Seconds after which a journal on disk is not replayed by itself."""

    snapshot_delay: float
    """Seconds from the first change to the snapshot."""

    when_empty: bool = False
    """Whether a mirror that was never filled answers (development only)."""

    without_postgres: bool = False
    """Whether no database is configured."""

    sample: Callable[[], dict[str, Rows]] | None = None
    """Gives the rows that memory holds when there is nothing else (development only)."""


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
    options: Options, availability: Availability, servers: Servers, background: Background
) -> AsyncIterator[Mirrored]:
    """The store with its mirror, filled from Postgres if that answers, else from the files that the toggles allow."""
    mirror = Mirror()
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_use(options.folder))
        journal = _journal(options)
        serving = Serving(options.fallback, options.when_empty)
        store = MirroredStore(availability, servers.open, servers.acknowledged, mirror, journal, serving)
        _tell(options, availability, journal)
        if not availability.up or journal.entries:
            _fill(options, availability, mirror, journal)
        snapshot = await stack.enter_async_context(_snapshot(options, mirror, background))
        if not options.without_postgres:
            follower = Follower(availability, servers.open_newest, store.settling, store.feed)
            await stack.enter_async_context(background.running("follower", follower.run))
            if availability.up:
                await follower.tried(CATCH_UP)
        stack.push_async_callback(store.drained)
        if not availability.up and not mirror.filled:
            _fill(options, availability, mirror, journal)  # Postgres went while the mirror was being filled
        yield Mirrored(store, snapshot)


def _journal(options: Options) -> Journal:
    if not options.save:
        return Journal(None)
    journal = read_journal(options.folder, max_age=options.journal_max_age)
    if journal.refusal and not journal.entries:
        journal.settle(journal.last)  # nothing in it can be read: it is set aside
    return journal


def _tell(options: Options, availability: Availability, journal: Journal) -> None:
    """Says in the log which files are read, and which are not."""
    if options.load and not options.fallback:
        logbook.backup_cannot_serve()
    if options.load and availability.up:
        logbook.backup_left_alone()
    if journal.refusal is not None:
        logbook.journal_refused(journal.refusal, len(journal))


def _fill(options: Options, availability: Availability, mirror: Mirror, journal: Journal) -> None:
    """What the mirror holds while Postgres does not answer, or until Postgres has the journal."""
    save, load = options.save and options.fallback, options.load and not availability.up
    fill_from_files(mirror, options.folder, journal, save=save, load=load)
    if options.sample is not None and not mirror.filled:
        fill_from_sample(mirror, options.sample())


@asynccontextmanager
async def _snapshot(options: Options, mirror: Mirror, background: Background) -> AsyncIterator[SnapshotWriter | None]:
    """Writes the snapshot for as long as the block, and once more at its end; None if the toggle is off."""
    if not options.save:
        yield None
        return
    sweep(options.folder, SNAPSHOT)
    snapshot = SnapshotWriter(options.folder, mirror, options.snapshot_delay)
    try:
        async with background.running("snapshot", snapshot.run):
            yield snapshot
    finally:
        await snapshot.write()
