"""Events: their table, and what clients may send of one."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator
from sqlalchemy import Column, ForeignKey, Index, Integer, Numeric, String, Table, text

from retrobus.model.columns import (
    at_most,
    between,
    check,
    in_years,
    json_as_text,
    metadata,
    moment,
    one_of,
    prose,
    small_json,
    stamps,
    wire,
    words,
)
from retrobus.model.fields import (
    NULLABLE,
    UNCHANGED,
    EventId,
    Extras,
    Instant,
    Long,
    Money,
    Parc,
    Participants,
    Short,
    Time,
    Title,
    Url,
    Wire,
)
from retrobus.model.jsonvalues import none_is_null
from retrobus.model.limits import KEY, MONEY_MAX, PARC, PARTICIPANTS_MAX, SHORT, TITLE, URL

Status = Literal["DRAFT", "PUBLISHED", "ARCHIVED"]
EVENT_STATUSES: tuple[str, ...] = get_args(Status)

event = Table(
    "event",
    metadata,
    Column("id", String(KEY, collation="C"), primary_key=True),
    words("title", TITLE, nullable=False),
    moment("date", nullable=False),
    words("time", 5),
    words("location", SHORT),
    prose("description"),
    words("hello_asso_url", URL),
    words("layout", SHORT),
    Column("adult_price", Numeric(9, 2)),
    Column("child_price", Numeric(9, 2)),
    Column(
        "vehicle_id",
        String(PARC, collation="C"),
        ForeignKey("vehicle.parc", name="event_vehicle_id_fkey", ondelete="SET NULL", onupdate="CASCADE"),
    ),
    words("status", 20, nullable=False, default="DRAFT"),
    json_as_text("extras"),
    Column("max_participants", Integer),
    Column("current_participants", Integer, nullable=False, server_default=text("0")),
    *stamps(),
    *wire("wire"),
    Index("event_date_id", text("date DESC"), "id"),
    Index("event_vehicle_id", "vehicle_id"),
    Index("event_version", "version"),
    check("event", "id", "id ~ '^[A-Za-z0-9._~-]+$' AND id NOT IN ('.', '..')"),
    check("event", "title", "btrim(title) <> ''"),
    in_years("event", "date"),
    check("event", "time", "time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'"),
    at_most("event", "description"),
    between("event", "adult_price", 0, MONEY_MAX),
    between("event", "child_price", 0, MONEY_MAX),
    one_of("event", "status", EVENT_STATUSES),
    small_json("event", "extras", "object"),
    between("event", "max_participants", 0, PARTICIPANTS_MAX),
    between("event", "current_participants", 0, PARTICIPANTS_MAX),
    info={"resource": "Event", "key": "id", "order": (("date", "desc"), ("id", "asc"))},
)


class EventChange(Wire):
    """Fields of an event that a client may change."""

    title: Title = UNCHANGED
    date: Instant = UNCHANGED
    time: Annotated[Time | None, NULLABLE] = UNCHANGED
    location: Annotated[Short | None, NULLABLE] = UNCHANGED
    description: Annotated[Long | None, NULLABLE] = UNCHANGED
    hello_asso_url: Annotated[Url | None, NULLABLE] = UNCHANGED
    layout: Annotated[Short | None, NULLABLE] = UNCHANGED
    adult_price: Annotated[Money | None, NULLABLE] = UNCHANGED
    child_price: Annotated[Money | None, NULLABLE] = UNCHANGED
    vehicle_id: Annotated[Parc | None, NULLABLE] = UNCHANGED
    status: Status = UNCHANGED
    extras: Annotated[Extras | None, BeforeValidator(none_is_null)] = UNCHANGED
    max_participants: Annotated[Participants | None, NULLABLE] = UNCHANGED


class EventCreation(EventChange):
    """A new event: title and date are needed, the id is the client's or ours."""

    id: Annotated[EventId | None, NULLABLE] = UNCHANGED
    title: Title
    date: Instant
