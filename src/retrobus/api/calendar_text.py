"""The public events as an iCalendar text (RFC 5545), which calendar programs subscribe to."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from icalendar import Calendar, Component, Event, Timezone, TimezoneDaylight, TimezoneStandard

ZONE = "Europe/Paris"
"""The zone in which members give the times of events."""

FIRST_RULED = 1997
"""Since this year the clocks of France change by the rules of `_zone`; earlier instants are written in UTC."""

REFRESH = timedelta(hours=1)
"""How often a program may read the calendar again; most decide for themselves."""

SEQUENCE_MAX = 2**31 - 1
"""The largest INTEGER of iCalendar."""

TIMELINE, TIMELINE_STEP = 1 << 32, 1 << 20
"""A failover raises versions by the first number (`LOST` in `database/triggers.py`), and SEQUENCE by the second."""

KEPT, LARGE = 2048, 8192
"""Texts of events that are kept, and bytes above which an event's text is not: 32 MiB at most, 4 MiB in practice."""

END = b"END:VCALENDAR\r\n"

_PARIS = ZoneInfo(ZONE)
_CONTROLS = dict.fromkeys((*range(9), *range(14, 32), *range(127, 160)))
_LINE_ENDS = dict.fromkeys(map(ord, "\r\v\f\x85\u2028\u2029"), "\n")
_ADDRESS = "!#$%&'()*+,/:;=?@[]~"
_STATUS = {"PUBLISHED": "CONFIRMED", "ARCHIVED": "CANCELLED"}


def head(name: str) -> bytes:
    """The lines before the first event: the calendar's name, how often to read it again, and the zone."""
    calendar = Calendar()
    calendar.add("prodid", "-//RétroBus//RétroBus API//FR")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for label in ("name", "x-wr-calname"):
        calendar.add(label, _text(name))
    calendar.add("x-wr-timezone", ZONE)
    calendar.add("refresh-interval", REFRESH, {"VALUE": "DURATION"})
    calendar.add("x-published-ttl", f"PT{REFRESH // timedelta(hours=1)}H")
    calendar.add_component(_zone())
    text: bytes = calendar.to_ical()
    return text.removesuffix(END)


def event_text(document: bytes) -> bytes:
    """One public event, given as JSON, as a VEVENT."""
    return _written(document) if len(document) > LARGE else _kept(document)


def _written(document: bytes) -> bytes:
    event = Event()
    for name, value in _properties(json.loads(document)):
        event.add(name, value)
    text: bytes = event.to_ical()
    return text


_kept = lru_cache(maxsize=KEPT)(_written)


def _properties(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The properties of an event; those without a value are left out."""
    changed = datetime.fromisoformat(row["updatedAt"])
    yield "uid", f"{row['id']}@retrobus"
    yield "sequence", sequence(row["version"])
    yield "dtstamp", changed
    yield "last-modified", changed
    yield "dtstart", start(row["date"], row["time"])
    yield "summary", _text(row["title"])
    yield "status", _STATUS[row["status"]]
    yield "transp", "TRANSPARENT"  # a visitor who subscribes is not busy at every event
    for name in ("location", "description"):
        if row[name]:
            yield name, _text(row[name])
    if str(row["helloAssoUrl"]).lower().startswith(("http://", "https://")):
        yield "url", quote(row["helloAssoUrl"], safe=_ADDRESS)
    if categories := _categories(json.loads(row["extras"] or "{}")):
        yield "categories", categories


def _categories(extras: dict[str, Any]) -> list[str]:
    """The `tags` that clients keep in an event's `extras`."""
    tags = extras.get("tags")
    return [_text(tag) for tag in tags if isinstance(tag, str) and tag.strip()] if isinstance(tags, list) else []


def _text(value: str) -> str:
    """A text without the control characters that iCalendar forbids; every kind of line end is a new line."""
    return value.replace("\r\n", "\n").translate(_CONTROLS | _LINE_ENDS)


def start(day: str, at: str | None) -> date | datetime:
    """The day in Paris; with a time, the instant at which the clocks of Paris show it on that day.

    On the day when the clocks go forward, 02:30 does not exist: it is 03:30, as RFC 5545 says. On the day when they go
    back, 02:30 comes twice: it is the first one.
    """
    found = datetime.fromisoformat(day).astimezone(_PARIS).date()
    if at is None:
        return found
    instant = datetime.combine(found, time.fromisoformat(at), _PARIS).astimezone(UTC)
    return instant if found.year < FIRST_RULED else instant.astimezone(_PARIS)


def sequence(version: int) -> int:
    """A number that grows with the version of a row and fits into an iCalendar.

    For example: version 800 gives 800; after a failover, version 2^32 + 801 gives 2^20 + 801.
    """
    timelines, rest = divmod(version, TIMELINE)
    return min(rest + timelines * TIMELINE_STEP, SEQUENCE_MAX)


def _zone() -> Timezone:
    """The rules by which the clocks of France have changed since 1997; summer time alone began by its rule in 1981."""
    zone = Timezone()
    zone.add("tzid", ZONE)
    summer = _change(TimezoneDaylight(), "CEST", (1, 2), datetime(1981, 3, 29, 2))  # noqa: DTZ001 - a local time
    winter = _change(TimezoneStandard(), "CET", (2, 1), datetime(1996, 10, 27, 3))  # noqa: DTZ001 - a local time
    for change in (summer, winter):
        zone.add_component(change)
    return zone


def _change(found: Component, name: str, hours: tuple[int, int], first: datetime) -> Component:
    """A change of clocks on the last Sunday of a month, from and to these hours ahead of UTC, told by the old clock."""
    before, after = (timedelta(hours=hour) for hour in hours)
    found.add("tzname", name)
    found.add("tzoffsetfrom", before)
    found.add("tzoffsetto", after)
    found.add("dtstart", first)
    found.add("rrule", {"freq": "yearly", "bymonth": first.month, "byday": "-1su"})
    return found
