"""Facts about large tables: every statement of a request finds its rows by an index, whatever the tables grow to."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from harness import copy_database, run_sql
from retrobus.api.public import PUBLISHED
from retrobus.changes import statements as changes
from retrobus.changes.snapshots import TOMBSTONES
from retrobus.database import sql
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.store import statements
from retrobus.store.contract import Caller, Delete, Filter, Insert, Once, Terms, Update, Write
from retrobus.store.idempotency import PRUNE
from retrobus.store.single_statement import opened_by, single
from retrobus.store.statements import Statement, shape_of

FILL = """INSERT INTO member (id, email, first_name, last_name)
  SELECT 'm' || n, 'm' || n || '@example.org', 'P' || n, 'N' || n FROM generate_series(1, 5000) AS n;
INSERT INTO vehicle (parc, is_public) SELECT 'B' || n, n % 2 = 0 FROM generate_series(1, 5000) AS n;
INSERT INTO event (id, title, date, vehicle_id, status)
  SELECT 'e' || n, 'Sortie', '2020-01-01'::timestamptz + n * interval '1 hour',
    'B' || CASE WHEN n <= 300 THEN 1 ELSE n % 5000 + 1 END,
    CASE WHEN n <= 50 THEN 'ARCHIVED' WHEN n % 40 = 0 THEN 'DRAFT' ELSE 'PUBLISHED' END
    FROM generate_series(1, 20000) AS n;
INSERT INTO deletion (version, resource, key, cause, batch)
  SELECT 1000000 + n, 'Event', 'gone' || n, 'api', 1 FROM generate_series(1, 50000) AS n;
INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
  SELECT 'm1', 'POST', '/api/events', 'k' || n, 'x', '{}', '', 'e' FROM generate_series(1, 20000) AS n;
