"""What memory decides and holds, beside what the tests of the stores' contract say of it."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from retrobus.fallback.decisions import Decision, MemoryStore
from retrobus.fallback.memory import Held, refiled
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row, completed, encode
from retrobus.store.contract import Caller, Delete, Filter, Insert, Query, Sought, Terms, Update, Write
from retrobus.store.errors import Conflict, NotFound

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AUTHOR = Terms(Caller("m1", 0, "ADMIN"))


class Decided(MemoryStore):
    """Memory with one ADMIN and these rows; each write that it accepts is done at once."""

    def __init__(self, *rows: tuple[Resource, Row]) -> None:
        super().__init__()
        self._sequences = count(101)
        for resource, row in ((MEMBER, {"id": "m1", "email": "m1@example.org", "role": "ADMIN"}), *rows):
            self.put(resource, row)

    def put(self, resource: Resource, row: Row) -> None:
        whole = completed(resource, {"version": 7, "created_at": LONG_AGO, "updated_at": LONG_AGO, **row})
        self.memory.of(resource).put(whole[resource.key], Held(whole))

    def done(self, write: Write) -> Decision:
        sequence = next(self._sequences)
        decision = self.decide(write, lambda _: (sequence, str(sequence)))
        self.memory.apply(decision.effects)
        return decision

    def row(self, resource: Resource, key: str) -> Row:
        held = self.memory.of(resource).get(key)
        assert held is not None
        return held.row


def change(**values: Any) -> Any:
    return lambda _: values


def test_a_held_row_is_named_by_its_version_or_by_its_tag() -> None:
    row = completed(VEHICLE, {"parc": "920", "version": 7})

    assert (Held(row).tag, Held(row, "7-j4").tag) == ("7", "7-j4")


def test_the_whole_row_is_written_once_for_the_snapshot_in_plain_letters() -> None:
    row = completed(EVENT, {"id": "e1", "title": "Fête", "date": LONG_AGO, "version": 7})
    held = Held(row)

    filed = held.filed(EVENT)

    assert filed == json.dumps(encode(EVENT, row), ensure_ascii=False)
    assert "Fête" in filed
    assert held.filed(EVENT) is filed


def test_a_row_that_memory_changed_never_gets_the_etag_of_postgresql_s_row_from_the_snapshot() -> None:
    """The journal may be in Postgres, and the service killed, before the next snapshot: then the row alone is left."""
    row = completed(EVENT, {"id": "e1", "title": "Fête", "date": LONG_AGO, "version": 7})
    first, second, again = (
        refiled(EVENT, json.loads(held.filed(EVENT)))
        for held in (Held(row, "7-j4"), Held({**row, "title": "Bal"}, "7-j4"), Held(row, "7-j9"))
    )

    assert refiled(EVENT, json.loads(Held(row).filed(EVENT))).tag == "7"
    assert (first.row, first.tag) == (row, again.tag)
    assert len({first.tag, second.tag, "7", "7-j4"}) == 4
    assert refiled(EVENT, json.loads(first.filed(EVENT))).tag == first.tag  # through another kill


def test_the_etag_is_the_beginning_of_the_identity_and_the_tag() -> None:
    store = Decided((VEHICLE, {"parc": "920"}))
    before = store.document(VEHICLE, Held(store.row(VEHICLE, "920"))).etag
    store.identity = "0123456789abcdef"

    assert before == '"00000000-7"'
    assert store.document(VEHICLE, Held(store.row(VEHICLE, "920"), "7-j4")).etag == '"01234567-7-j4"'


def test_an_update_stamps_the_row_and_one_without_change_does_nothing() -> None:
    store = Decided((VEHICLE, {"parc": "920", "etat": "disponible"}))

    same = store.done(Update(VEHICLE, "920", change(etat="disponible"), AUTHOR))
    changed = store.done(Update(VEHICLE, "920", change(etat="panne"), AUTHOR))

    row = store.row(VEHICLE, "920")
    assert (same.operation, same.effects) == ("update", ())
    assert (changed.operation, row["etat"], row["version"], row["updated_by"]) == ("update", "panne", 102, "m1")
    assert row["updated_at"] > LONG_AGO == row["created_at"]
    assert set(row) == {column.name for column in VEHICLE.columns}


def test_a_deleted_vehicle_leaves_its_events_without_one_stamped_as_if_changed() -> None:
    store = Decided((VEHICLE, {"parc": "920"}))
    for key, parc in (("e1", "920"), ("e2", None)):
        store.put(EVENT, {"id": key, "title": "Fête", "date": LONG_AGO, "vehicle_id": parc})

    decision = store.done(Delete(VEHICLE, "920", AUTHOR))

    row, other = store.row(EVENT, "e1"), store.row(EVENT, "e2")
    assert (decision.operation, len(decision.effects)) == ("delete", 2)
    assert (row["vehicle_id"], row["version"], row["updated_by"]) == (None, 101, "m1")
    assert row["updated_at"] > LONG_AGO
    assert set(row) == {column.name for column in EVENT.columns}
    assert (other["version"], other["updated_at"]) == (7, LONG_AGO)


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ({"role": "BUREAU"}, 4),
        ({"status": "inactive"}, 4),
        ({"city": "Lyon"}, 3),
        ({"role": "BUREAU", "token_epoch": 9}, 9),
    ],
    ids=repr,
)
def test_a_new_role_or_status_ends_the_tokens_unless_the_change_says_when(values: dict[str, Any], epoch: int) -> None:
    store = Decided((MEMBER, {"id": "m2", "email": "m2@example.org", "token_epoch": 3}))

    store.done(Update(MEMBER, "m2", change(**values), AUTHOR))

    assert store.row(MEMBER, "m2")["token_epoch"] == epoch


def test_one_administrator_beside_others_is_enough() -> None:
    store = Decided((MEMBER, {"id": "m2", "email": "m2@example.org"}))
    store.put(MEMBER, {"id": "m3", "email": "m3@example.org", "role": "ADMIN"})

    store.done(Delete(MEMBER, "m3", AUTHOR))

    with pytest.raises(Conflict):
        store.done(Delete(MEMBER, "m1", AUTHOR))


def test_numbers_of_vehicles_grow_from_one_and_are_never_given_again() -> None:
    store = Decided()

    numbers = []
    for parc in ("a", "b"):
        store.done(Insert(VEHICLE, {"parc": parc}, AUTHOR))
        numbers.append(store.row(VEHICLE, parc)["id"])
    store.done(Delete(VEHICLE, "b", AUTHOR))
    store.put(VEHICLE, {"parc": "c", "id": None})
    store.done(Insert(VEHICLE, {"parc": "d"}, AUTHOR))
    store.put(VEHICLE, {"parc": "e", "id": 40})
    store.done(Insert(VEHICLE, {"parc": "f"}, AUTHOR))

    assert numbers == [1, 2]
    assert (store.row(VEHICLE, "d")["id"], store.row(VEHICLE, "f")["id"]) == (3, 41)


def test_a_vehicle_without_a_number_takes_none_away() -> None:
    store = Decided((VEHICLE, {"parc": "a", "id": None}))

    store.done(Insert(VEHICLE, {"parc": "b"}, AUTHOR))

    assert store.row(VEHICLE, "b")["id"] == 1


def test_memory_begins_without_an_identity() -> None:
    assert MemoryStore().identity == "00000000"


IMAGE = "data:image/png;base64,AA=="
GALLERY = json.dumps(["https://images.example.org/1.jpg", 7, IMAGE])


def image_of(store: MemoryStore, column: str, at: int | None = None, known: tuple[str, ...] = ()) -> bytes | None:
    """What memory answers for an image of vehicle 920."""
    public = (Filter("is_public", "=", True),)
    found = asyncio.run(store.image(Sought(VEHICLE, "920", column, at, known), filters=public, caller=None))
    assert (found.origin, len(found.tag)) == (store.origin, 32)
    assert sha256(found.value or IMAGE.encode()).hexdigest().startswith(found.tag)
    return found.value


def test_an_image_is_found_by_its_column_or_its_place_in_the_gallery() -> None:
    store = Decided((VEHICLE, {"parc": "920", "is_public": True, "background_image": IMAGE, "gallery": GALLERY}))

    assert image_of(store, "background_image") == IMAGE.encode()
    assert image_of(store, "gallery", 0) == b"https://images.example.org/1.jpg"
    assert image_of(store, "gallery", 2) == IMAGE.encode()


def test_a_reader_who_has_the_image_gets_its_tag_alone() -> None:
    store = Decided((VEHICLE, {"parc": "920", "is_public": True, "background_image": IMAGE}))
    tag = sha256(IMAGE.encode()).hexdigest()[:32]

    assert image_of(store, "background_image", known=("autre", tag)) is None
    assert image_of(store, "background_image", known=("autre",)) == IMAGE.encode()


@pytest.mark.parametrize(
    ("values", "column", "at"),
    [
        ({}, "background_image", None),
        ({"gallery": GALLERY}, "gallery", 1),
        ({"gallery": GALLERY}, "gallery", 3),
        ({"gallery": GALLERY}, "gallery", 4),
        ({"gallery": None}, "gallery", 0),
        ({"background_image": IMAGE, "is_public": False}, "background_image", None),
        ({"background_image": IMAGE, "parc": "921"}, "background_image", None),
    ],
    ids=repr,
)
def test_an_image_that_is_not_there_or_not_public_is_not_found(
    values: dict[str, Any], column: str, at: int | None
) -> None:
    store = Decided((VEHICLE, {"parc": "920", "is_public": True, **values}))

    with pytest.raises(NotFound):
        image_of(store, column, at)


class Taking:
    """Notes what a copy gives."""

    def __init__(self) -> None:
        self.begun = 0
        self.parts: list[list[str]] = []

    async def begin(self) -> None:
        self.begun += 1

    async def add(self, documents: Sequence[bytes]) -> None:
        self.parts.append([json.loads(document)["id"] for document in documents])


@pytest.mark.parametrize("events", [0, 1, 100, 250])
def test_a_copy_has_every_row_in_the_order_of_lists_a_hundred_at_a_time(events: int) -> None:
    store, into = Decided(), Taking()
    for number in range(events):
        store.put(EVENT, {"id": f"e{number:03}", "title": "Fête", "date": LONG_AGO})

    origin = asyncio.run(store.copy(EVENT, Query(after=(LONG_AGO, "e000"), limit=1), into, caller=None))

    assert (origin, into.begun) == (store.origin, 1)
    assert [len(part) for part in into.parts] == [100] * (events // 100) + [events % 100] * (events % 100 > 0)
    assert [key for part in into.parts for key in part] == [f"e{number:03}" for number in range(events)]
