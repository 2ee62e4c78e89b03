"""What every store promises, on each of them: lists and single rows."""

import json
from datetime import timedelta

import pytest

from retrobus.model.resources import EVENT, MEMBER, VEHICLE
from retrobus.model.wire import View
from retrobus.store.contract import (
    Filter,
    Page,
)
from retrobus.store.errors import NotFound
from stores import FOUNDER, Subject, a_member, a_vehicle, an_event, day, setting

PRIVATE = {"id", "fuel", "mileage", "isPublic", "version"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="
LINK = "https://images.example.org/é.jpg"


def names(page: Page, column: str = "id") -> list[str]:
    return [json.loads(document)[column] for document in page.documents]


def test_events_come_newest_first_and_by_id_within_an_instant(subject: Subject) -> None:
    moments = {"b": day(2), "a": day(1), "z": day(2), "Z": day(2), "late": day(2) + timedelta(milliseconds=1)}
    subject.given(EVENT, *(an_event(key, date=date) for key, date in moments.items()))

    assert names(subject.find(EVENT)) == ["late", "Z", "b", "z", "a"]


def test_vehicles_come_by_the_value_of_the_numbers_in_their_parc(subject: Subject) -> None:
    parcs = ("920", "é", "a", "10", "B", "9", "100", "A-1", "A 10", "A 9", "09", "ﬀ", "𝄞", "0", "Œ")
    subject.given(VEHICLE, *map(a_vehicle, parcs))

    found = names(subject.find(VEHICLE), "parc")

    assert found == ["0", "09", "9", "10", "100", "920", "a", "A 9", "A 10", "A-1", "B", "é", "Œ", "ﬀ", "𝄞"]


def test_names_come_by_their_letters_without_regard_to_accents_and_case(subject: Subject) -> None:
    last = ["Zola", "Éluard", "de Gaulle", "Eluard", "ÉLUARD", "éluard"]
    subject.given(MEMBER, *(a_member(f"m{n}", last_name=name, first_name="x") for n, name in enumerate(last)))

    found = [row for row in names(subject.find(MEMBER)) if row != FOUNDER.id]

    assert found == ["m2", "m1", "m3", "m4", "m5", "m0"]


def test_members_come_by_last_name_then_first_name_then_id(subject: Subject) -> None:
    people = {"a": ("Zoé", "Exemple"), "b": ("Ali", "Exemple"), "c": ("Ali", "Autre"), "0": ("Ali", "Exemple")}
    subject.given(MEMBER, *(a_member(key, first_name=f, last_name=n) for key, (f, n) in people.items()))

    assert names(subject.find(MEMBER)) == [FOUNDER.id, "c", "0", "b", "a"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_any_size_hold_every_row_once(subject: Subject, limit: int) -> None:
    subject.given(EVENT, *(an_event(key, date=day(1 + index // 2)) for index, key in enumerate("cbadf")))
    found, after = [], None
    for _ in range(9):
        page = subject.find(EVENT, limit=limit, after=after)
        found += names(page)
        if page.next is None:
            break
        assert len(page.documents) == limit
        after = (day(int(page.next[0][8:10])), page.next[1])

    assert found == ["f", "a", "d", "b", "c"]


def test_a_page_that_holds_the_last_row_names_no_other(subject: Subject) -> None:
    subject.given(VEHICLE, *map(a_vehicle, ("1", "2")))

    assert subject.find(VEHICLE, limit=1).next == ("011", "1")
    assert subject.find(VEHICLE, limit=2).next is None
    assert subject.find(VEHICLE, limit=3).next is None


def test_the_cursor_says_the_sort_values_of_the_last_row(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"), an_event("b"))
    subject.given(MEMBER, a_member("m", last_name="É", first_name="Ï"), a_member("n", last_name="É", first_name="Ï"))

    assert subject.find(EVENT, limit=1).next == ("2026-05-01T00:00:00.000Z", "a")
    assert subject.find(MEMBER, limit=2).next == ("e", "i", "m")


def test_a_cursor_leads_on_when_its_row_is_gone(subject: Subject) -> None:
    subject.given(VEHICLE, *map(a_vehicle, ("1", "2", "3")))
    cursor = subject.find(VEHICLE, limit=2).next
    subject.delete(VEHICLE, "2")

    assert names(subject.find(VEHICLE, after=cursor), "parc") == ["3"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([Filter("status", "=", "DRAFT")], ["c", "a"]),
        ([Filter("location", "=", "Dépôt")], ["b"]),
        ([Filter("location", "=", "DÉPÔT")], []),
        ([Filter("date", ">=", day(2))], ["c", "b"]),
        ([Filter("date", "<", day(2))], ["a"]),
        ([Filter("date", ">=", day(2)), Filter("date", "<", day(3))], ["b"]),
        ([Filter("date", ">=", day(2)), Filter("status", "=", "DRAFT")], ["c"]),
        ([Filter("status", "=", "ARCHIVED")], []),
    ],
)
def test_a_list_holds_the_rows_that_pass_every_filter(
    subject: Subject, filters: list[Filter], expected: list[str]
) -> None:
    subject.given(
        EVENT,
        an_event("a", date=day(1)),
        an_event("b", date=day(2), status="PUBLISHED", location="Dépôt"),
        an_event("c", date=day(3)),
    )

    assert names(subject.find(EVENT, *filters)) == expected


def test_filters_and_cursors_go_together(subject: Subject) -> None:
    subject.given(VEHICLE, *(a_vehicle(parc, is_public=parc != "3") for parc in "12345"))
    public = Filter("is_public", "=", True)
    first = subject.find(VEHICLE, public, limit=2)

    assert names(first, "parc") == ["1", "2"]
    assert names(subject.find(VEHICLE, public, limit=2, after=first.next), "parc") == ["4", "5"]


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        ("anna@example.org", ["m"]),
        ("ANNA@Example.ORG", ["m"]),
        ("élodie@example.org", ["n"]),
        ("Élodie@example.org", []),
    ],
)
def test_a_folding_filter_ignores_the_case_of_ascii_alone(subject: Subject, sought: str, expected: list[str]) -> None:
    subject.given(MEMBER, a_member("m", email="Anna@Example.org"), a_member("n", email="élodie@example.ORG"))

    assert names(subject.find(MEMBER, Filter("email", "=", sought, fold=True))) == expected


def test_only_an_explicit_false_at_the_top_of_extras_hides_an_event(subject: Subject) -> None:
    hidden = {"h": '{"isVisible": false}', "i": '{"a": [], "isVisible": false}'}
    shown = {
        "a": None,
        "b": "{}",
        "c": '{"isVisible": true}',
        "d": '{"isVisible": null}',
        "e": '{"isVisible": "false"}',
        "f": '{"a": {"isVisible": false}}',
        "g": '{"a": "\\"isVisible\\": false"}',
    }
    subject.given(EVENT, *(an_event(key, extras=extras) for key, extras in (hidden | shown).items()))

    assert names(subject.find(EVENT, Filter("extras", "json", None))) == sorted(shown)


def test_an_event_that_the_public_never_saw_was_never_announced(subject: Subject) -> None:
    subject.given(EVENT, *(an_event(status.lower(), status=status) for status in ("DRAFT", "PUBLISHED", "ARCHIVED")))

    assert names(subject.find(EVENT, Filter("status", "announced", None))) == ["published"]


@pytest.mark.parametrize(
    ("view", "private", "images"),
    [("list", True, False), ("one", True, True), ("public_list", False, False), ("public_one", False, True)],
)
def test_a_view_of_a_vehicle_shows_its_fields(subject: Subject, view: View, *, private: bool, images: bool) -> None:
    gallery = json.dumps([IMAGE, LINK, 5])
    subject.given(VEHICLE, a_vehicle("n° 7", background_image=IMAGE, gallery=gallery))

    in_list = json.loads(subject.find(VEHICLE, view=view).documents[0])
    alone = json.loads(subject.get(VEHICLE, "n° 7", view=view).json)
    address = f"/{'api' if private else 'public'}/vehicles/n%C2%B0%207"

    assert in_list == alone
    assert (in_list.keys() & PRIVATE) == (PRIVATE if private else set())
    assert ("gallery" in in_list, in_list.get("hasGallery")) == ((True, None) if images else (False, True))
    assert ("backgroundImage" in in_list, in_list.get("hasBackgroundImage")) == (
        (True, None) if images else (False, True)
    )
    assert (in_list.get("imageUrl"), in_list.get("galleryUrls")) == (
        (None, None) if images else (f"{address}/image", [f"{address}/gallery/0", LINK, f"{address}/gallery/2"])
    )


def test_a_row_says_every_field_in_the_order_of_the_wire(subject: Subject) -> None:
    [given] = subject.given(
        EVENT,
        an_event(
            "a",
            time="09:30",
            location='"\\\n\x07é🚌',
            adult_price=None,
            max_participants=0,
            extras='{"b": 1, "aa": 2.50}',
        ),
    )

    found = json.loads(subject.get(EVENT, "a").json)
    stamps = {name: found.pop(name) for name in ("createdAt", "updatedAt", "updatedBy", "version")}

    assert stamps == {name: json.loads(given.json)[name] for name in stamps}
    assert list(found.items()) == [
        ("id", "a"), ("title", "Sortie"), ("date", "2026-05-01T00:00:00.000Z"), ("time", "09:30"),
        ("location", '"\\\n\x07é🚌'), ("description", None), ("helloAssoUrl", None), ("layout", None),
        ("adultPrice", None), ("childPrice", None), ("vehicleId", None), ("status", "DRAFT"),
        ("extras", '{"b": 1, "aa": 2.50}'), ("maxParticipants", 0), ("currentParticipants", 0),
    ]  # fmt: skip


def test_no_view_shows_a_members_secrets(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", password_hash="a-hash", token_epoch=7))

    assert b"a-hash" not in subject.get(MEMBER, "m").json + b"".join(subject.find(MEMBER).documents)
    assert not {"passwordHash", "tokenEpoch"} & json.loads(subject.get(MEMBER, "m").json).keys()


def number_of(subject: Subject, parc: str) -> str:
    return str(json.loads(subject.get(VEHICLE, parc).json)["id"])


def test_the_number_of_a_vehicle_addresses_nothing(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("A"), a_vehicle("B", is_public=True))
    number = number_of(subject, "B")

    for key in (number, f"00{number}"):
        with pytest.raises(NotFound):
            subject.get(VEHICLE, key)
        with pytest.raises(NotFound):
            subject.get(VEHICLE, key, Filter("is_public", "=", True))
        with pytest.raises(NotFound):
            subject.update(VEHICLE, key, setting(marque="Saviem"))
        with pytest.raises(NotFound):
            subject.delete(VEHICLE, key)
    assert len(subject.find(VEHICLE).documents) == 2


def test_a_repeated_delete_of_a_parc_leaves_the_vehicle_with_that_number(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920"))
    number = number_of(subject, "920")
    subject.insert(VEHICLE, a_vehicle(number))

    subject.delete(VEHICLE, number)
    with pytest.raises(NotFound):
        subject.delete(VEHICLE, number)

    assert subject.get(VEHICLE, "920").key == "920"


def test_what_names_no_row_is_not_found(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("A"))
    for key in ("", "B", "0", "-1", "1.0", "²", "٣", "2147483648", "00000000001", "9" * 5000):
        with pytest.raises(NotFound):
            subject.get(VEHICLE, key)
        with pytest.raises(NotFound):
            subject.update(VEHICLE, key, setting(marque="Saviem"))
        with pytest.raises(NotFound):
            subject.delete(VEHICLE, key)


def test_a_filter_hides_a_single_row(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("A"), a_vehicle("B", is_public=True))
    public = Filter("is_public", "=", True)

    assert subject.get(VEHICLE, "B", public).key == "B"
    with pytest.raises(NotFound):
        subject.get(VEHICLE, "A", public)


def test_an_answer_says_where_it_comes_from(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))

    origins = [subject.get(EVENT, "a").origin, subject.find(EVENT).origin]

    assert {origin.source for origin in origins} == {"memory" if subject.from_memory else "postgres"}


def test_a_document_names_its_key_and_a_quoted_etag(subject: Subject) -> None:
    [given] = subject.given(EVENT, an_event("a"))
    found = subject.get(EVENT, "a")

    assert (found.key, found.etag) == ("a", given.etag)
    assert found.etag[0] == found.etag[-1] == '"'
