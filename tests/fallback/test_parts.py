"""Facts about a long journal: many entries share a savepoint, and each has the verdict that it would have alone."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from harness import LONGEST, run_sql
from retrobus.database.session import connect_for_command
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.fallback.parts import Report
from retrobus.fallback.replay import Replay
from retrobus.model.resources import BY_NAME
from retrobus.model.rows import completed, content_hash, encode
from retrobus.model.wire import moment

KEYS = {"Vehicle": "parc", "Event": "id", "Member": "id"}
DAY = datetime(2026, 5, 1, tzinfo=UTC)


class Writer:
    """Clients of an outage: what they write goes to the journal as memory would put it there."""

    def __init__(self, database: str) -> None:
        self.journal = Journal(None, run_sql(database, "SELECT id::text FROM database_identity")[0][0], "postgres")
        self._rows: dict[tuple[str, str], tuple[dict[str, Any], int]] = {}

    def create(self, resource: str, key: str, **values: Any) -> None:
        row = completed(BY_NAME[resource], {KEYS[resource]: key, "version": 0, **values})
        self._add("insert", resource, key, row, None)

    def change(self, resource: str, key: str, **values: Any) -> None:
        row, sequence = self._rows[resource, key]
        self._add("update", resource, key, row | values, self._base(resource, row, sequence))

    def delete(self, resource: str, key: str) -> None:
        row, sequence = self._rows[resource, key]
        self._add("delete", resource, key, None, self._base(resource, row, sequence))

    def _base(self, resource: str, row: dict[str, Any], sequence: int) -> dict[str, Any]:
        return {"version": 0, "hash": content_hash(BY_NAME[resource], row), "sequence": sequence}

    def _add(self, operation: str, resource: str, key: str, row: Any, base: Any) -> None:
        number = self.journal.last + 1
        kept = None if row is None else encode(BY_NAME[resource], row)
        once = {"method": "POST", "path": "/api/essai", "key": f"demande {number}", "fingerprint": f"{number:08x}"}
        author = f"membre {number % 3}"
        entry = Entry(number, moment(DAY), resource, key, operation, kept, base, author, once, self.journal.id)
        self.journal.append(entry)
        if row is not None:
            self._rows[resource, key] = (row, number)


def replay(database: str, journal: Journal, most: int | None = None) -> tuple[int, Report]:
    """The last sequence that Postgres has now, and what was done."""

    async def main() -> tuple[int, Report]:
        connection = await connect_for_command(database, LONGEST, "essai")
        try:
            running = Replay(connection, journal, most=most)
            return await running.run(), running.report
        finally:
            await connection.close()

    return asyncio.run(main())


def conflicts(database: str) -> list[tuple[int, str, str | None]]:
    rows = run_sql(database, "SELECT sequence, reason, resolution FROM conflict ORDER BY sequence")
    return [tuple(row) for row in rows]


@pytest.fixture
def writer(database: str) -> Writer:
    return Writer(database)


def many(writer: Writer) -> None:
    """Three hundred writes; nine of them cannot come to Postgres."""
    for number in range(100):
        parc = f"V{number}"
        writer.create("Vehicle", parc, etat="neuf")
        if number in {10, 60}:
            writer.create("Event", f"e{number}", title="Sortie", date=DAY, vehicle_id="nulle part")
            writer.change("Event", f"e{number}", title="Autre titre")
        if number in {20, 63, 64}:
            writer.create("Member", f"m{number}", email="prise@example.org")
        writer.change("Vehicle", parc, etat="changé")
        if number % 2:
            writer.delete("Vehicle", parc)
        if number == 60:
            writer.delete("Event", "e60")


def test_entries_that_postgres_refuses_among_many_are_conflicts_and_no_other_is(database: str, writer: Writer) -> None:
    run_sql(database, "INSERT INTO member (id, email) VALUES ('autre', 'prise@example.org')")
    many(writer)
    refused = {
        entry.sequence: entry
        for entry in writer.journal.entries
        if entry.resource == "Member" or (entry.resource == "Event" and entry.operation != "delete")
    }

    last, report = replay(database, writer.journal)

    assert last == writer.journal.last
    assert [entry.sequence for entry, _ in report.conflicts] == sorted(refused)
    assert (report.applied, report.already) == (len(writer.journal.entries) - len(refused) - 1, 1)
    constraint, earlier = "refusé par la base ({})", "une modification antérieure de la même ligne est en conflit"
    reasons = {"Member": constraint.format("23505"), "Event": constraint.format("23503")}
    assert conflicts(database) == [
        (
            number,
            earlier if entry.operation == "update" else reasons[entry.resource],
            "discarded" if entry.key == "e60" else None,
        )
        for number, entry in sorted(refused.items())
    ]
    assert {tuple(row) for row in run_sql(database, "SELECT parc, etat FROM vehicle")} == {
        (f"V{number}", "changé") for number in range(0, 100, 2)
    }


def test_each_row_names_the_member_who_wrote_it_and_each_repeat_has_its_answer(database: str, writer: Writer) -> None:
    many(writer)

    replay(database, writer.journal)

    for entry in writer.journal.entries:
        [answers] = run_sql(
            database,
            f"SELECT count(*) FROM idempotency WHERE key = 'demande {entry.sequence}' AND member_id = '{entry.member}'",
        )
        in_conflict = entry.sequence in {number for number, _, _ in conflicts(database)}
        assert answers[0] == (not in_conflict), entry
    authors = dict(map(tuple, run_sql(database, "SELECT parc, updated_by FROM vehicle")))
    last = {entry.key: entry.member for entry in writer.journal.entries if entry.operation == "update"}
    assert authors == {parc: last[parc] for parc in authors}
    gone = dict(map(tuple, run_sql(database, "SELECT key, actor FROM deletion WHERE resource = 'Vehicle'")))
    assert gone == {
        entry.key: entry.member
        for entry in writer.journal.entries
        if entry.resource == "Vehicle" and entry.operation == "delete"
    }


def test_a_journal_that_comes_a_few_entries_at_a_time_comes_once(database: str, writer: Writer) -> None:
    many(writer)
    steps: list[int] = []
    while not steps or steps[-1] < writer.journal.last:
        last, _ = replay(database, writer.journal, most=40)
        steps.append(last)

    again, report = replay(database, writer.journal)

    assert steps == [*range(40, writer.journal.last, 40), writer.journal.last]
    assert (again, report.entries) == (writer.journal.last, 0)
    assert run_sql(database, "SELECT count(*) FROM deletion WHERE resource = 'Vehicle'")[0][0] == 50
    assert [row[0] for row in run_sql(database, "SELECT DISTINCT etat FROM vehicle")] == ["changé"]


def test_a_delete_that_empties_a_reference_makes_no_conflict_of_what_follows(database: str, writer: Writer) -> None:
    writer.create("Vehicle", "920", etat="neuf")
    writer.create("Event", "sortie", title="Sortie", date=DAY, vehicle_id="920")
    writer.delete("Vehicle", "920")
    row, sequence = writer._rows["Event", "sortie"]  # noqa: SLF001 - memory empties the reference without an entry
    writer._rows["Event", "sortie"] = (row | {"vehicle_id": None}, sequence)  # noqa: SLF001
    writer.change("Event", "sortie", title="Autre titre")

    replay(database, writer.journal)

    assert conflicts(database) == []
    assert [tuple(row) for row in run_sql(database, "SELECT title, vehicle_id FROM event")] == [("Autre titre", None)]


def test_a_repeat_in_the_same_journal_is_done_once(database: str, writer: Writer) -> None:
    """A service that was restarted in the outage takes a repeat for a new write; its key says that it is none."""
    writer.create("Vehicle", "920", etat="neuf")
    writer.change("Vehicle", "920", etat="changé")
    first = writer.journal.entries[-1]
    writer.change("Vehicle", "920", etat="changé encore")
    writer.journal.append(replace(first, sequence=writer.journal.last + 1))

    _, report = replay(database, writer.journal)

    assert (report.applied, report.already, report.conflicts) == (3, 1, [])
    assert [row[0] for row in run_sql(database, "SELECT etat FROM vehicle")] == ["changé encore"]


def test_a_write_is_done_although_its_key_was_answered_more_than_a_day_before(database: str, writer: Writer) -> None:
    """After a day an Idempotency-Key may be used again; the old answer may still lie there, and is replaced."""
    writer.create("Vehicle", "920", etat="neuf")
    [entry] = writer.journal.entries
    run_sql(
        database,
        f"""INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key, created_at)
        VALUES ('{entry.member}', 'POST', '/api/essai', 'demande 1', '\\x00000001', '{{"etat": "ancien"}}', '', '920',
        '{entry.at}'::timestamptz - interval '24 hours 1 second')""",
    )

    _, report = replay(database, writer.journal)

    kept = run_sql(database, "SELECT answer::jsonb ->> 'etat', created_at FROM idempotency")
    assert (report.applied, report.already) == (1, 0)
    assert [row[0] for row in run_sql(database, "SELECT etat FROM vehicle")] == ["neuf"]
    assert [tuple(row) for row in kept] == [("neuf", datetime.fromisoformat(entry.at))]
