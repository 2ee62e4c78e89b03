"""A row held in memory is written byte for byte as Postgres writes it, in every view."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from string import ascii_letters
from typing import Any, get_args
from urllib.parse import quote

import asyncpg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Integer, Numeric

from harness import run_sql
from retrobus.database.sql import GIVEN_STAMPS
from retrobus.fallback.memory import Held
from retrobus.model.columns import Moment
from retrobus.model.events import EVENT_STATUSES
from retrobus.model.jsontext import canonical
from retrobus.model.members import MEMBER_STATUSES, MEMBERSHIP_STATUSES, MEMBERSHIP_TYPES, PAYMENT_METHODS
from retrobus.model.resources import ALL, VEHICLE, Resource
from retrobus.model.rows import Row, content_hash, decode, encode
from retrobus.model.wire import View, render, view_sql

VIEWS: tuple[View, ...] = get_args(View)
AWKWARD = '"\\/\b\f\n\r\t\x01\x1f\x7f\x80\xa0éÉ\u0301\u2028\ufeff\ufffd🚌𝄞'
DECEITFUL = ("\\/vehicles/920", '"\\/vehicles/920', "/vehicles/920", '\\"\\/', "/", "\\", '"', '"/api/')
"""Links that look like the beginning of an address in `wire_images`, as a row holds it."""

IMAGE = "data:image/png;base64,iVBORw0KGgo="

texts = st.text(st.sampled_from(AWKWARD) | st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
words = st.text(ascii_letters + "éÉ\"\\' 🚌", min_size=1, max_size=8).map(lambda text: f"x{text}x")
moments = st.datetimes(datetime(1800, 1, 1), datetime(2200, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001 - UTC is put in
    lambda value: value.replace(tzinfo=UTC, microsecond=value.microsecond // 1000 * 1000)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(-1e300, 1e300) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
addresses = (
    st.sampled_from([IMAGE, "data:", "Data:x", "https://example.org/a.jpg", "x data:", '"data:', "", *DECEITFUL])
    | texts
)
galleries = st.lists(addresses | st.integers() | st.lists(addresses, max_size=2) | st.none(), max_size=3)

ONE_OF = {
    ("event", "status"): EVENT_STATUSES, ("member", "status"): MEMBER_STATUSES,
    ("member", "membership_type"): MEMBERSHIP_TYPES, ("member", "payment_method"): PAYMENT_METHODS,
    ("member", "membership_status"): MEMBERSHIP_STATUSES, ("event", "time"): ("00:00", "23:59"),
}  # fmt: skip
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "extras": st.dictionaries(texts, json_values, max_size=3).map(canonical),
    "gallery": galleries.map(canonical),
    "background_image": addresses,
    "caracteristiques": st.lists(json_values, max_size=3).map(canonical),
    "permissions": st.lists(texts, max_size=3).map(canonical),
    "version": st.just(0),
    "vehicle_id": st.none(),
    "role": words,
    "title": words,
    "email": texts,
    "fuel": st.floats(0, 100) | st.sampled_from([-0.0, 5e-324, 1e-5, 1e-4, 0.1 + 0.2, 99.99999999999999]),
    "mileage": st.floats(0, 1e8) | st.integers(0, 10**8).map(float),
}  # fmt: skip
UNIQUE: dict[str, Callable[[int], Any]] = {
    "id": lambda number: number, "parc": lambda number: f'é"%?🚌 {number}', "email": lambda number: f'É"\\{number}@x',
    "member_number": lambda number: f"🚌{number}", "matricule": "\\t{}é".format,
}  # fmt: skip


def values_of(resource: Resource, column: Column[Any]) -> st.SearchStrategy[Any]:
    """What the database takes in this column."""
    if column.name in SPECIAL:
        found = SPECIAL[column.name]
    elif (resource.table.name, column.name) in ONE_OF:
        found = st.sampled_from(ONE_OF[resource.table.name, column.name])
    else:
        kinds: tuple[tuple[Any, st.SearchStrategy[Any]], ...] = (
            (Moment, moments),
            (Boolean, st.booleans()),
            (Integer, st.integers(0, 1_000_000)),
            (Numeric, st.integers(0, 10**8).map(lambda cents: Decimal(cents) / 100)),
        )
        found = next((kind for type_, kind in kinds if isinstance(column.type, type_)), texts)
    return found | st.none() if column.nullable else found


def rows_of(resource: Resource) -> st.SearchStrategy[list[Row]]:
    """Many whole rows, with keys and unique values of their own."""
    drawn = {c.name: values_of(resource, c) for c in resource.columns if c.name not in UNIQUE}
    return st.lists(st.fixed_dictionaries(drawn), min_size=8, max_size=16).map(lambda rows: _numbered(resource, rows))


def _numbered(resource: Resource, rows: list[Row]) -> list[Row]:
    own = [name for name in UNIQUE if name in resource.table.c]
    found = [row | {name: UNIQUE[name](number) for name in own} for number, row in enumerate(rows, start=1)]
    return found if resource is VEHICLE else [row | {"id": f"k{row['id']}"} for row in found]


Stored = Callable[[Resource, list[Row]], list[Any]]


@pytest.fixture(scope="module")
def stored(store_database: str) -> Iterator[Stored]:
    """Inserts rows, and gives them back with each view's JSON as Postgres wrote it; keeps nothing."""
    run_sql(store_database, "DELETE FROM event", "DELETE FROM vehicle", "DELETE FROM member")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(store_database, server_settings={"timezone": "Asia/Kathmandu"}))

        async def ask(resource: Resource, rows: list[Row]) -> list[Any]:
            names = [column.name for column in resource.columns]
            places = ", ".join(f"${place}" for place, _ in enumerate(names, start=1))
            views = ", ".join(f"{view_sql(resource, view)} AS view_{view}" for view in VIEWS)
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(GIVEN_STAMPS)  # `updated_by` too is kept as it was sent
                insert = f"INSERT INTO {resource.table.name} ({', '.join(names)}) VALUES ({places})"
                await connection.executemany(insert, [[row[name] for name in names] for row in rows])
                found: list[Any] = await connection.fetch(
                    f"SELECT {', '.join(names)}, {views} FROM {resource.table.name} ORDER BY version"
                )
            finally:
                await transaction.rollback()
            return found

        yield lambda resource, rows: runner.run(ask(resource, rows))
        runner.run(connection.close())


