"""The calendars of public events, as calendar programs read them: by icalendar, and by vobject to agree with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import vobject  # type: ignore[import-untyped]  # no types are published with it
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Api, Person
from retrobus.api import calendar_text
from rows import create

PARIS = ZoneInfo("Europe/Paris")
ALL, OF_920 = "/public/events.ics", "/public/vehicles/920/events.ics"


@dataclass(frozen=True)
class Entry:
    """One event of a calendar, as a program reads it; an instant is in UTC."""

    uid: str
    start: date
    summary: str
    status: str
    sequence: int
    changed: datetime
    location: str | None
    description: str | None
    url: str | None
    categories: tuple[str, ...]


def read(content: bytes) -> list[Entry]:
    """The events of a calendar, on which both readers agree."""
    found = [_by_icalendar(event) for event in icalendar.Calendar.from_ical(content).walk("VEVENT")]
    assert found == [_by_vobject(event) for event in vobject.readOne(content.decode()).contents.get("vevent", [])]
    return found


def _by_icalendar(event: Any) -> Entry:
    texts = {name: None if name not in event else str(event[name]) for name in ("location", "description", "url")}
    categories = () if "categories" not in event else tuple(str(word) for word in event["categories"].cats)
    assert event["last-modified"].dt == event["dtstamp"].dt
    return Entry(
        uid=str(event["uid"]),
        start=_in_utc(event["dtstart"].dt),
        summary=str(event["summary"]),
        status=str(event["status"]),
        sequence=event["sequence"],
        changed=event["dtstamp"].dt,
        categories=categories,
        **texts,
    )


def _by_vobject(event: Any) -> Entry:
    def value(name: str) -> str | None:
        return event.contents[name][0].value if name in event.contents else None

    return Entry(
        uid=event.uid.value,
        start=_in_utc(event.dtstart.value),
        summary=event.summary.value,
        status=event.status.value,
        sequence=int(event.sequence.value),
        changed=event.dtstamp.value.astimezone(UTC),
        location=value("location"),
        description=value("description"),
        url=value("url"),
        categories=tuple(value("categories") or ()),
    )


def _in_utc(found: date) -> date:
    return found.astimezone(UTC) if isinstance(found, datetime) else found


def calendar(api: Api, path: str = ALL) -> list[Entry]:
    """The events of a calendar."""
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    return read(answer.content)


def change(api: Api, who: Person, key: str = "sortie", **fields: object) -> None:
    assert api.patch(f"/api/events/{key}", json=fields, headers=who.headers).status_code == 200


def text_of(*events: Mapping[str, object]) -> bytes:
    """A calendar of events that have these fields."""
    row = {
        "id": "sortie", "title": "Sortie", "date": "2026-05-01T00:00:00.000Z", "time": None, "location": None,
        "description": None, "helloAssoUrl": None, "status": "PUBLISHED", "extras": None, "version": 7,
        "updatedAt": "2026-04-01T12:00:00.000Z",
    }  # fmt: skip
    texts = (calendar_text.event_text(json.dumps({**row, **fields}).encode()) for fields in events)
    return calendar_text.head("RétroBus") + b"".join(texts) + calendar_text.END


def test_published_events_are_in_the_calendar_newest_first(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc="920")
    create(
        api, manager, "events", id="sortie", status="PUBLISHED", date="2026-05-01", time="09:30", vehicleId="920",
        title="Sortie ; « 920 », dépôt", location="1, rue du Dépôt; Lyon", description="Ligne 1\nLigne 2, \\ fin 🚌",
        helloAssoUrl="https://example.org/don?a=1&b=é", extras={"tags": ["balade", "en famille, dehors", 7, " "]},
    )  # fmt: skip
    create(api, manager, "events", id="autre", status="PUBLISHED", date="2026-06-01", title="Autre")

    every = calendar(api)

    assert [event.uid for event in every] == ["autre@retrobus", "sortie@retrobus"]
    assert calendar(api, OF_920) == every[1:]
    assert calendar(api, "/api/public/events.ics") == every
    first, last = every
    assert (first.location, first.description, first.url, first.categories) == (None, None, None, ())
    assert (last.summary, last.location) == ("Sortie ; « 920 », dépôt", "1, rue du Dépôt; Lyon")
    assert (last.description, last.url) == ("Ligne 1\nLigne 2, \\ fin 🚌", "https://example.org/don?a=1&b=%C3%A9")
    assert (last.categories, last.status) == (("balade", "en famille, dehors"), "CONFIRMED")
    assert last.start == datetime(2026, 5, 1, 7, 30, tzinfo=UTC)


def test_a_calendar_without_events_is_a_calendar(api: Api) -> None:
    assert calendar(api) == []


def test_only_what_the_public_saw_is_in_the_calendar(api: Api, manager: Person) -> None:
    for key, status, extras in (
        ("brouillon", "DRAFT", None),
        ("jamais-public", "ARCHIVED", None),
        ("invisible", "PUBLISHED", {"isVisible": False}),
        ("publie", "PUBLISHED", None),
        ("annule", "PUBLISHED", None),
        ("annule-et-invisible", "PUBLISHED", None),
        ("retire-puis-archive", "PUBLISHED", None),
        ("archive-puis-change", "PUBLISHED", None),
        ("supprime", "PUBLISHED", None),
    ):
        create(api, manager, "events", id=key, status=status, extras=extras)
    change(api, manager, "annule", status="ARCHIVED")
    change(api, manager, "annule-et-invisible", status="ARCHIVED", extras={"isVisible": False})
    change(api, manager, "retire-puis-archive", status="DRAFT")
    change(api, manager, "retire-puis-archive", status="ARCHIVED", title="Ce que le public n'a jamais vu")
    change(api, manager, "archive-puis-change", status="ARCHIVED")
    change(api, manager, "archive-puis-change", description="Ce que le public n'a jamais vu")
    assert api.delete("/api/events/supprime", headers=manager.headers).status_code == 200

    assert {event.uid: event.status for event in calendar(api)} == {
        "annule@retrobus": "CANCELLED",
        "publie@retrobus": "CONFIRMED",
    }


def test_an_event_keeps_its_uid_and_its_sequence_grows(api: Api, manager: Person) -> None:
    create(api, manager, "events", id="sortie", status="PUBLISHED")
    seen = calendar(api)
    for fields in ({"title": "Autre titre"}, {"time": "10:00"}, {"status": "ARCHIVED"}, {"status": "PUBLISHED"}):
        change(api, manager, **fields)
        seen += calendar(api)
    row = api.get("/public/events/sortie").json()

    assert {event.uid for event in seen} == {"sortie@retrobus"}
    sequences = [event.sequence for event in seen]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 5
    assert seen[-1].changed == datetime.fromisoformat(row["updatedAt"]).replace(microsecond=0)


def test_the_sequence_grows_across_a_failover_and_stays_an_integer_of_icalendar() -> None:
    versions = [1, 2, 800, 2**32 - 1, 2**32 + 801, 2 * 2**32 + 802, 2**53]

    first, second, third, *others = (calendar_text.sequence(version) for version in versions)

    assert (first, second, third) == (1, 2, 800)
    assert others == [2**31 - 1, 2**20 + 801, 2 * 2**20 + 802, 2**31 - 1]


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        ("2026-05-01", None, date(2026, 5, 1)),
        ("2026-04-30T22:00:00Z", None, date(2026, 5, 1)),
        ("2026-12-31T22:59:59.999Z", None, date(2026, 12, 31)),
        ("2026-12-31T23:00:00Z", None, date(2027, 1, 1)),
        ("2200-12-31T23:59:59Z", None, date(2201, 1, 1)),
        ("2026-01-15", "00:00", datetime(2026, 1, 14, 23, 0, tzinfo=UTC)),
        ("2026-07-15", "23:59", datetime(2026, 7, 15, 21, 59, tzinfo=UTC)),
        ("2026-03-29", "01:59", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29", "02:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-03-29", "02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-03-29", "03:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-10-25", "01:59", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        ("2026-10-25", "02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25", "03:00", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        ("1996-12-31", "12:00", datetime(1996, 12, 31, 11, 0, tzinfo=UTC)),
        ("1995-10-01", "12:00", datetime(1995, 10, 1, 11, 0, tzinfo=UTC)),
        ("1942-08-01", "12:00", datetime(1942, 8, 1, 10, 0, tzinfo=UTC)),
    ],
)
def test_an_event_begins_when_the_clocks_of_paris_say_so(
    api: Api, manager: Person, day: str, at: str | None, expected: date
) -> None:
    create(api, manager, "events", status="PUBLISHED", date=day, time=at)

    (event,) = calendar(api)

    assert event.start == expected


def test_both_readers_know_the_clocks_of_every_day_by_the_calendar_alone() -> None:
    days = [date(1997, 1, 1) + timedelta(days=number) for number in range(0, 16_000, 97)]
    changes = [date(year, month, day) for year in range(1997, 2041, 3) for month in (3, 10) for day in range(25, 32)]

    events = read(text_of(*({"date": day.isoformat(), "time": "03:15"} for day in (*days, *changes))))

    assert [event.start for event in events] == [
        datetime(day.year, day.month, day.day, 3, 15, tzinfo=PARIS) for day in (*days, *changes)
    ]


WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029") | st.sampled_from("\\;,:\"'\t\n"),
    max_size=200,
)


@given(title=WORDS, description=WORDS, tags=st.lists(WORDS, max_size=3))
@settings(max_examples=150)
def test_any_text_comes_back_as_it_was(title: str, description: str, tags: list[str]) -> None:
    extras = json.dumps({"tags": tags, "isVisible": True})
    content = text_of({"title": title, "description": description, "extras": extras})

    (event,) = read(content)

    assert (event.summary, event.description or "") == (title, description)
    assert event.categories == tuple(tag for tag in tags if tag.strip())
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert [line for line in lines if b"\n" in line or b"\r" in line] == []
    assert [line.decode() for line in lines]


def test_what_only_sql_can_write_makes_no_line_of_its_own(api: Api) -> None:
    api.sql(
        "INSERT INTO event (id, title, date, status, location, description, hello_asso_url, extras) VALUES ("
        "'sortie', E'Titre\\x07\\rUID:autre\\x1b', '2026-05-01', 'PUBLISHED', E'a\\u0085b\\u2028c\\x0bd', "
        "E'1\\r\\n2\\r3\\nEND:VEVENT\\x01', E'https://example.org/\\r\\nATTACH:x', "
        '\'{"tags": "balade", "isVisible": true}\')'
    )

    (event,) = calendar(api)

    assert (event.uid, event.summary, event.location) == ("sortie@retrobus", "Titre\nUID:autre", "a\nb\nc\nd")
    assert (event.description, event.url) == ("1\n2\n3\nEND:VEVENT", "https://example.org/%0D%0AATTACH:x")
    assert event.categories == ()


@pytest.mark.parametrize("address", ["/uploads/affiche.pdf", "billetterie.example.org", "javascript:alert(1)"])
def test_only_an_address_of_the_web_is_told(address: str) -> None:
    (event,) = read(text_of({"helloAssoUrl": address}))

    assert event.url is None


@pytest.mark.parametrize("path", [ALL, OF_920])
def test_a_reader_who_has_the_calendar_is_told_so(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "vehicles", parc="920")
    create(api, manager, "events", id="sortie", status="PUBLISHED", vehicleId="920")
    first = api.get(path)

    again = api.get(path, headers={"If-None-Match": first.headers["ETag"]})
    head = api.head(path)
    change(api, manager, title="Autre titre")
    changed = api.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert {answer.headers["ETag"] for answer in (first, again, head)} == {first.headers["ETag"]}
    assert {answer.headers["Cache-Control"] for answer in (first, again, head)} == {"no-cache"}
    assert {answer.headers["X-Data-Source"] for answer in (first, again, head)} == {"postgres"}
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(first.content))
    assert (changed.status_code, [event.summary for event in read(changed.content)]) == (200, ["Autre titre"])


def test_the_calendar_is_a_file_with_a_name(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", parc='Été "1"')

    answers = [api.get(path) for path in (ALL, "/public/vehicles/Été%20%221%22/events.ics")]

    assert [answer.headers["Content-Type"] for answer in answers] == ["text/calendar; charset=utf-8"] * 2
    assert [answer.headers["Content-Disposition"] for answer in answers] == [
        "attachment; filename=\"retrobus.ics\"; filename*=UTF-8''retrobus.ics",
        "attachment; filename=\"retrobus.ics\"; filename*=UTF-8''retrobus-%C3%89t%C3%A9%20%221%22.ics",
    ]
    names = [vobject.readOne(answer.text).contents["x-wr-calname"][0].value for answer in answers]
    assert names == ["RétroBus", 'RétroBus – Été "1"']
    assert {b"REFRESH-INTERVAL;VALUE=DURATION:PT1H", b"X-PUBLISHED-TTL:PT1H"} <= {*answers[0].content.split(b"\r\n")}


@pytest.mark.parametrize("parc", ["920", "inconnu"])
def test_a_vehicle_that_is_not_public_has_no_calendar(api: Api, manager: Person, parc: str) -> None:
    create(api, manager, "vehicles", parc="920", isPublic=False)
    create(api, manager, "events", status="PUBLISHED", vehicleId="920")

    answers = [api.get(f"/public/vehicles/{parc}/events{end}") for end in (".ics", "")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 2


def test_the_calendar_has_the_latest_thousand_events(api: Api) -> None:
    api.sql(
        "INSERT INTO event (id, title, date, status) SELECT 'e' || n, 'Sortie', '2026-01-01'::date + n, 'PUBLISHED' "
        "FROM generate_series(1, 1003) AS n"
    )

    found = list(_uids(api.get(ALL).content))

    assert found == [f"e{number}@retrobus" for number in range(1003, 3, -1)]


def _uids(content: bytes) -> Iterator[str]:
    return (line.decode()[4:] for line in content.split(b"\r\n") if line.startswith(b"UID:"))
