"""What an entry of the journal says of a write."""

from datetime import UTC, datetime
from itertools import count

from retrobus.fallback.decisions import MemoryStore
from retrobus.fallback.entries import Entry, entry_of, journaled, tag_of
from retrobus.fallback.memory import Held
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import Row, completed, content_hash, encode
from retrobus.store.contract import Caller, Change, Delete, Insert, Once, Terms, Update, Write

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
CALLER = Caller("m1", 0, "ADMIN")
ONCE = Once("cle", "PUT", "/api/events/e1", b"\x01\xff")
HELD = Held(completed(EVENT, {"id": "e1", "title": "Avant", "date": AT, "version": 17}))


class Scene:
    """A memory, and the entries of what is written to it."""

    def __init__(self, *rows: tuple[Resource, Row, str | None]) -> None:
        self.store = MemoryStore()
        self.store.memory.of(MEMBER).put(
            "m1", Held(completed(MEMBER, {"id": "m1", "email": "a@example.org", "version": 1}))
        )
        for resource, row, tag in rows:
            self.store.memory.of(resource).put(row[resource.key], Held(row, tag))
        self._sequences = count(4)

    def written(self, write: Write) -> Entry:
        sequence = next(self._sequences)
        decision = self.store.decide(write, lambda before: journaled(30, sequence, before))
        self.store.memory.apply(decision.effects)
        return entry_of(decision, write.terms, sequence=sequence, journal="journal-1")


def change(**values: object) -> Change:
    return lambda _: values


def test_the_tag_of_a_journaled_state_names_version_and_entry() -> None:
    assert tag_of(17, 4) == "17-j4"
    assert journaled(30, 4, HELD) == (17, "17-j4")
    assert journaled(30, 4, None) == (30, "30-j4")


def test_an_insert_has_its_whole_row_and_no_base() -> None:
    scene = Scene()

    entry = scene.written(Insert(EVENT, {"id": "e1", "title": "Fête", "date": AT}, Terms(CALLER)))

    held = scene.store.memory.of(EVENT).get("e1")
    assert held is not None
    assert (entry.resource, entry.key, entry.operation, entry.sequence) == ("Event", "e1", "insert", 4)
    assert (entry.row, entry.base) == (encode(EVENT, held.row), None)
    assert (entry.member, entry.once, entry.journal) == ("m1", None, "journal-1")
    assert abs((datetime.fromisoformat(entry.at) - datetime.now(UTC)).total_seconds()) < 60


def test_an_update_says_what_it_met_and_which_values_it_replaced() -> None:
    scene = Scene((EVENT, HELD.row, None))

    entry = scene.written(Update(EVENT, "e1", change(title="Après", time="10:00"), Terms(CALLER, once=ONCE)))

    assert entry.row is not None
    assert (entry.row["title"], entry.operation) == ("Après", "update")
    assert entry.base == {
        "hash": content_hash(EVENT, HELD.row), "version": 17, "values": {"title": "Avant", "time": None},
    }  # fmt: skip
    assert entry.once == {"key": "cle", "method": "PUT", "path": "/api/events/e1", "fingerprint": "01ff"}


def test_a_second_update_names_the_entry_before_it() -> None:
    scene = Scene((EVENT, HELD.row, None))
    scene.written(Update(EVENT, "e1", change(title="Après"), Terms(CALLER)))

    entry = scene.written(Update(EVENT, "e1", change(title="Encore"), Terms(CALLER)))

    assert entry.base is not None
    assert (entry.base["version"], entry.base["sequence"], entry.base["values"]) == (17, 4, {"title": "Après"})


def test_a_delete_has_no_row_and_no_values() -> None:
    scene = Scene((EVENT, HELD.row, None))

    entry = scene.written(Delete(EVENT, "e1", Terms(None)))

    assert (entry.operation, entry.row, entry.member) == ("delete", None, None)
    assert entry.base == {"hash": content_hash(EVENT, HELD.row), "version": 17}


def test_images_and_secrets_are_not_among_the_replaced_values() -> None:
    vehicle = completed(VEHICLE, {"parc": "920", "version": 5, "background_image": "data:image/png;base64,AA=="})
    scene = Scene((VEHICLE, vehicle, None))

    of_vehicle = scene.written(Update(VEHICLE, "920", change(background_image=None, etat="panne"), Terms(CALLER)))
    of_member = scene.written(Update(MEMBER, "m1", change(password_hash="x", city="Lyon"), Terms(CALLER)))

    assert of_vehicle.base is not None
    assert of_member.base is not None
    assert of_vehicle.base["values"] == {"etat": vehicle["etat"]}
    assert of_member.base["values"] == {"city": None}
