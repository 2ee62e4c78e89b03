"""What the mirror takes of the states that it is told: the latest of each key, in whatever order they come."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from retrobus.fallback.memory import Effect, Held, Memory
from retrobus.fallback.mirror import Mirror
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row, completed
from retrobus.store.contract import Origin

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def event(version: int, **values: Any) -> Row:
    return completed(EVENT, {"id": "e1", "title": f"Titre {version}", "date": AT, "version": version, **values})


def member(key: str, version: int, email: str = "a@example.org") -> Row:
    return completed(MEMBER, {"id": key, "email": email, "version": version})


def vehicle(version: int) -> Row:
    return completed(VEHICLE, {"parc": "920", "version": version})


def row_of(mirror: Mirror, resource: Resource, key: str) -> Row | None:
    held = mirror.store.memory.of(resource).get(key)
    return None if held is None else held.row


def filled(*rows: tuple[Resource, Row]) -> Memory:
    memory = Memory()
    for resource, row in rows:
        memory.of(resource).put(row[resource.key], Held(row))
    return memory


def journaled(mirror: Mirror, resource: Resource, row: Row) -> None:
    mirror.journaled([Effect(resource, row[resource.key], Held(row, "7-j1"))])


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


def test_a_new_mirror_is_empty_and_says_so(mirror: Mirror) -> None:
    assert (mirror.origin, mirror.as_of, mirror.identity, mirror.version) == ("empty", None, None, 0)
    assert (mirror.filled, mirror.journaling, mirror.changed.is_set()) == (False, False, False)
    assert (mirror.store.origin, mirror.store.identity) == (Origin("memory", None, "empty"), "00000000")


def test_the_latest_state_stays_in_whatever_order_the_states_come() -> None:
    states = [(event(10), 10), (None, 12), (event(14), 14)]

    for order in permutations(states):
        mirror = Mirror()
        for row, version in order:
            mirror.wrote(EVENT, "e1", row, version)
        assert row_of(mirror, EVENT, "e1") == states[2][0]
        assert mirror.version == 14


def test_a_deleted_row_does_not_come_back_with_an_older_state(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e1", None, 12)
    mirror.wrote(EVENT, "e1", event(10), 10)
    mirror.wrote(EVENT, "e1", event(12), 12)
    gone = row_of(mirror, EVENT, "e1")
    mirror.wrote(EVENT, "e1", event(13), 13)

    assert gone is None
    assert row_of(mirror, EVENT, "e1")["version"] == 13  # type: ignore[index]


def test_the_first_version_of_a_database_is_taken(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e1", event(1), 1)

    assert row_of(mirror, EVENT, "e1") is not None


def test_the_same_version_is_taken_once(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e1", event(10), 10)
    mirror.changed.clear()
    mirror.wrote(EVENT, "e1", event(10, title="Autre"), 10)

    assert row_of(mirror, EVENT, "e1")["title"] == "Titre 10"  # type: ignore[index]
    assert not mirror.changed.is_set()


def test_each_state_that_is_taken_is_told_to_the_snapshot(mirror: Mirror) -> None:
    for row, version in ((event(10), 10), (None, 11)):
        mirror.changed.clear()
        mirror.wrote(EVENT, "e1", row, version)
        assert mirror.changed.is_set()


def test_of_two_rows_with_one_e_mail_the_higher_version_keeps_it() -> None:
    older, newer = ("m1", member("m1", 10)), ("m2", member("m2", 11, "A@example.org"))

    for order in permutations([older, newer]):
        mirror = Mirror()
        for key, row in order:
            mirror.wrote(MEMBER, key, row, row["version"])
        assert row_of(mirror, MEMBER, "m1") is None
        assert row_of(mirror, MEMBER, "m2") == newer[1]
        mirror.wrote(MEMBER, "m1", member("m1", 12, "b@example.org"), 12)
        assert row_of(mirror, MEMBER, "m1") is not None


def test_a_row_keeps_its_own_e_mail_when_it_changes(mirror: Mirror) -> None:
    mirror.wrote(MEMBER, "m1", member("m1", 10), 10)
    mirror.wrote(MEMBER, "m1", member("m1", 11), 11)

    assert row_of(mirror, MEMBER, "m1")["version"] == 11  # type: ignore[index]


def test_a_row_that_is_refused_raises_no_version(mirror: Mirror) -> None:
    mirror.wrote(MEMBER, "m2", member("m2", 11), 11)
    mirror.changed.clear()
    mirror.wrote(MEMBER, "m1", member("m1", 10), 10)

    assert (mirror.version, mirror.changed.is_set()) == (11, False)


def test_events_lose_a_vehicle_that_was_deleted_and_keep_their_version(mirror: Mirror) -> None:
    mirror.wrote(VEHICLE, "920", vehicle(5), 5)
    mirror.wrote(EVENT, "e1", event(10, vehicle_id="920"), 10)

    mirror.wrote(VEHICLE, "920", None, 11)

    found = mirror.store.memory.of(EVENT).get("e1")
    assert found is not None
    assert (found.row["vehicle_id"], found.row["version"], found.tag) == (None, 10, "10")
    mirror.wrote(EVENT, "e1", event(12), 12)
    assert row_of(mirror, EVENT, "e1")["version"] == 12  # type: ignore[index]


def test_a_key_that_the_journal_holds_waits_for_the_replay(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e1", event(7), 7)
    mirror.changed.clear()
    journaled(mirror, EVENT, event(7, title="Du journal"))
    told = mirror.changed.is_set()

    mirror.wrote(EVENT, "e1", event(20), 20)
    mirror.wrote(EVENT, "e1", None, 21)
    mirror.wrote(EVENT, "e2", event(22, id="e2"), 22)

    assert (told, mirror.journaling) == (True, True)
    assert row_of(mirror, EVENT, "e1")["title"] == "Du journal"  # type: ignore[index]
    assert row_of(mirror, EVENT, "e2") is not None


def test_a_row_does_not_take_the_e_mail_of_a_row_of_the_journal(mirror: Mirror) -> None:
    journaled(mirror, MEMBER, member("m1", 7))

    mirror.wrote(MEMBER, "m2", member("m2", 20), 20)

    assert row_of(mirror, MEMBER, "m1") is not None
    assert row_of(mirror, MEMBER, "m2") is None


def test_a_filled_mirror_says_when_and_from_where(mirror: Mirror) -> None:
    mirror.install(filled((EVENT, event(10)), (VEHICLE, vehicle(30))), AT, "0123456789abcdef")

    assert (mirror.origin, mirror.as_of, mirror.filled, mirror.version) == ("postgres", AT, True, 30)
    assert mirror.store.origin == Origin("memory", "2026-05-01T12:00:00.000Z", "postgres")
    assert mirror.store.identity == mirror.identity == "0123456789abcdef"
    assert mirror.changed.is_set()


def test_a_new_filling_forgets_rows_tombstones_and_what_the_journal_showed(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e2", event(40, id="e2"), 40)
    mirror.wrote(EVENT, "e1", None, 41)
    journaled(mirror, VEHICLE, vehicle(7))
    mirror.store.memory.deleted_members.add("m9")

    mirror.install(filled((EVENT, event(10))), AT, "identity")
    kept = (row_of(mirror, EVENT, "e1"), row_of(mirror, EVENT, "e2"), row_of(mirror, VEHICLE, "920"))
    mirror.wrote(EVENT, "e1", event(11), 11)

    assert (kept[0] is not None, kept[1], kept[2]) == (True, None, None)
    assert row_of(mirror, EVENT, "e1")["version"] == 11  # type: ignore[index]
    assert (mirror.journaling, mirror.version, mirror.store.memory.deleted_members) == (False, 41, {"m9"})


def test_what_was_written_during_the_filling_is_in_it(mirror: Mirror) -> None:
    with mirror.filling():
        mirror.wrote(EVENT, "e1", event(12), 12)
        mirror.wrote(EVENT, "e2", None, 13)
        mirror.install(filled((EVENT, event(10)), (EVENT, event(9, id="e2"))), AT, "identity")

    assert row_of(mirror, EVENT, "e1")["version"] == 12  # type: ignore[index]
    assert row_of(mirror, EVENT, "e2") is None


def test_what_was_written_before_or_after_a_filling_is_not_applied_again(mirror: Mirror) -> None:
    mirror.wrote(EVENT, "e1", event(12), 12)
    with mirror.filling():
        mirror.wrote(EVENT, "e2", event(13, id="e2"), 13)
    mirror.wrote(EVENT, "e3", event(14, id="e3"), 14)

    mirror.install(filled(), AT, "identity")

    assert [len(mirror.store.memory.of(resource)) for resource in (EVENT, VEHICLE, MEMBER)] == [0, 0, 0]


def test_what_was_written_between_the_reading_and_the_install_is_applied_once(mirror: Mirror) -> None:
    with mirror.filling():
        mirror.wrote(EVENT, "e1", event(12), 12)
        mirror.install(filled(), AT, "identity")
        mirror.wrote(EVENT, "e2", event(13, id="e2"), 13)
        mirror.install(filled(), AT, "identity")

    assert len(mirror.store.memory.of(EVENT)) == 0


def test_a_look_that_finds_nothing_new_makes_the_mirror_younger(mirror: Mirror) -> None:
    mirror.install(filled(), AT, "identity")
    later = AT.replace(hour=13)

    mirror.matched(later)

    assert (mirror.origin, mirror.as_of, mirror.identity) == ("postgres", later, "identity")


def test_rows_without_a_version_can_be_held(mirror: Mirror) -> None:
    mirror.hold(filled((VEHICLE, vehicle(0) | {"version": None})))
    none = mirror.version
    mirror.hold(filled((EVENT, event(3)), (VEHICLE, vehicle(0) | {"version": None})))
    first = mirror.version
    mirror.hold(filled())

    assert (none, first, mirror.version) == (0, 3, 3)
    assert row_of(mirror, EVENT, "e1") is None
