"""Whatever JSON a client sends in whatever field: never a 5xx, and what is accepted reads back as it was sent."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB

from harness import Api, Person
from retrobus.model.columns import Moment
from retrobus.model.events import EVENT_STATUSES
from retrobus.model.members import MEMBER_STATUSES, MEMBERSHIP_STATUSES, MEMBERSHIP_TYPES, PAYMENT_METHODS
from retrobus.model.resources import BY_NAME
from routes import EVENT, MEMBER, VEHICLE, stocked
from rows import BODIES

ROWS = {"event": EVENT, "vehicle": VEHICLE, "member": MEMBER}
OURS = {
    "id",
    "version",
    "created_at",
    "updated_at",
    "updated_by",
    "created_by",
    "current_participants",
    "password_hash",
    "token_epoch",
}
KEYS = {"parc", "email", "member_number", "matricule"}
TRIMMED = {"title", "email", "matricule", "parc", "vehicle_id"}

CHOICES = {
    "status": (*EVENT_STATUSES, *MEMBER_STATUSES), "time": ("09:30", "23:59"), "role": ("BUREAU",),
    "membership_type": MEMBERSHIP_TYPES, "membership_status": MEMBERSHIP_STATUSES,
    "payment_method": PAYMENT_METHODS, "vehicle_id": (VEHICLE, 920), "email": ("Élan@example.org",),
}  # fmt: skip

texts = st.text(st.characters(), max_size=20)
lines = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"), exclude_characters="/:"), max_size=30
)
amounts = st.integers(0, 10**4).map(lambda cents: cents / 100)
numbers = st.integers(-5, 10**7) | st.floats() | st.integers() | amounts
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts | lines,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
sane = st.recursive(
    st.none() | st.booleans() | amounts | lines, lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1801, 1, 1), datetime(2199, 1, 1), timezones=zones)  # noqa: DTZ001 - the zone is drawn
days = st.dates(date(1800, 1, 1), date(2200, 12, 31))
pairs = st.lists(st.fixed_dictionaries({}, optional={"label": lines | amounts, "value": lines | st.none()}), max_size=3)


def _likely(column: Column[Any]) -> st.SearchStrategy[Any]:
    """Values that this column takes, but for rare exceptions."""
    if column.name in CHOICES:
        return st.sampled_from(CHOICES[column.name])
    if isinstance(column.type, JSONB):
        special = {"extras": st.dictionaries(lines, sane, max_size=3), "caracteristiques": pairs}
        found = special.get(column.name, st.lists(lines, max_size=3))
        return found | found.map(json.dumps)
    kinds: tuple[tuple[Any, st.SearchStrategy[Any]], ...] = (
        (Moment, moments.map(datetime.isoformat) | days.map(str)),
        (Boolean, st.booleans()),
        (Integer, st.integers(0, 10**6) | st.integers(0, 10**6).map(str)),
        (Float | Numeric, amounts | amounts.map(str) | st.integers(0, 100)),
    )
    return next((found for type_, found in kinds if isinstance(column.type, type_)), lines)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _meant(column: Column[Any], sent: Any) -> Any:
    """What a value that was accepted means, independently of how the service reads it."""
    if sent is None or (isinstance(sent, str) and not sent.strip()):
        return None if column.nullable else [] if isinstance(column.type, JSONB) else sent
    if isinstance(column.type, JSONB):
        return _json_meant(column, json.loads(sent) if isinstance(sent, str) else sent)
    if isinstance(column.type, Moment):
        found = datetime.fromisoformat(sent)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        return f"{found:%Y-%m-%dT%H:%M:%S}.{found.microsecond // 1000:03d}Z"
    if isinstance(column.type, Boolean):
        return sent
    if isinstance(column.type, Integer | Float | Numeric):
        return float(Decimal(str(sent)))
    text = normalize("NFC", str(sent))
    return (
        text.strip()
        if column.name in TRIMMED
        else text.lower()
        if column.name == "status" and text[0] in "at"
        else text
    )


def _json_meant(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None if column.nullable else []
    if column.name == "caracteristiques":
        return [{name: _text(item.get(name)) for name in ("label", "value")} for item in value]
    if column.name in {"gallery", "permissions"}:
        return [normalize("NFC", item) for item in value]
    return json.loads(json.dumps(value), parse_int=float)


def _text(value: Any) -> str:
    return "" if value is None else normalize("NFC", str(value))


def _shown(column: Column[Any], row: Any) -> Any:
    shown = row[_camel(column.name)]
    if column.name == "extras" and shown is not None:
        return json.loads(shown, parse_int=float)
    return shown


def _sent(api: Api, who: Person, method: str, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"} | who.headers
    answer = api.request(method, path, content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code < 500, (body, answer.text)
    return answer.json() if answer.is_success else None


@pytest.mark.parametrize("name", ROWS)
def test_what_is_accepted_reads_back_as_it_was_sent_and_the_rest_changes_nothing(api: Api, name: str) -> None:
    admin = stocked(api)
    path = f"/api/{name}s/{ROWS[name]}"
    columns = [c for c in BY_NAME[name.capitalize()].columns if c.name not in {*OURS, "parc"}]

    @settings(max_examples=150)
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        column = data.draw(st.sampled_from(columns))
        value = data.draw(_likely(column) | anything | anything.map(json.dumps))
        before = api.get(path, headers=admin.headers).json()

        answered = _sent(api, admin, "PATCH", path, {_camel(column.name): value})

        after = api.get(path, headers=admin.headers).json()
        if answered is None:
            assert after == before
        else:
            assert _shown(column, answered) == _meant(column, value)
            assert after == answered

    try_one()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_many_random_fields_is_stored_whole_or_refused(api: Api, name: str) -> None:
    admin = stocked(api)
    columns = [c for c in BY_NAME[name.capitalize()].columns if c.name not in OURS]
    bodies = st.fixed_dictionaries({}, optional={_camel(c.name): _likely(c) for c in columns if c.name not in KEYS})

    @settings(max_examples=40)
    @given(bodies)
    def try_one(body: dict[str, Any]) -> None:
        body = BODIES[f"{name}s"]() | body

        answered = _sent(api, admin, "POST", f"/api/{name}s", body)

        if answered is not None:
            shown = {column.name: _shown(column, answered) for column in columns if _camel(column.name) in body}
            assert shown == {c.name: _meant(c, body[_camel(c.name)]) for c in columns if c.name in shown}

    try_one()
