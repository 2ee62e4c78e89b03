"""Known bugs, each planted into the service's own classes: what `make proof` must be able to catch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checking.track import Fault

from retrobus import toggles
from retrobus.api import answers, auth, calls, changes, conditions, event_stream
from retrobus.backups.rules import Rules
from retrobus.fallback import opening, parts, replay
from retrobus.fallback.feed import Feed
from retrobus.fallback.journal import Journal
from retrobus.fallback.memory import Effect, Held
from retrobus.fallback.mirror import Mirror
from retrobus.fallback.mirrored import MirroredStore
from retrobus.store import opening as connections
from retrobus.store import single_statement, statements
from retrobus.store.commit import Commits
from retrobus.store.contract import POSTGRES
from retrobus.store.errors import Busy, Unavailable


@dataclass(frozen=True)
class Bug:
    """One known bug."""

    title: str
    fault: str
    """The fault under which it shows."""

    mode: str
    caught_by: Sequence[Fault]
    """The verdicts that fit; at least one must be given."""

    plant: Callable[[], None] = lambda: None
    """Plants it in this process."""

    sql: Sequence[str] = ()
    """Plants it in the database, where the service's triggers are."""


def answers_before_the_commit_is_on_disk() -> None:
    """PostgreSQL answers a COMMIT before its WAL is written."""
    connections.SESSION["synchronous_commit"] = "off"


def journal_not_written() -> None:
    """The journal counts bytes that it never writes."""

    def write(self: Journal, path: Path, entries: Sequence[Any]) -> None:  # noqa: ARG001 - the bug
        self.size += len(entries)

    Journal._write = write  # type: ignore[method-assign]  # noqa: SLF001 - the bug


def deletes_not_journaled() -> None:
    """Memory forgets a row that was deleted, and the journal never hears of it."""
    append = MirroredStore._append  # noqa: SLF001 - the bug

    async def forgetful(self: MirroredStore, entry: Any) -> None:
        if entry.operation != "delete":
            await append(self, entry)

    MirroredStore._append = forgetful  # type: ignore[method-assign]  # noqa: SLF001 - the bug


def replay_ignores_the_base() -> None:
    """The replay writes over what others changed meanwhile."""
    parts._is_base = lambda resource, entry, present: True  # noqa: ARG005, SLF001 - the bug


def replay_done_twice() -> None:
    """The journal stays when it was replayed, and the note of it in the database is not believed."""
    replay.PROGRESS += " AND false"
    Journal._retire = lambda self, path: None  # type: ignore[method-assign]  # noqa: ARG005, SLF001 - the bug


def idempotency_key_ignored() -> None:
    """A repeated write is a new write."""
    calls.once = conditions.once = lambda request: None  # type: ignore[attr-defined]  # noqa: ARG005 - the bug


def if_match_ignored() -> None:
    """A write with an old ETag is done."""
    calls.precondition = conditions.precondition = lambda request: None  # type: ignore[attr-defined]  # noqa: ARG005


def refresh_brings_removed_rows_back() -> None:
    """Each look at what changed puts rows back into the mirror that the service deleted."""
    graveyard: dict[Any, Any] = {}
    wrote, poll = Mirror.wrote, Feed.poll

    def remember(self: Mirror, resource: Any, key: str, row: Any, version: int) -> None:
        held = self.store.memory.of(resource).get(key)
        if row is None and held is not None:
            graveyard[resource, key] = held
        wrote(self, resource, key, row, version)

    async def refresh(self: Feed, connection: Any) -> None:
        await poll(self, connection)
        for (resource, key), held in graveyard.items():
            if self._mirror.store.memory.of(resource).get(key) is None:
                self._mirror._apply(Effect(resource, key, Held(held.row)))  # noqa: SLF001 - the bug

    Mirror.wrote, Feed.poll = remember, refresh  # type: ignore[method-assign]


def memory_says_nothing() -> None:
    """Answers from memory carry the headers of answers from PostgreSQL."""
    said = answers.origin_headers
    for module in (answers, auth, changes, event_stream):
        module.origin_headers = lambda origin: said(POSTGRES)  # type: ignore[attr-defined]  # noqa: ARG005 - the bug


