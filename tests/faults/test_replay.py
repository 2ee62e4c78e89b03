"""The journal comes into Postgres once, in order, and never over what somebody else did there meanwhile."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from builders import a_member, a_vehicle, an_event
from faults.outage import Outage
from faults.proxy import Proxy
from harness import LONGEST
from limits import Clock, clock_of
from retrobus.store import commit

pytestmark = pytest.mark.faults

UPDATED = "UPDATE vehicle SET etat = 'par psql' WHERE parc = '920'"
DELETED = "DELETE FROM vehicle WHERE parc = '920'"
MADE = "INSERT INTO vehicle (parc, etat) VALUES ('920', 'par psql')"


def state(outage: Outage, parc: str = "920") -> str | None:
    """What Postgres says of a vehicle."""
    rows = outage.api.sql(f"SELECT etat FROM vehicle WHERE parc = '{parc}'")
    return rows[0][0] if rows else None


def change(outage: Outage, etat: str = "par l'API") -> None:
    outage.done("PATCH", "vehicles/920", {"etat": etat})


def add(outage: Outage, parc: str = "920", etat: str = "par l'API") -> None:
    outage.done("POST", "vehicles", {"parc": parc, "etat": etat})


def remove(outage: Outage) -> None:
    outage.done("DELETE", "vehicles/920")


@pytest.fixture
def known(fallback: Outage) -> Outage:
    """The service with vehicle 920, cut off."""
    add(fallback, etat="au départ")
    fallback.cut()
    return fallback


@pytest.fixture
def empty(fallback: Outage) -> Outage:
    """The service without vehicle 920, cut off."""
    fallback.cut()
    return fallback


UPDATE, DELETE, INSERT = ("Vehicle", "920", "update"), ("Vehicle", "920", "delete"), ("Vehicle", "920", "insert")


def test_an_update_of_a_row_that_psql_changed_is_a_conflict(known: Outage) -> None:
    change(known)
    known.api.sql(UPDATED)

    known.heal()

    assert (state(known), known.conflicts()) == ("par psql", [UPDATE])
    [found] = known.api.sql("SELECT entry -> 'base' ->> 'values' AS replaced FROM conflict")
    assert json.loads(found["replaced"]) == {"etat": "au départ"}


def test_an_update_of_a_row_that_psql_changed_and_changed_back_is_a_conflict(known: Outage) -> None:
    change(known)
    known.api.sql(UPDATED, "UPDATE vehicle SET etat = 'au départ' WHERE parc = '920'")

    known.heal()

    assert (state(known), known.conflicts()) == ("au départ", [UPDATE])


def test_an_update_of_a_row_that_psql_deleted_is_a_conflict(known: Outage) -> None:
    change(known)
    known.api.sql(DELETED)

    known.heal()

    assert (state(known), known.conflicts()) == (None, [UPDATE])


def test_an_update_that_psql_made_too_is_done(known: Outage) -> None:
    change(known, "par psql")
    known.api.sql(UPDATED)

    known.heal()

    assert (state(known), known.conflicts()) == ("par psql", [])


def test_what_follows_a_conflict_on_the_same_row_is_one_too(known: Outage) -> None:
    change(known)
    change(known, "encore")
    add(known, "921")
    known.api.sql(UPDATED)

    known.heal()

    assert (state(known), known.conflicts()) == ("par psql", [UPDATE, UPDATE])
    assert state(known, "921") == "par l'API"


def test_many_changes_of_one_row_come_in_order(empty: Outage) -> None:
    add(empty)
    for etat in ("un", "deux", "trois"):
        change(empty, etat)

    empty.heal()

    assert (state(empty), empty.conflicts()) == ("trois", [])


def test_changes_of_every_kind_of_value_follow_one_another(fallback: Outage) -> None:
    """A row that Postgres wrote back in another form would look changed to the next entry."""
    vehicle = {"fuel": 12, "mileage": 1.5, "caracteristiques": [{"b": 1.10, "a": "é\u2028"}], "gallery": ["a", "b"]}
    event = {"adultPrice": "12.5", "extras": {"b": 1e2, "a": [1.0, None]}, "vehicleId": "920", "date": "2026-05-01"}
    member = {"birthDate": "1950-01-01", "paymentAmount": 20, "permissions": ["b", "a"]}
    fallback.cut()
    fallback.done("POST", "vehicles", a_vehicle(parc="920", **vehicle))
    fallback.done("POST", "events", an_event(id="sortie") | event)
    made = fallback.done("POST", "members", a_member(**member)).json()
    for path in ("vehicles/920", "events/sortie", f"members/{made['id']}"):
        name = {"v": "modele", "e": "title", "m": "city"}[path[0]]
        fallback.done("PATCH", path, {name: "un"})
        fallback.done("PATCH", path, {name: "deux"})

    fallback.heal()

    assert fallback.conflicts() == []
    rows = fallback.api.sql(
        "SELECT modele FROM vehicle UNION ALL SELECT title FROM event"
        " UNION ALL SELECT city FROM member WHERE city IS NOT NULL"
    )
    assert {row[0] for row in rows} == {"deux"}


def test_a_delete_wins_over_a_change_by_psql_and_keeps_what_it_removed(known: Outage) -> None:
    remove(known)
    known.api.sql(UPDATED)

    known.heal()

    assert (state(known), known.conflicts()) == (None, [])
    [[entry]] = known.api.sql("SELECT entry FROM conflict WHERE resolution = 'applied'")
    assert json.loads(entry)["image"]["etat"] == "par psql"


def test_a_delete_wins_over_a_conflict_of_the_same_row(known: Outage) -> None:
    change(known)
    remove(known)
    known.api.sql(UPDATED)

    known.heal()

    assert (state(known), known.conflicts()) == (None, [])
    resolutions = known.api.sql("SELECT operation, resolution FROM conflict ORDER BY sequence")
    assert [tuple(row) for row in resolutions] == [("update", "discarded"), ("delete", "applied")]


def test_a_delete_that_psql_did_too_is_done(known: Outage) -> None:
    remove(known)
    known.api.sql(DELETED)

    known.heal()

    assert (state(known), known.conflicts()) == (None, [])
    assert known.api.sql("SELECT count(*) FROM deletion")[0][0] == 1


@pytest.mark.parametrize("before", [(), (change,)], ids=["as it was", "changed in the outage"])
def test_a_row_that_psql_deleted_and_made_anew_is_left_alone(
    known: Outage, before: tuple[Callable[[Outage], None], ...]
) -> None:
    for step in before:
        step(known)
    remove(known)
    known.api.sql(DELETED, MADE)

    known.heal()

    assert (state(known), known.conflicts()) == ("par psql", [])


def test_a_new_row_whose_key_psql_took_is_a_conflict(empty: Outage) -> None:
    add(empty)
    empty.api.sql(MADE)

    empty.heal()

    assert (state(empty), empty.conflicts()) == ("par psql", [INSERT])


def test_deleting_a_row_that_never_came_to_postgres_leaves_the_one_of_psql(empty: Outage) -> None:
    add(empty)
    remove(empty)
    empty.api.sql(MADE)

    empty.heal()

    assert (state(empty), empty.conflicts()) == ("par psql", [])


def test_a_new_row_that_is_there_already_is_done(empty: Outage) -> None:
    add(empty)
    empty.api.sql("INSERT INTO vehicle (parc, etat) VALUES ('920', 'par l''API')")

    empty.heal()

    assert (empty.conflicts(), empty.api.sql("SELECT count(*) FROM vehicle")[0][0]) == ([], 1)


def test_what_a_constraint_refuses_is_a_conflict_and_stops_nothing(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="910"))
    fallback.cut()
    made = fallback.done("POST", "members", a_member(email="camille@example.org")).json()
    fallback.done("POST", "events", an_event(id="sortie", vehicleId="910"))
    add(fallback)
    fallback.api.sql(
        "INSERT INTO member (id, email) VALUES ('autre', 'CAMILLE@example.org')",
        "DELETE FROM vehicle WHERE parc = '910'",
    )

    fallback.heal()

    assert fallback.conflicts() == [("Member", made["id"], "insert"), ("Event", "sortie", "insert")]
    reasons = fallback.api.sql("SELECT reason FROM conflict ORDER BY sequence")
    assert [row[0] for row in reasons] == ["refusé par la base (23505)", "refusé par la base (23503)"]
    assert state(fallback) == "par l'API"


def test_a_change_by_psql_behind_a_deleted_vehicle_is_not_overwritten(fallback: Outage) -> None:
    """The deletion nulls the event's reference in Postgres too: that is no change of ours to build upon."""
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.done("POST", "events", an_event(id="sortie", vehicleId="920"))
    fallback.cut()
    remove(fallback)
    fallback.done("PATCH", "events/sortie", {"title": "par l'API"})
    fallback.api.sql("UPDATE event SET location = 'par psql'")

    fallback.heal()

    [row] = fallback.api.sql("SELECT title, location, vehicle_id FROM event")
    assert tuple(row) == ("Sortie au dépôt", "par psql", None)
    assert fallback.conflicts() == [("Event", "sortie", "update")]


