"""A journal is settled only when the standby has it: until then it stays on disk, and the service says why it waits."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builders import an_event
from faults.outage import Outage, a_person, outage
from faults.proxy import proxy
from faults.replicated import DATABASE, Pair, replicated
from harness import LONGEST, SECRET, copy_database, run_sql, until
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import NAME, Journal, read_journal
from retrobus.model.wire import moment
from retrobus.store import confirmed
from retrobus.store.confirmed import NO_STANDBY

pytestmark = pytest.mark.faults

Terminal = Callable[..., tuple[int, str, str]]
WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
TITLES = "SELECT id, title FROM event ORDER BY id"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A COMMIT that waits is asked about at once, and a command asks until the test runs out of patience.

    Only a test whose standby confirms nothing lets a command give up (`give_up`).
    """
    monkeypatch.setattr(confirmed, "PATIENCE", 0.25)
    monkeypatch.setattr(confirmed, "ATTEMPTS", int(LONGEST / 0.25))


@pytest.fixture
def give_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A command waits for the standby six times, as it does in the program; until `undo` is called."""
    with monkeypatch.context() as patch:
        patch.setattr(confirmed, "ATTEMPTS", 6)
        yield patch


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A leader whose COMMIT waits for its standby, with an event that both have."""
    with replicated(tmp_path / "servers") as found:
        run_sql(found.url(), "INSERT INTO event (id, title, date) VALUES ('old', 'Sortie', now())")
        yield found


@pytest.fixture
def away(pair: Pair, tmp_path: Path) -> Iterator[Outage]:
    """The service with a journal on disk, which took a delete and a create while it could not reach the leader."""
    assert pair.leader.port is not None
    who = a_person(pair.url())
    with (
        proxy(pair.leader.port) as line,
        outage(
            line, pair.url(), tmp_path / "backups", who, enable_runtime_state_save=True, log_level="warning"
        ) as found,
    ):
        found.cut()
        assert found.done("DELETE", "events/old").status_code == 202
        assert found.done("POST", "events", an_event(id="new")).status_code == 202
        yield found


def on_disk(away: Outage) -> list[str]:
    """The keys of the entries of the journal's file."""
    return [entry.key for entry in read_journal(away.folder, max_age=1000).entries]


def wait_until_told(away: Outage) -> None:
    until(lambda: away.ready()["journal"]["waiting"] == NO_STANDBY, "the reason of the wait")


def end_the_wait(pair: Pair, ending: str) -> None:
    """Ends the wait of the COMMIT that waits now, or of the next one."""
    until(lambda: run_sql(pair.url(), f"SELECT {ending}(pid) {WAITING}"), "a COMMIT that waits for the standby")


def told(said: str) -> int:
    """How often the log says that the journal waits."""
    return said.count("Journal en attente")


def test_a_replay_that_no_standby_confirms_keeps_the_journal_and_says_so(
    pair: Pair, away: Outage, capfd: pytest.CaptureFixture[str]
) -> None:
    pair.standby.freeze()
    away.line.become("pass")

    wait_until_told(away)

    assert on_disk(away) == ["old", "new"]
    assert away.done("PATCH", "events/new", {"title": "Autre"}).status_code == 202
    assert (away.ready()["ready"], away.ready()["database"]) == (True, "up")
    pair.standby.thaw()
    until(away.is_over, "the return to Postgres")
    assert away.ready()["journal"] == {"entries": 0, "oldest": None, "waiting": None}
    assert told(capfd.readouterr().err) == 1
    pair.leader.kill()
    assert [tuple(row) for row in run_sql(pair.promote(), TITLES)] == [("new", "Autre")]


@pytest.mark.parametrize("ending", ["pg_cancel_backend", "pg_terminate_backend"])
def test_a_replay_whose_wait_was_ended_is_not_taken_for_done(pair: Pair, away: Outage, ending: str) -> None:
    pair.standby.freeze()
    away.line.become("pass")
    wait_until_told(away)

    end_the_wait(pair, ending)

    until(lambda: run_sql(pair.url(), "SELECT FROM replay"), "the replay to show on this server alone")
    until(lambda: run_sql(pair.url(), f"SELECT {WAITING}"), "the next try to wait for the standby")
    assert on_disk(away) == ["old", "new"]
    pair.standby.thaw()
    until(away.is_over, "the return to Postgres")
    pair.leader.kill()
    assert [tuple(row) for row in run_sql(pair.promote(), TITLES)] == [("new", "Sortie au dépôt")]


