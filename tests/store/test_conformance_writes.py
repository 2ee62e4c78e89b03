"""What every store promises, on each of them: inserts, updates and deletes."""

import json
from decimal import Decimal
from typing import Any, NoReturn

import pytest

from retrobus.model.resources import EVENT, MEMBER, VEHICLE
from retrobus.model.wire import View
from retrobus.store.contract import (
    Caller,
    Document,
    Precondition,
    Row,
)
from retrobus.store.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Stale,
)
from stores import FOUNDER, ROWS, Subject, a_member, a_vehicle, an_event, day, setting

ANY = Precondition(("*",))
OTHER = Precondition(('"ffffffff-1"',))
UNKNOWN = [FieldError("vehicle_id", "désigne une ligne qui n'existe pas")]


def said(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(document.json)
    return found


def only(document: Document) -> Precondition:
    return Precondition((document.etag,))


def refuse(_: Row) -> NoReturn:
    raise Forbidden("not today")


def test_a_new_row_has_the_defaults_of_its_table(subject: Subject) -> None:
    bus = said(subject.insert(VEHICLE, a_vehicle("920")))
    trip = said(subject.insert(EVENT, an_event("a")))
    person = said(subject.insert(MEMBER, a_member("m")))

    assert (bus["type"], bus["modele"], bus["etat"], bus["isPublic"]) == ("Bus", "", "disponible", False)
    assert (bus["gallery"], bus["caracteristiques"], bus["fuel"], bus["marque"]) == ([], [], None, None)
    assert (trip["status"], trip["currentParticipants"], trip["extras"]) == ("DRAFT", 0, None)
    assert (person["role"], person["status"], person["newsletter"]) == ("MEMBER", "active", True)
    assert (person["membershipType"], person["membershipStatus"]) == ("STANDARD", "PENDING")
    assert (person["permissions"], person["firstName"], person["hasLinkedAccess"]) == ([], "", False)
    assert all(row["createdAt"] == row["updatedAt"] for row in (bus, trip, person))


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_who_changed_it_last(subject: Subject, name: str) -> None:
    resource, a_row = ROWS[name]
    field = "title" if resource is EVENT else "notes" if resource is MEMBER else "etat"
    subject.given(MEMBER, a_member("other"))
    made = said(subject.insert(resource, a_row("x1")))
    other = Caller("other", 0, "ADMIN")

    plain = said(subject.update(resource, "x1", {field: "one"}, caller=other))
    same = said(subject.update(resource, "x1", {field: "one"}))
    looked = said(subject.update(resource, "x1", setting(**{field: "two"})))
    own = said(subject.update(resource, "x1", setting(**{field: "three"}), caller=None))

    found = [row["updatedBy"] for row in (made, plain, same, looked, own)]
    assert found == ["founder", "other", "other", "founder", "api"]
    assert json.loads(subject.find(resource).documents[-1])["updatedBy"] == "api"


def test_the_events_of_a_deleted_vehicle_say_who_deleted_it(subject: Subject) -> None:
    subject.given(MEMBER, a_member("other"))
    subject.given(VEHICLE, a_vehicle("920"))
    subject.given(EVENT, an_event("a", vehicle_id="920"))

    subject.delete(VEHICLE, "920", caller=Caller("other", 0, "ADMIN"))

    event = said(subject.get(EVENT, "a"))
    assert (event["vehicleId"], event["updatedBy"]) == (None, "other")


@pytest.mark.parametrize("view", ["public_list", "public_one"])
@pytest.mark.parametrize("name", ["event", "vehicle"])
def test_no_public_view_says_who_changed_a_row(subject: Subject, name: str, view: View) -> None:
    resource, a_row = ROWS[name]
    subject.given(resource, a_row("x1"))

    [listed], got = subject.find(resource, view=view).documents, subject.get(resource, "x1", view=view).json

    assert listed == got
    assert "updatedBy" not in json.loads(got)
    assert FOUNDER.id.encode() not in got


@pytest.mark.parametrize("name", ROWS)
def test_a_new_row_is_there_at_once(subject: Subject, name: str) -> None:
    resource, a_row = ROWS[name]
    document = subject.insert(resource, a_row("x1"))

    assert document.key == "x1"
    assert (subject.get(resource, "x1").json, subject.get(resource, "x1").etag) == (document.json, document.etag)
    assert document.json in subject.find(resource).documents


def test_numbers_are_written_as_short_as_they_can_be(subject: Subject) -> None:
    trip = subject.insert(EVENT, an_event("a", adult_price=Decimal("12.50"), child_price=Decimal("0.00")))
    bus = subject.insert(VEHICLE, a_vehicle("920", fuel=62.0, mileage=1e-05))

    assert b'"adultPrice":12.5,"childPrice":0,' in trip.json
    assert b'"fuel":62,"mileage":1e-05,' in bus.json


def test_every_new_vehicle_has_a_higher_number(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("C"))
    numbers = [said(subject.insert(VEHICLE, a_vehicle(parc)))["id"] for parc in ("B", "A")]
    subject.delete(VEHICLE, "A")
    numbers.append(said(subject.insert(VEHICLE, a_vehicle("A")))["id"])

    assert numbers == sorted(set(numbers))
    assert numbers[0] > said(subject.get(VEHICLE, "C"))["id"]


@pytest.mark.parametrize("name", ROWS)
def test_a_taken_key_is_a_conflict(subject: Subject, name: str) -> None:
    resource, a_row = ROWS[name]
    [given] = subject.given(resource, a_row("x1"))

    with pytest.raises(Conflict) as refused:
        subject.insert(resource, a_row("x1", **({"email": "other@example.org"} if resource is MEMBER else {})))
    assert refused.value.field == resource.key
    assert subject.get(resource, "x1").json == given.json


@pytest.mark.parametrize(
    ("column", "value", "same"),
    [
        ("email", "Anna@Example.org", "aNNA@eXAMPLE.ORG"),
        ("matricule", "RB-é1", "rb-é1"),
        ("member_number", "N1", "N1"),
    ],
)
def test_a_taken_unique_value_is_a_conflict_about_its_field(
    subject: Subject, column: str, value: str, same: str
) -> None:
    subject.given(MEMBER, a_member("m", **{column: value}), a_member("n"))

    with pytest.raises(Conflict) as refused:
        subject.insert(MEMBER, a_member("o", **{column: same}))
    assert refused.value.field == column
    with pytest.raises(Conflict) as refused:
        subject.update(MEMBER, "n", setting(**{column: same}))
    assert refused.value.field == column
    assert [row["id"] for row in map(json.loads, subject.find(MEMBER).documents)] == [FOUNDER.id, "m", "n"]


@pytest.mark.parametrize(
    ("column", "value", "other"),
    [("email", "é@example.org", "É@example.org"), ("matricule", "RB-é", "RB-É"), ("member_number", "N1", "n1")],
)
def test_unique_values_differ_by_all_but_the_case_of_ascii(
    subject: Subject, column: str, value: str, other: str
) -> None:
    subject.given(MEMBER, a_member("m", **{column: value}))

    assert subject.insert(MEMBER, a_member("n", **{column: other})).key == "n"


def test_the_key_is_named_before_any_other_conflict(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", matricule="RB1"), a_member("n", member_number="N2"))

    with pytest.raises(Conflict) as refused:
        subject.insert(MEMBER, a_member("m", matricule="RB1"))
    assert refused.value.field == "id"
    with pytest.raises(Conflict) as refused:
        subject.insert(MEMBER, a_member("o", matricule="rb1", member_number="N2"))
    assert refused.value.field == "matricule"


def test_a_refused_row_leaves_its_values_free(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m"))
    with pytest.raises(Conflict):
        subject.insert(MEMBER, a_member("m", email="free@example.org", matricule="FREE"))

    assert subject.insert(MEMBER, a_member("n", email="free@example.org", matricule="FREE")).key == "n"


def test_a_reference_must_name_a_row(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920"))
    subject.given(EVENT, an_event("a", vehicle_id="920"))

    with pytest.raises(Invalid) as refused:
        subject.insert(EVENT, an_event("b", vehicle_id="921"))
    assert refused.value.errors == UNKNOWN
    with pytest.raises(Invalid) as refused:
        subject.update(EVENT, "a", setting(vehicle_id="921"))
    assert refused.value.errors == UNKNOWN
    assert said(subject.update(EVENT, "a", setting(vehicle_id=None)))["vehicleId"] is None


def test_a_change_sees_the_whole_row(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", notes="un", password_hash="a-hash", birth_date=day(3)))
    rows: list[Row] = []

    def change(row: Row) -> Row:
        rows.append(row)
        return {"notes": f"{row['notes']}, deux"}

    assert said(subject.update(MEMBER, "m", change))["notes"] == "un, deux"
    assert rows[0].keys() == {column.name for column in MEMBER.columns}
    assert [rows[0][name] for name in ("id", "password_hash", "token_epoch", "birth_date", "permissions")] == [
        "m", "a-hash", 0, day(3), "[]",
    ]  # fmt: skip


def test_an_update_changes_what_it_names_and_nothing_else(subject: Subject) -> None:
    given, _ = subject.given(EVENT, an_event("a", location="Dépôt", extras='{"a": 1}'), an_event("b"))
    document = subject.update(EVENT, "a", setting(location="Gare", adult_price=Decimal(3)))

    changed = {"location": "Gare", "adultPrice": 3}
    assert said(document) == said(given) | changed | {name: said(document)[name] for name in ("updatedAt", "version")}
    assert said(document)["updatedAt"] >= said(given)["updatedAt"]
    assert document.etag != given.etag
    assert (subject.get(EVENT, "a").json, subject.get(EVENT, "a").etag) == (document.json, document.etag)
    assert json.loads(subject.get(EVENT, "b").json)["location"] is None


def test_an_update_that_changes_nothing_leaves_the_version(subject: Subject) -> None:
    values = {"adult_price": Decimal("3.50"), "extras": '{"a": 1}', "date": day(4), "location": None}
    [given] = subject.given(EVENT, an_event("a", **values))
    same = [
        subject.update(EVENT, "a", setting()),
        subject.update(EVENT, "a", setting(**values | {"adult_price": Decimal("3.5")})),
    ]

    assert {(one.json, one.etag, one.key) for one in same} == {(given.json, given.etag, "a")}
    assert subject.get(EVENT, "a").etag == given.etag


def test_a_list_follows_its_rows(subject: Subject) -> None:
    subject.given(EVENT, an_event("a", date=day(1)), an_event("b", date=day(2)))
    assert [json.loads(row)["id"] for row in subject.find(EVENT).documents] == ["b", "a"]
    subject.update(EVENT, "a", setting(date=day(3)))

    assert [json.loads(row)["id"] for row in subject.find(EVENT).documents] == ["a", "b"]


def test_if_match_holds_for_the_present_version_alone(subject: Subject) -> None:
    [old] = subject.given(EVENT, an_event("a"))
    new = subject.update(EVENT, "a", setting(title="Deux"), match=only(old))

    for match in (only(old), OTHER, Precondition(())):
        with pytest.raises(Stale):
            subject.update(EVENT, "a", setting(title="Trois"), match=match)
        with pytest.raises(Stale):
            subject.delete(EVENT, "a", match=match)
    assert said(subject.get(EVENT, "a"))["title"] == "Deux"
    subject.update(EVENT, "a", setting(title="Trois"), match=Precondition((old.etag, new.etag)))
    assert subject.delete(EVENT, "a", match=ANY).key == "a"


def test_if_match_looks_before_the_change_does(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))

    with pytest.raises(Stale):
        subject.update(EVENT, "a", refuse, match=OTHER)
    with pytest.raises(Stale):
        subject.delete(EVENT, "a", refuse, match=OTHER)


@pytest.mark.parametrize("match", [None, ANY, OTHER])
def test_no_precondition_makes_a_row(subject: Subject, match: Precondition | None) -> None:
    with pytest.raises(NotFound):
        subject.update(EVENT, "a", refuse, match=match)
    with pytest.raises(NotFound):
        subject.delete(EVENT, "a", refuse, match=match)


def test_a_change_may_refuse(subject: Subject) -> None:
    [given] = subject.given(EVENT, an_event("a"))

    with pytest.raises(Forbidden, match="not today"):
        subject.update(EVENT, "a", refuse)
    assert subject.get(EVENT, "a").etag == given.etag


def test_a_check_may_refuse_a_delete(subject: Subject) -> None:
    rows: list[Row] = []
    subject.given(EVENT, an_event("a"))

    with pytest.raises(Forbidden, match="not today"):
        subject.delete(EVENT, "a", refuse)
    assert subject.delete(EVENT, "a", rows.append).key == "a"
    assert (rows[0]["id"], rows[0]["date"]) == ("a", day(1))


def test_a_row_keeps_its_own_unique_values(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", matricule="rb1"))
    document = subject.update(MEMBER, "m", setting(email="M@EXAMPLE.ORG", matricule="RB1"))

    assert (said(document)["email"], said(document)["matricule"]) == ("M@EXAMPLE.ORG", "RB1")
    with pytest.raises(Conflict):
        subject.insert(MEMBER, a_member("n", matricule="rB1"))


def test_a_value_that_was_given_up_is_free_again(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", matricule="RB1"), a_member("n", matricule="RB2"), a_member("o"))
    subject.update(MEMBER, "m", setting(matricule=None))
    subject.delete(MEMBER, "n")

    assert said(subject.update(MEMBER, "o", setting(matricule="rb1")))["matricule"] == "rb1"
    assert subject.insert(MEMBER, a_member("n", matricule="rb2")).key == "n"


@pytest.mark.parametrize("name", ROWS)
def test_a_delete_answers_with_the_last_state_and_leaves_nothing(subject: Subject, name: str) -> None:
    resource, a_row = ROWS[name]
    [given] = subject.given(resource, a_row("x1"))
    document = subject.delete(resource, "x1")

    assert (document.json, document.etag, document.key) == (given.json, given.etag, "x1")
    assert given.json not in subject.find(resource).documents
    with pytest.raises(NotFound):
        subject.get(resource, "x1")
    with pytest.raises(NotFound):
        subject.delete(resource, "x1")


def test_a_deleted_row_may_be_made_again(subject: Subject) -> None:
    [given] = subject.given(VEHICLE, a_vehicle("920", marque="Saviem"))
    subject.delete(VEHICLE, "920")
    document = subject.insert(VEHICLE, a_vehicle("920"))

    assert said(document)["marque"] is None
    assert document.etag != given.etag


def test_an_event_outlives_its_vehicle(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920"), a_vehicle("921"))
    first, second = subject.given(EVENT, an_event("a", vehicle_id="920"), an_event("b", vehicle_id="921"))
    subject.delete(VEHICLE, "920")

    document = subject.get(EVENT, "a")
    assert said(document)["vehicleId"] is None
    assert document.etag != first.etag
    assert subject.get(EVENT, "b").etag == second.etag
    assert said(subject.get(EVENT, "b"))["vehicleId"] == "921"


DEMOTIONS: list[Row] = [{"role": "MEMBER"}, {"status": "disabled"}, {"role": "BUREAU", "status": "terminated"}]


@pytest.mark.parametrize("values", DEMOTIONS)
def test_the_last_active_admin_is_kept(subject: Subject, values: Row) -> None:
    subject.given(MEMBER, a_member("past", role="ADMIN", status="terminated"), a_member("m", role="BUREAU"))

    with pytest.raises(Conflict) as refused:
        subject.update(MEMBER, FOUNDER.id, setting(**values))
    assert refused.value.field == "role"
    with pytest.raises(Conflict) as refused:
        subject.delete(MEMBER, FOUNDER.id)
    assert refused.value.field == "role"
    assert said(subject.update(MEMBER, FOUNDER.id, setting(notes="là")))["notes"] == "là"


def test_an_admin_may_go_while_another_stays(subject: Subject) -> None:
    subject.given(MEMBER, a_member("second", role="ADMIN"))
    second = Caller("second", 0, "ADMIN")
    subject.update(MEMBER, FOUNDER.id, setting(role="MEMBER"))

    with pytest.raises(Conflict):
        subject.delete(MEMBER, second.id, caller=second)
    subject.update(MEMBER, FOUNDER.id, setting(role="ADMIN"), caller=second)
    assert subject.delete(MEMBER, second.id, caller=second).key == "second"


def test_the_last_admin_is_kept_before_values_are_compared(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", matricule="RB1"))

    with pytest.raises(Conflict) as refused:
        subject.update(MEMBER, FOUNDER.id, setting(role="MEMBER", matricule="rb1"))
    assert refused.value.field == "role"


def test_a_write_accepted_from_memory_says_so(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))
    answers = [
        subject.insert(EVENT, an_event("b")),
        subject.update(EVENT, "a", setting(title="Deux")),
        subject.delete(EVENT, "b"),
    ]

    assert {answer.durability for answer in answers} == {"memory" if subject.kind == "fallback" else None}
    assert {answer.origin.source for answer in answers} == {"memory" if subject.from_memory else "postgres"}