def cut_writes_believed() -> None:
    """A write whose line was cut is taken for applied, without a look for its nonce."""

    async def recognised(self: Commits, connection: Any, sent: Any) -> bool:  # noqa: ARG001 - the bug
        return True

    Commits._recognised = recognised  # type: ignore[method-assign, assignment]  # noqa: SLF001 - the bug


def never_unknown() -> None:
    """A write of which nothing is known is called not applied."""

    def refusal(self: Commits, outcome: str) -> Any:  # noqa: ARG001 - the bug
        return Busy("not_applied") if self._availability.up else Unavailable("not_applied", sent=True)

    Commits.refusal = refusal  # type: ignore[method-assign]


def etag_by_the_clock() -> None:
    """The ETag tells the second of the last change, where it should tell the version."""
    second = "|| extract(epoch FROM updated_at)::bigint ||"
    told = statements.ETAG.replace("|| version ||", second)  # type: ignore[attr-defined]
    if second not in told:
        raise SystemExit("the ETag has changed: this plant breaks nothing any more")
    statements.ETAG = single_statement.ETAG = told  # type: ignore[attr-defined]


def restore_ignores_tombstones() -> None:
    """A restore takes every row back that was deleted since the backup."""
    Rules.take_back = lambda self, *place: True  # type: ignore[method-assign]  # noqa: ARG005 - the bug


def folder_not_locked() -> None:
    """The folder of the files is not held."""

    @contextmanager
    def shared(folder: Path) -> Iterator[None]:  # noqa: ARG001 - the bug
        yield

    toggles.sole_use = opening.sole_use = shared


NO_TOMBSTONES = (
    "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER forget BEFORE INSERT ON deletion FOR EACH ROW EXECUTE FUNCTION forget()",
)

GHOST: tuple[Fault, ...] = ("resurrected",)
GONE: tuple[Fault, ...] = ("lost", "resurrected")
WRONG: tuple[Fault, ...] = ("lost", "lie", "stale")
UNTRUE: tuple[Fault, ...] = ("lie", "resurrected")
BUGS = {
    "early": Bug("answers before COMMIT is on the disk", "kill", "strict", GONE, answers_before_the_commit_is_on_disk),
    "tombstone": Bug("a delete leaves no tombstone", "restore", "strict", GHOST, sql=NO_TOMBSTONES),
    "journal": Bug("the journal is not on disk as it says", "outage-kill", "fallback", UNTRUE, journal_not_written),
    "deletes": Bug("deletes of an outage are not journaled", "refused", "fallback", UNTRUE, deletes_not_journaled),
    "base": Bug("the replay ignores the base version", "psql", "fallback", WRONG, replay_ignores_the_base),
    "twice": Bug("a journal is replayed twice", "outage-kill", "fallback", (*WRONG, "resurrected"), replay_done_twice),
    "key": Bug("the Idempotency-Key is ignored", "cut-after", "strict", ("duplicate",), idempotency_key_ignored),
    "match": Bug("If-Match is ignored", "ddl", "strict", ("lost",), if_match_ignored),
    "mirror": Bug("a refresh brings removed rows back", "refused", "fallback", GHOST, refresh_brings_removed_rows_back),
    "header": Bug("answers from memory do not say so", "refused", "fallback", ("stale", "lie"), memory_says_nothing),
    "believed": Bug("a cut write is believed without its nonce", "cut-before", "strict", GONE, cut_writes_believed),
    "unknown": Bug("a 503 always says not_applied", "cut-away", "strict", ("flip",), never_unknown),
    "etag": Bug("the ETag is a time", "ddl", "strict", ("flip", "lost"), etag_by_the_clock),
    "restore": Bug("a restore ignores the tombstones", "restore", "strict", GHOST, restore_ignores_tombstones),
    "lock": Bug("two services share one folder", "two-services", "fallback", ("unexpected",), folder_not_locked),
}
