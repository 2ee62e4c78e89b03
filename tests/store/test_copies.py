"""Copies of a whole list: every row of one instant, on each store; and the file in which rows wait for a reader."""

import asyncio
import resource
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness import run_sql, until
from retrobus.model.resources import EVENT, VEHICLE
from retrobus.sheets.csvtext import CsvText
from retrobus.sheets.dialects import RFC_4180
from retrobus.store import readings, spool
from retrobus.store.contract import Filter, Query
from retrobus.store.errors import Busy, NoRoom
from retrobus.store.spool import Spool
from stores import FOUNDER, Subject, Taken, a_vehicle, an_event, day, opened

MANY = "INSERT INTO vehicle (parc, description) SELECT n, repeat('é', 200) FROM generate_series(1, {}) AS n"
UNDER_WAY = """SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'"""
CUT = f"SELECT pg_terminate_backend(pid) FROM ({UNDER_WAY}) AS copying"


@pytest.fixture
def postgres(store_database: str, tmp_path: Path) -> Iterator[Subject]:
    """PostgreSQL alone."""
    with opened("postgres", store_database, tmp_path) as found:
        yield found


class Meddling(Taken):
    """A sink that runs SQL beside the copy when the first rows come, so many times."""

    def __init__(self, url: str, sql: str, times: int = 1) -> None:
        super().__init__()
        self._url, self._sql, self._left = url, sql, times
        self.begun = 0

    async def begin(self) -> None:
        self.begun += 1
        await super().begin()

    async def add(self, documents: Sequence[bytes]) -> None:
        await super().add(documents)
        if self._left:
            self._left -= 1
            await asyncio.to_thread(run_sql, self._url, self._sql)


def test_a_copy_is_the_list_without_an_end(subject: Subject) -> None:
    subject.given(VEHICLE, *(a_vehicle(str(number)) for number in range(readings.FETCHED + 20)))

    documents, origin = subject.copy(VEHICLE)

    page = subject.find(VEHICLE)
    assert documents == page.documents
    assert origin == page.origin
    assert len(documents) == readings.FETCHED + 20


def test_a_copy_holds_the_rows_that_pass_every_filter(subject: Subject) -> None:
    subject.given(EVENT, *(an_event(key, date=day(number)) for number, key in enumerate("abc", 1)))
    filters = Filter("date", ">=", day(2)), Filter("status", "=", "DRAFT")

    documents, _ = subject.copy(EVENT, *filters)

    assert documents == subject.find(EVENT, *filters).documents
    assert len(documents) == 2


def test_a_copy_of_nothing_has_no_rows(subject: Subject) -> None:
    assert subject.copy(EVENT)[0] == []


@pytest.mark.parametrize(
    "sql", ["DELETE FROM vehicle", MANY.replace("1, {}", "5000, 6000"), "UPDATE vehicle SET etat = 'changé'"]
)
def test_a_copy_is_one_instant_whatever_is_written_meanwhile(postgres: Subject, store_database: str, sql: str) -> None:
    run_sql(store_database, MANY.format(1000))
    before = postgres.find(VEHICLE).documents
    taken = Meddling(store_database, sql)

    postgres.run(postgres.store.copy(VEHICLE, Query("list"), taken, caller=FOUNDER))

    assert taken.documents == before
    assert postgres.copy(VEHICLE)[0] != before


def test_a_copy_whose_connection_breaks_begins_again_and_has_no_row_twice(
    postgres: Subject, store_database: str
) -> None:
    run_sql(store_database, MANY.format(1000))
    taken = Meddling(store_database, CUT)

    postgres.run(postgres.store.copy(VEHICLE, Query("list"), taken, caller=FOUNDER))

    assert taken.begun == 2
    assert taken.documents == postgres.find(VEHICLE).documents


def test_a_copy_whose_connection_breaks_each_time_is_refused(postgres: Subject, store_database: str) -> None:
    run_sql(store_database, MANY.format(1000))
    taken = Meddling(store_database, CUT, times=99)

    with pytest.raises(Busy):
        postgres.run(postgres.store.copy(VEHICLE, Query("list"), taken, caller=FOUNDER))

    assert taken.begun < 99


def test_a_copy_that_takes_too_long_is_refused_and_holds_no_connection(
    postgres: Subject, store_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sql(store_database, MANY.format(1000))
    monkeypatch.setattr(readings, "LONGEST", 0.2)
    taken = Meddling(store_database, "SELECT pg_sleep(0.5)")

    with pytest.raises(Busy):
        postgres.run(postgres.store.copy(VEHICLE, Query("list"), taken, caller=FOUNDER))

    until(lambda: not run_sql(store_database, UNDER_WAY), "the end of the transaction of the copy")


@pytest.mark.parametrize("size", [1, 1000, 30_000])
def test_a_spool_gives_back_what_it_took_in_order(size: int) -> None:
    rows = [f'{{"n":{number},"x":"é"}}'.encode() + b" " * 100 for number in range(size)]

    async def passed() -> list[bytes]:
        kept = Spool()
        await kept.begin()
        await kept.add([b"forgotten"] * 5000)
        await kept.begin()
        for start in range(0, size, 77):
            await kept.add(rows[start : start + 77])
        await kept.end()
        found = [row for batch in kept.rows() for row in batch]
        kept.close()
        return found

    assert asyncio.run(passed()) == rows


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system refuses every byte of a file beyond the first thousand."""
    monkeypatch.setattr(spool, "IN_MEMORY", 1)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("size", [2000, 200_000])
def test_a_disk_that_is_full_refuses_the_rows(size: int) -> None:
    async def filled() -> None:
        kept = Spool()
        await kept.begin()
        try:
            await kept.add([b"x" * size])
            await kept.end()
        finally:
            kept.close()

    with pytest.raises(NoRoom):
        asyncio.run(filled())


@pytest.mark.usefixtures("no_room")
def test_a_copy_that_begins_again_on_a_full_disk_is_refused_for_want_of_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of the copy that was cut off are still on their way to the disk."""
    monkeypatch.setattr(spool, "WRITTEN", 1)

    async def again() -> None:
        kept = Spool()
        await kept.begin()
        try:
            for size in (100, 2000):
                await kept.add([b"x" * size])
            with pytest.raises(NoRoom):
                await kept.begin()
        finally:
            kept.close()

    asyncio.run(again())


def test_a_copy_of_many_rows_needs_no_more_memory_than_a_few(postgres: Subject, store_database: str) -> None:
    run_sql(store_database, MANY.format(12_000))
    kept, text = Spool(), CsvText(VEHICLE, RFC_4180)
    postgres.copy(EVENT)  # what the first copy leaves for all others
    tracemalloc.start()

    postgres.run(postgres.store.copy(VEHICLE, Query("list"), kept, caller=FOUNDER))
    postgres.run(kept.end())
    written = sum(len(text.rows(batch)) for batch in kept.rows())

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept.close()
    assert written > 5 << 20
    assert peak < 3 << 20
