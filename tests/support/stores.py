"""Each store on a real database, as the tests of the contract meet it."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from harness import at, copy_database, settings_for
from retrobus import logbook
from retrobus.background import Background
from retrobus.fallback.decisions import MemoryStore
from retrobus.fallback.memory import Held
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import completed
from retrobus.model.wire import View
from retrobus.store.contract import (
    Caller,
    Change,
    Check,
    Delete,
    Document,
    Filter,
    Image,
    Insert,
    Once,
    Origin,
    Page,
    Precondition,
    Query,
    Row,
    Sought,
    Store,
    Terms,
    Update,
    Write,
)
from retrobus.toggles import OpenStore, open_store

T = TypeVar("T")

KINDS = ("postgres", "memory", "mirrored", "fallback")
"""`mirrored` is Postgres with its mirror; `fallback` is the same with Postgres away: memory answers."""

FOUNDER = Caller("founder", 0, "ADMIN")
"""Is in every store from the start, an active ADMIN; without names, so first in every list of members."""

FOUNDING = {"id": FOUNDER.id, "email": "founder@example.org", "role": "ADMIN"}
EMPTY = f"""SET session_replication_role = replica;
DELETE FROM event; DELETE FROM vehicle; DELETE FROM member;
DELETE FROM deletion; DELETE FROM idempotency; DELETE FROM conflict;
SET session_replication_role = origin;
INSERT INTO member (id, email, role) VALUES {tuple(FOUNDING.values())}"""

ALLOW = "ALTER DATABASE {0} ALLOW_CONNECTIONS {1}"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
RENAME = "ALTER DATABASE {0} RENAME TO {1}"


def day(number: int, hour: int = 0) -> datetime:
    """A day of May 2026."""
    return datetime(2026, 5, number, hour, tzinfo=UTC)


def an_event(key: str, **values: Any) -> Row:
    """The columns of a new event."""
    return {"id": key, "title": "Sortie", "date": day(1), **values}


def a_vehicle(parc: str, **values: Any) -> Row:
    """The columns of a new vehicle."""
    return {"parc": parc, **values}


def a_member(key: str, **values: Any) -> Row:
    """The columns of a new member."""
    return {"id": key, "email": f"{key}@example.org", **values}


ROWS: dict[str, tuple[Resource, Callable[..., Row]]] = {
    "event": (EVENT, an_event),
    "vehicle": (VEHICLE, a_vehicle),
    "member": (MEMBER, a_member),
}


def setting(**values: Any) -> Change:
    """The change that gives a row these values."""
    return lambda _: values


class Silence:
    """A watcher that says nothing."""

    def lost(self, reason: str) -> None:
        """Postgres went."""

    def found(self) -> None:
        """Postgres came."""


class Taken:
    """A sink that keeps the rows in memory."""

    def __init__(self) -> None:
        self.documents: list[bytes] = []

    async def begin(self) -> None:
        self.documents = []

    async def add(self, documents: Sequence[bytes]) -> None:
        self.documents += documents


class Subject:
    """A store and the loop it lives in. Rows that are `given` are there before Postgres goes away, if it does."""

    def __init__(self, kind: str, runner: asyncio.Runner, store: Store, leave: Callable[[], None]) -> None:
        self.kind = kind
        self.store = store
        self._runner = runner
        self._leave: Callable[[], None] | None = leave

    @property
    def from_memory(self) -> bool:
        """Whether the answers come from memory."""
        return self.kind in {"memory", "fallback"}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a verb to its end; Postgres is away by then if it is to be."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
        return self._runner.run(work)

    def given(self, resource: Resource, *rows: Row) -> list[Document]:
        """Adds rows while all is well."""
        return [self._runner.run(self.store.write(Insert(resource, row, Terms(FOUNDER)))) for row in rows]

    def find(
        self,
        resource: Resource,
        *filters: Filter,
        view: View = "list",
        after: tuple[Any, ...] | None = None,
        limit: int = 1000,
        caller: Caller | None = FOUNDER,
    ) -> Page:
        return self.run(self.store.find(resource, Query(view, filters, after, limit), caller=caller))

    def copy(self, resource: Resource, *filters: Filter, caller: Caller = FOUNDER) -> tuple[list[bytes], Origin]:
        """Every row, and where they come from."""
        taken = Taken()
        origin = self.run(self.store.copy(resource, Query("list", filters), taken, caller=caller))
        return taken.documents, origin

    def get(
        self, resource: Resource, key: str, *filters: Filter, view: View = "one", caller: Caller | None = FOUNDER
    ) -> Document:
        return self.run(self.store.get(resource, key, view=view, filters=filters, caller=caller))

    def image(
        self,
        key: str,
        column: str = "background_image",
        *filters: Filter,
        at: int | None = None,
        known: tuple[str, ...] = (),
        caller: Caller | None = FOUNDER,
    ) -> Image:
        sought = Sought(VEHICLE, key, column, at, known)
        return self.run(self.store.image(sought, filters=filters, caller=caller))

    def insert(
        self, resource: Resource, values: Row, *, caller: Caller = FOUNDER, once: Once | None = None
    ) -> Document:
        return self.run(self.store.write(Insert(resource, values, Terms(caller, once=once))))

    def update(
        self,
        resource: Resource,
        key: str,
        change: Change,
        *,
        caller: Caller | None = FOUNDER,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        return self.run(self.store.write(Update(resource, key, change, Terms(caller, match, once))))

    def delete(
        self,
        resource: Resource,
        key: str,
        check: Check | None = None,
        *,
        caller: Caller = FOUNDER,
        match: Precondition | None = None,
        once: Once | None = None,
    ) -> Document:
        return self.run(self.store.write(Delete(resource, key, Terms(caller, match, once), check)))

    def account(self, *, identifier: str | None = None, member_id: str | None = None) -> Row | None:
        return self.run(self.store.account(identifier=identifier, member_id=member_id))


async def empty(url: str) -> None:
    """Leaves nothing in a database but the founder."""
    connection = await asyncpg.connect(url)
    await connection.execute(EMPTY)
    await connection.close()


class MemoryAlone(MemoryStore):
    """The decisions of memory, each carried out at once: what the fallback decides, without a journal."""

    def __init__(self) -> None:
        super().__init__()
        self.memory.of(MEMBER).put(FOUNDER.id, Held(completed(MEMBER, FOUNDING | {"version": 1})))
        self._versions = count(2)

    async def write(self, write: Write) -> Document:
        decision = self.decide(write, self._stamp)
        document = self.answer(decision)
        self.memory.apply(decision.effects)
        self.answers.keep(write.terms, document)
        return document

    def _stamp(self, _: Held | None) -> tuple[int, str]:
        version = next(self._versions)
        return version, str(version)


@contextmanager
def entered(runner: asyncio.Runner, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """An asynchronous context, for the time of a block."""
    found = runner.run(context.__aenter__())
    try:
        yield found
    finally:
        runner.run(context.__aexit__(None, None, None))


def opening(url: str, folder: Path, **toggles: bool) -> AbstractAsyncContextManager[OpenStore]:
    """The store as the service opens it."""
    logbook.configure("console", "error")
    return open_store(settings_for(url, backups_dir=folder, **toggles), Silence(), Background(lambda _: None))


@contextmanager
def opened(kind: str, url: str, folder: Path) -> Iterator[Subject]:
    """A store of this kind, with nothing in it but the founder."""
    with asyncio.Runner() as runner:
        if kind == "memory":
            yield Subject(kind, runner, MemoryAlone(), lambda: None)
            return
        runner.run(empty(url))
        with entered(runner, opening(url, folder, enable_memory_fallback=kind != "postgres")) as service:
            if kind == "fallback":
                with away(runner, service, url) as leave:
                    yield Subject(kind, runner, service.store, leave)
            else:
                yield Subject(kind, runner, service.store, lambda: None)


@contextmanager
def away(runner: asyncio.Runner, service: OpenStore, url: str) -> Iterator[Callable[[], None]]:
    """Gives what makes the store's database vanish; it is back after the block."""
    name = url.partition("?")[0].rpartition("/")[2]
    operator = runner.run(asyncpg.connect(at(url, "postgres")))
    gone: list[str] = []

    def leave() -> None:
        gone.append(name)
        runner.run(close(operator, name))
        assert not runner.run(service.availability.verdict())

    try:
        yield leave
    finally:
        for _ in gone:
            runner.run(operator.execute(RENAME.format(f"{name}_away", name)))
            runner.run(operator.execute(ALLOW.format(name, "true")))
        runner.run(operator.close())


async def close(operator: Any, name: str) -> None:
    """Makes a database unreachable by its name."""
    await operator.execute(ALLOW.format(name, "false"))
    while await operator.fetch(TERMINATE, name):
        pass  # a backend ends when it comes to look at what it was told
    await operator.execute(RENAME.format(name, f"{name}_away"))


def new_database(server: str, template: str) -> str:
    """URL of a new copy of a database."""
    name = f"retrobus_store_{os.urandom(5).hex()}"
    return copy_database(server, name, template)