ANALYZE"""
BIG = {"event", "vehicle", "member", "deletion", "idempotency"}
CALLER = Caller("m1", 0, "ADMIN")
PAGE = 101
NAMED = {"caller_id": "m1", "caller_epoch": 0, "page": PAGE}


@pytest.fixture(scope="module")
def large(server: str, template: str) -> Iterator[str]:
    """A database with many rows, tombstones and kept answers."""
    name = f"retrobus_large_{os.getpid()}"
    url = copy_database(server, name, template)
    run_sql(url, *FILL.split(";"))
    yield url
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def plan(url: str, text: str, *values: Any, run: bool = False) -> list[dict[str, Any]]:
    """The steps of the plan that PostgreSQL makes for a statement with these values; `run` adds what each has read."""

    async def explain() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE {run}, FORMAT JSON) {text}", *values))
        finally:
            await connection.close()

    def steps(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for child in node.get("Plans", ()):
            yield from steps(child)

    return list(steps(asyncio.run(explain())[0]["Plan"]))


def read_whole(found: list[dict[str, Any]]) -> list[str]:
    """The large tables that a plan reads from one end to the other."""
    return [step["Relation Name"] for step in found if step["Node Type"] == "Seq Scan" and step["Relation Name"] in BIG]


def rows_read(found: list[dict[str, Any]]) -> float:
    """How many rows of the large tables a plan has read, those included that it did not want."""
    read, dropped = "Actual Rows", ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    scans = [step for step in found if step.get("Relation Name") in BIG]
    counts = [(step[read] + sum(step.get(name, 0) for name in dropped)) * step["Actual Loops"] for step in scans]
    return float(sum(counts))


def page(
    resource: Resource, *filters: Filter, after: tuple[Any, ...] | None = None
) -> tuple[Statement, dict[str, Any]]:
    statement = statements.find(resource, "list", shape_of(filters), after=after is not None, access=True)
    named = NAMED | {f"filter_{index}": item.value for index, item in enumerate(filters)}
    if after is not None:
        named |= {f"after_{step.column}": value for step, value in zip(resource.order, after, strict=True)}
    return statement, named


DAY, EARLY = datetime(2021, 6, 1, tzinfo=UTC), datetime(2020, 1, 8, tzinfo=UTC)
PAGES = {
    "first page of events": page(EVENT),
    "a page far behind": page(EVENT, after=(DAY, "e9")),
    "the last page of events": page(EVENT, after=(datetime(2020, 1, 1, 9, tzinfo=UTC), "e9")),
    "published events": page(EVENT, Filter("status", "=", "PUBLISHED")),
    "a page of published events far behind": page(EVENT, Filter("status", "=", "PUBLISHED"), after=(DAY, "e9")),
    "events of a rare status": page(EVENT, Filter("status", "=", "ARCHIVED")),
    "public events": page(EVENT, *PUBLISHED),
    "events of a vehicle": page(EVENT, Filter("vehicle_id", "=", "B78")),
    "events of a vehicle that has many old ones": page(EVENT, Filter("vehicle_id", "=", "B1")),
    "a page of a vehicle's events far behind": page(
        EVENT, Filter("vehicle_id", "=", "B1"), after=(datetime(2020, 3, 1, tzinfo=UTC), "e9")
    ),
    "public events of a vehicle that has many old ones": page(EVENT, *PUBLISHED, Filter("vehicle_id", "=", "B1")),
    "events of a month": page(EVENT, Filter("date", ">=", DAY), Filter("date", "<", datetime(2021, 7, 1, tzinfo=UTC))),
    "vehicles": page(VEHICLE),
    "a page of vehicles far behind": page(VEHICLE, after=("b0377", "B77")),
    "public vehicles": page(VEHICLE, Filter("is_public", "=", value=True)),
    "members": page(MEMBER),
    "a member by e-mail": page(MEMBER, Filter("email", "=", "M77@example.org", fold=True)),
}


@pytest.mark.parametrize(("statement", "named"), PAGES.values(), ids=PAGES)
def test_a_page_reads_its_own_rows_only(large: str, statement: Statement, named: dict[str, Any]) -> None:
    found = plan(large, statement.sql, *statement.values(named), run=True)

    assert read_whole(found) == []
    assert rows_read(found) <= 3 * PAGE


ONCE = Once("k77", "POST", "/api/events", b"x")
WRITES: dict[str, Write] = {
    "create": Insert(EVENT, {"id": "new", "title": "Sortie", "date": DAY}, Terms(CALLER)),
    "create with a key": Insert(EVENT, {"id": "new", "title": "Sortie", "date": DAY}, Terms(CALLER, once=ONCE)),
    "change": Update(EVENT, "e77", {"title": "Autre"}, Terms(CALLER)),
    "delete": Delete(VEHICLE, "B77", Terms(CALLER)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_finds_its_row_by_the_key(large: str, write: Write) -> None:
    statement, named = single(write, whole=True)

    found = plan(large, statement.sql, *statement.values(named | opened_by(write.terms, 1)))

    assert read_whole(found) == []


ROWS = {
    "one event": (statements.get(EVENT, "one", (), access=True), NAMED | {"row_key": "e77"}),
    "a locked member": (statements.lock(MEMBER), {"row_key": "m77"}),
    "an account by e-mail or matricule": (statements.account(by_id=False), {"identifier": "m77@example.org"}),
    "what became of a write": (statements.trace(EVENT), {"row_key": "e77", "nonce": 1}),
}


@pytest.mark.parametrize(("statement", "named"), ROWS.values(), ids=ROWS)
def test_one_row_is_found_by_an_index(large: str, statement: Statement, named: dict[str, Any]) -> None:
    assert read_whole(plan(large, statement.sql, *statement.values(named))) == []


@pytest.mark.parametrize("resource", [EVENT, VEHICLE, MEMBER], ids=repr)
def test_changes_since_a_version_are_found_by_the_version(large: str, resource: Resource) -> None:
    [[latest]] = run_sql(large, f"SELECT max(version) - 10 FROM {resource.table.name}")

    assert read_whole(plan(large, sql.select(resource, "version > $1"), latest)) == []
    assert read_whole(plan(large, TOMBSTONES, 1_049_990)) == []


@pytest.mark.parametrize("first", [True, False], ids=["everything", "what changed"])
@pytest.mark.parametrize("public", [True, False], ids=["public", "members"])
def test_a_page_of_changes_reads_its_own_rows_only(large: str, *, public: bool, first: bool) -> None:
    names = ("Vehicle", "Event") if public else ("Vehicle", "Event", "Member")
    text = changes.page(names, public=public, own=False, first=first)

    for start in (0, 20_000):
        found = plan(large, text, start, PAGE, run=True)
        assert read_whole(found) == []
        assert rows_read(found) < PAGE * 12


def test_old_answers_are_found_by_their_age(large: str) -> None:
    assert read_whole(plan(large, PRUNE)) == []
