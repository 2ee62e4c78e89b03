"""Facts about the invented collection."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest

from retrobus.development import sample
from retrobus.model import limits
from retrobus.model.events import EVENT_STATUSES
from retrobus.model.members import MEMBER_STATUSES, MEMBERSHIP_STATUSES, MEMBERSHIP_TYPES, PAYMENT_METHODS
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource

Rows = list[dict[str, object]]
every_collection = pytest.mark.parametrize("rows", [sample.vehicles, sample.events, sample.members])
every_resource = pytest.mark.parametrize(
    ("resource", "rows"), [(VEHICLE, sample.vehicles), (EVENT, sample.events), (MEMBER, sample.members)]
)

OFFICERS = {"BUREAU", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"}


def test_the_collection_is_large_enough_to_fill_every_screen() -> None:
    vehicles, events, members = sample.vehicles(), sample.events(), sample.members()

    assert len(vehicles) >= 14
    assert len(events) >= 42
    assert len(members) >= 62


@every_resource
def test_every_row_fills_all_columns_but_what_the_server_makes(resource: Resource, rows: Callable[[], Rows]) -> None:
    expected = {column.name for column in resource.columns} - resource.machinery - resource.secret

    assert all(set(row) == expected for row in rows())


@every_collection
def test_the_collection_is_the_same_every_time_and_safe_to_change(rows: Callable[[], Rows]) -> None:
    first = rows()
    first[0].clear()

    assert rows()[0]
    assert rows()[1:] == first[1:]


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        (sample.vehicles, "parc"),
        (sample.events, "id"),
        (sample.members, "id"),
        (sample.members, "email"),
        (sample.members, "matricule"),
        (sample.members, "member_number"),
    ],
)
def test_keys_are_unique_without_regard_to_case(rows: Callable[[], Rows], column: str) -> None:
    keys = [str(row[column]).casefold() for row in rows() if row[column] is not None]

    assert len(keys) == len(set(keys))


@every_resource
def test_texts_respect_their_limits_and_are_clean(resource: Resource, rows: Callable[[], Rows]) -> None:
    for column, text in _texts(rows()):
        assert len(text) <= (getattr(resource.table.c[column].type, "length", None) or limits.URL)
        assert unicodedata.is_normalized("NFC", text)
        assert not any(unicodedata.category(character) == "Cc" for character in text)
        assert text == text.strip() != ""


@every_collection
def test_timestamps_are_moments_in_utc(rows: Callable[[], Rows]) -> None:
    moments = [value for row in rows() for value in row.values() if isinstance(value, datetime)]

    assert moments
    assert {moment.tzinfo for moment in moments} == {UTC}
    assert all(limits.FIRST_YEAR <= moment.year <= limits.LAST_YEAR for moment in moments)


def test_money_has_two_decimals_and_is_never_negative() -> None:
    amounts = [
        row[column]
        for row in sample.events() + sample.members()
        for column in ("adult_price", "child_price", "payment_amount")
        if row.get(column) is not None
    ]

    assert all(isinstance(amount, Decimal) and amount >= 0 for amount in amounts)
    assert {cast("Decimal", amount).as_tuple().exponent for amount in amounts} == {-2}


def test_fuel_is_a_percentage_and_mileage_is_never_negative() -> None:
    for vehicle in sample.vehicles():
        fuel, mileage = vehicle["fuel"], vehicle["mileage"]

        assert fuel is None or (isinstance(fuel, float) and 0 <= fuel <= limits.FUEL_MAX)
        assert mileage is None or (isinstance(mileage, float) and mileage >= 0)


def test_vehicle_documents_have_the_shape_clients_expect() -> None:
    for vehicle in sample.vehicles():
        caracteristiques = json.loads(str(vehicle["caracteristiques"]))
        gallery = json.loads(str(vehicle["gallery"]))

        assert all(set(entry) == {"label", "value"} for entry in caracteristiques)
        assert all(url.startswith("https://images.example.org/") for url in gallery)


def test_the_citaro_920_is_public_but_some_vehicles_are_not() -> None:
    public = {vehicle["parc"] for vehicle in sample.vehicles() if vehicle["is_public"]}

    assert "920" in public
    assert len(public) < len(sample.vehicles())


def test_an_event_names_a_vehicle_of_the_collection_or_none() -> None:
    parcs = {vehicle["parc"] for vehicle in sample.vehicles()}
    named = {event["vehicle_id"] for event in sample.events()}

    assert None in named
    assert named - {None} <= parcs


def test_events_cover_every_status_and_both_visibilities() -> None:
    statuses = {event["status"] for event in sample.events()}
    extras = [json.loads(str(event["extras"])) for event in sample.events() if event["extras"] is not None]

    assert statuses == set(EVENT_STATUSES)
    assert {entry["isVisible"] for entry in extras} == {True, False}


def test_event_ids_and_times_are_well_formed() -> None:
    for event in sample.events():
        assert re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", str(event["id"]))
        assert event["time"] is None or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", str(event["time"]))


def test_no_event_has_more_participants_than_places() -> None:
    for event in sample.events():
        places, taken = event["max_participants"], event["current_participants"]

        assert isinstance(taken, int)
        assert places is None or (isinstance(places, int) and taken <= places)


def test_every_address_and_number_of_a_member_is_fictional() -> None:
    for member in sample.members():
        assert re.fullmatch(r"[a-z0-9.-]+@example\.org", str(member["email"]))
        assert member["phone"] is None or re.fullmatch(r"01 99 00 \d\d \d\d", str(member["phone"]))


def test_members_show_every_type_and_status_and_way_to_pay() -> None:
    members = sample.members()

    assert {member["membership_type"] for member in members} == set(MEMBERSHIP_TYPES)
    assert {member["membership_status"] for member in members} == set(MEMBERSHIP_STATUSES)
    assert {member["payment_method"] for member in members} == {None, *PAYMENT_METHODS}
    assert {member["status"] for member in members} == set(MEMBER_STATUSES)


def test_every_office_is_held_and_no_member_is_an_administrator() -> None:
    roles = {member["role"] for member in sample.members()}

    assert roles == OFFICERS | {"MEMBER", "DRIVER"}


def test_no_member_has_a_password() -> None:
    assert all("password" not in member for member in sample.members())


def test_the_member_who_recorded_another_comes_before_that_member() -> None:
    known: set[object] = {None}
    for member in sample.members():
        assert member["created_by"] in known
        known.add(member["id"])


def test_a_membership_ends_after_it_starts() -> None:
    for member in sample.members():
        start, end = member["membership_start_date"], member["membership_end_date"]

        assert end is None or (isinstance(start, datetime) and isinstance(end, datetime) and start < end)


def _texts(rows: Rows) -> Iterator[tuple[str, str]]:
    return ((column, value) for row in rows for column, value in row.items() if isinstance(value, str))