def test_acknowledged_writes_outlive_a_leader_that_took_them_alone(pair: Pair, away: Outage) -> None:
    pair.standby.freeze()
    away.line.become("pass")
    wait_until_told(away)
    end_the_wait(pair, "pg_terminate_backend")
    until(lambda: run_sql(pair.url(), "SELECT FROM replay"), "the replay to show on this server alone")

    pair.leader.kill()
    pair.standby.thaw()
    pair.promote()
    assert pair.standby.port is not None
    away.line.lead_to(pair.standby.port)

    until(away.is_over, "the return to Postgres")
    assert [tuple(row) for row in run_sql(pair.standby.url(DATABASE), TITLES)] == [("new", "Sortie au dépôt")]


ENTRY = Entry(1, moment(datetime.now(UTC)), "Event", "old", "delete", None, None, "m1")


@pytest.fixture
def left(pair: Pair, tmp_path: Path) -> Path:
    """The folder with the journal that a killed service left."""
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    [[identity]] = run_sql(pair.url(), "SELECT id::text FROM database_identity")
    journal = Journal(folder / NAME, identity)
    journal.append(replace(ENTRY, journal=journal.id))
    return folder


def test_resync_keeps_a_journal_that_no_standby_confirmed(
    pair: Pair, left: Path, terminal: Terminal, give_up: pytest.MonkeyPatch
) -> None:
    pair.standby.freeze()

    code, _, said = terminal("resync", url=pair.url(), BACKUPS_DIR=left, JWT_SECRET=SECRET)

    assert (code, said.strip()) == (1, f"❌ {NO_STANDBY}")
    assert (left / NAME).exists()
    pair.standby.thaw()
    give_up.undo()
    code, said, _ = terminal("resync", url=pair.url(), BACKUPS_DIR=left, JWT_SECRET=SECRET)
    assert code == 0, said
    assert not (left / NAME).exists()
    pair.leader.kill()
    assert run_sql(pair.promote(), TITLES) == []


CONFLICT = """INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason)
VALUES (gen_random_uuid(), 1, 'Event', 'old', 'delete',
 '{"sequence": 1, "at": "2026-01-31T14:00:00.000Z", "resource": "Event", "key": "old", "operation": "delete",
   "row": null, "base": null, "member": "m1"}', 'x')"""
BACKUP = "<backup>"
COMMANDS = {
    "decide a conflict": ("resync", "--apply-all", "--yes"),
    "leave a conflict": ("resync", "--discard-all", "--yes"),
    "empty a table": ("db", "clean", "--table", "event", "--yes"),
    "empty all": ("db", "reset", "--yes"),
    "make an administrator": ("member", "create-admin", "--email", "chef@example.org", "--password-stdin"),
    "erase a member": ("member", "erase", "m1", "--yes"),
    "repair": ("db", "repair", "--restored", "--yes"),
    "restore": ("restore", BACKUP, "--apply", "--yes"),
}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair for tests that kill none of the two."""
    with replicated(tmp_path_factory.mktemp("lasting")) as found:
        yield found


@pytest.fixture
def url(lasting: Pair) -> Iterator[str]:
    """A database of this test's own on the leader, and at the end a standby that follows."""
    name = f"told_{os.urandom(5).hex()}"
    copy_database(lasting.leader.url(), name, DATABASE)
    yield lasting.leader.url(name)
    lasting.standby.thaw()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_operator_is_told_that_no_standby_confirmed_the_command(
    lasting: Pair,
    url: str,
    terminal: Terminal,
    tmp_path: Path,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_sql(url, CONFLICT, "INSERT INTO member (id, email) VALUES ('m1', 'm1@example.org')")
    environment = {"BACKUPS_DIR": tmp_path / "backups", "JWT_SECRET": SECRET}
    terminal("backup", "create", url=url, **environment)
    [backup] = [path.name for path in (tmp_path / "backups").iterdir() if path.is_dir()]
    lasting.standby.freeze()
    monkeypatch.setattr(confirmed, "ATTEMPTS", 6)

    code, _, said = terminal(
        *(backup if word == BACKUP else word for word in command),
        url=url,
        given="un mot de passe assez long\n",
        **environment,
    )

    assert (code, said.strip().splitlines()[-1]) == (1, f"❌ {NO_STANDBY}")