def test_events_of_a_deleted_vehicle_can_be_changed_in_the_same_outage(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.done("POST", "events", an_event(id="sortie", vehicleId="920"))
    fallback.cut()
    remove(fallback)
    fallback.done("PATCH", "events/sortie", {"title": "par l'API"})

    fallback.heal()

    [row] = fallback.api.sql("SELECT title, vehicle_id FROM event")
    assert (tuple(row), fallback.conflicts()) == (("par l'API", None), [])


def test_a_repeat_gets_the_same_answer_in_the_outage_and_the_replayed_one_after_it(fallback: Outage) -> None:
    fallback.cut()
    headers, body = {"Idempotency-Key": "une-demande"}, an_event()
    first = fallback.send("POST", "events", body, **headers)
    again = fallback.send("POST", "events", body, **headers)
    other = fallback.send("POST", "events", an_event(title="Autre"), **headers)
    fallback.heal()

    after = fallback.send("POST", "events", body, **headers)

    assert (first.status_code, again.status_code, again.content) == (202, 202, first.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (after.status_code, after.json()["id"]) == (201, first.json()["id"])
    assert fallback.api.sql("SELECT count(*) FROM event")[0][0] == 1
    assert fallback.conflicts() == []


def test_a_repeat_of_what_postgres_did_before_the_outage_does_nothing(fallback: Outage) -> None:
    headers, body = {"Idempotency-Key": "une-demande"}, an_event()
    first = fallback.send("POST", "events", body, **headers)
    fallback.cut()

    again = fallback.send("POST", "events", body, **headers)
    fallback.heal()

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["X-Data-Source"] == "memory"
    assert fallback.api.sql("SELECT count(*) FROM event")[0][0] == 1


def go_for_good(line: Proxy, clock: Clock) -> None:
    """The service finds Postgres gone, and its time to find out what became of a write over."""
    line.become("refuse")
    clock.ahead = LONGEST


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the service gives up finding out what became of a write."""
    return clock_of(monkeypatch, commit)


def test_a_write_whose_commit_was_cut_and_that_is_repeated_in_the_outage_is_done_once(
    fallback: Outage, line: Proxy, clock: Clock
) -> None:
    """Postgres has it, the service cannot know, psql has changed the row since: the repeat must not be a second one."""
    add(fallback, etat="au départ")
    headers = {"Idempotency-Key": "une-demande"}
    line.cut_write("after", lambda: go_for_good(line, clock))

    first = fallback.send("PATCH", "vehicles/920", {"etat": "par l'API"}, **headers)
    again = fallback.send("PATCH", "vehicles/920", {"etat": "par l'API"}, **headers)
    fallback.api.sql(UPDATED)
    fallback.heal()

    assert (first.status_code, first.json()["outcome"]) == (503, "unknown")
    assert again.status_code == 202
    assert (state(fallback), fallback.conflicts()) == ("par psql", [])


def is_changed(outage: Outage, parc: str, etat: str) -> bool:
    """Whether a change was taken; if it was not, it had waited for a second for its turn."""
    answer = outage.send("PATCH", f"vehicles/{parc}", {"etat": etat})
    if answer.status_code == 503:
        assert answer.json()["outcome"] == "not_applied"
        return False
    assert answer.status_code in {200, 202}, answer.text
    return True


def test_the_outage_ends_although_clients_never_stop_writing(fallback: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass leaves more than may be replayed while writes wait, so that these wait again and again for a moment."""
    monkeypatch.setattr("retrobus.fallback.settling.FEW", 1)
    monkeypatch.setattr("retrobus.fallback.settling.HOLD", 0.01)
    fallback.cut()
    over, written = threading.Event(), threading.Barrier(5)

    def write_on(parc: str) -> tuple[str, int]:
        add(fallback, parc, "0")
        written.wait(LONGEST)
        count = 0
        while not over.is_set():
            count += is_changed(fallback, parc, str(count + 1))
        return parc, count

    with ThreadPoolExecutor(4) as clients:
        work = [clients.submit(write_on, f"92{number}") for number in range(4)]
        try:
            written.wait(LONGEST)
            fallback.heal()
        finally:
            over.set()
        last = [one.result() for one in work]

    assert fallback.conflicts() == []
    assert [(parc, state(fallback, parc)) for parc, _ in last] == [(parc, str(count)) for parc, count in last]


def an_unknown_post(outage: Outage, line: Proxy, clock: Clock) -> None:
    """A vehicle that Postgres has and nobody knows of; then another one under the same key, from memory, is deleted."""
    line.cut_write("after", lambda: go_for_good(line, clock))
    first = outage.send("POST", "vehicles", {"parc": "920", "etat": "inconnu"})
    assert (first.status_code, first.json()["outcome"]) == (503, "unknown")
    assert outage.done("POST", "vehicles", {"parc": "920", "etat": "par l'API"}).status_code == 202
    remove(outage)


def test_a_delete_of_an_outage_removes_the_row_of_an_unknown_write_of_the_same_key(
    fallback: Outage, line: Proxy, clock: Clock
) -> None:
    an_unknown_post(fallback, line, clock)
    assert state(fallback) == "inconnu"

    fallback.heal()

    assert (state(fallback), fallback.conflicts()) == (None, [])
    kept = fallback.api.sql("SELECT operation, resolution, entry -> 'image' ->> 'etat' FROM conflict ORDER BY sequence")
    assert [tuple(row) for row in kept] == [("insert", "discarded", None), ("delete", "applied", "inconnu")]


@pytest.mark.parametrize(
    "steps", [(UPDATED,), (UPDATED, "UPDATE vehicle SET etat = 'inconnu'"), (DELETED, MADE)], ids=["one", "two", "anew"]
)
def test_a_delete_of_an_outage_leaves_the_row_of_an_unknown_write_that_psql_touched_since(
    fallback: Outage, line: Proxy, clock: Clock, steps: tuple[str, ...]
) -> None:
    an_unknown_post(fallback, line, clock)
    fallback.api.sql(*steps)
    there = state(fallback)

    fallback.heal()

    assert (state(fallback), there is not None) == (there, True)