def tried(rows: st.SearchStrategy[list[Row]], test: Callable[[list[Row]], None]) -> None:
    """Tries the test with random rows, the same at each run."""
    quick = settings(
        max_examples=20,
        phases=[Phase.generate],  # to shrink rows of thirty fields takes minutes
    )
    quick(given(rows)(test))()


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_memory_writes_every_view_as_postgres_does(stored: Stored, resource: Resource) -> None:
    def compare(rows: list[Row]) -> None:
        for found in stored(resource, rows):
            row = {column.name: found[column.name] for column in resource.columns}
            assert {view: render(resource, view, row) for view in VIEWS} == {
                view: found[f"view_{view}"] for view in VIEWS
            }

    tried(rows_of(resource), compare)


def test_postgres_writes_a_parc_into_an_address_as_python_does(store_database: str) -> None:
    every = "".join(chr(code) for code in range(1, 0x250))
    values = [*every, every, "🚌𝄞", ""]
    listed = ", ".join(
        f"({place}, convert_from('\\x{text.encode().hex()}', 'UTF8'))" for place, text in enumerate(values)
    )

    found = run_sql(store_database, f"SELECT retrobus_path_part(t) FROM (VALUES {listed}) AS v (n, t) ORDER BY n")

    assert [row[0] for row in found] == [quote(text, safe="") for text in values]


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_memory_writes_what_was_sent_as_postgres_writes_what_it_took(stored: Stored, resource: Resource) -> None:
    def compare(rows: list[Row]) -> None:
        for sent, found in zip(rows, stored(resource, rows), strict=True):
            assert render(resource, "one", sent | {"version": found["version"]}) == found["view_one"]

    tried(rows_of(resource), compare)


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_a_row_comes_back_from_its_file_form_as_it_was(resource: Resource) -> None:
    def compare(rows: list[Row]) -> None:
        for row in rows:
            again = decode(resource, json.loads(Held(row).filed(resource)))
            assert render(resource, "one", again) == render(resource, "one", row)
            assert encode(resource, again) == encode(resource, row)
            assert content_hash(resource, again) == content_hash(resource, row)

    tried(rows_of(resource), compare)
