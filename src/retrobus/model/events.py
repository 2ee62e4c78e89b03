"""Events: their table, and what clients may send of one."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator
from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, text

from retrobus.model import columns as column
from retrobus.model.fields import (
    UNCHANGED,
    EventId,
    Extras,
    Instant,
    Long,
    Money,
    OrNull,
    Parc,
    Participants,
    Short,
    Time,
    Title,
    Url,
    Wire,
)
from retrobus.model.jsonvalues import none_is_null
from retrobus.model.limits import PARC, PARTICIPANTS_MAX, TITLE, URL
from retrobus.model.resource import Order, Resource

Status = Literal["DRAFT", "PUBLISHED", "ARCHIVED"]
EVENT_STATUSES: tuple[str, ...] = get_args(Status)

event = Table(
    "event",
    column.metadata,
    column.labelled("Identifiant", column.key("id", "{} ~ '^[A-Za-z0-9._~-]+$' AND {} NOT IN ('.', '..')")),
    column.labelled("Titre", column.words("title", TITLE, "btrim({}) <> ''", nullable=False)),
    column.labelled("Date", column.moment("date", nullable=False)),
    column.labelled("Heure", column.words("time", 5, "{} ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'")),
    column.labelled("Lieu", column.words("location")),
    column.labelled("Description", column.prose("description")),
    column.labelled("Lien HelloAsso", column.words("hello_asso_url", URL)),
    column.labelled("Mise en page", column.words("layout")),
    column.labelled("Tarif adulte", column.money("adult_price")),
    column.labelled("Tarif enfant", column.money("child_price")),
    column.labelled(
        "Véhicule",
        Column(
            "vehicle_id",
            String(PARC, collation="C"),
            ForeignKey("vehicle.parc", name="event_vehicle_id_fkey", ondelete="SET NULL", onupdate="CASCADE"),
        ),
    ),
    column.labelled("État", column.choice("status", EVENT_STATUSES, default="DRAFT")),
    column.labelled("Données libres", column.json_as_text("extras")),
    column.labelled("Participants au plus", column.number("max_participants", Integer(), PARTICIPANTS_MAX)),
    column.labelled(
        "Participants inscrits", column.number("current_participants", Integer(), PARTICIPANTS_MAX, default="0")
    ),
    *column.stamps(),
    column.public_version(),
    *column.wire("wire_public", "wire_private"),
    Index("event_date_id", text("date DESC"), "id"),
    Index("event_vehicle_id_date_id", "vehicle_id", text("date DESC"), "id"),
    Index("event_status_date_id", "status", text("date DESC"), "id"),
    Index("event_version", "version"),
    Index("event_public_version", "public_version", postgresql_where=text("public_version IS NOT NULL")),
)

EVENT = Resource(
    name="Event",
    plural="events",
    label="événements",
    singular="événement",
    table=event,
    key="id",
    order=(Order("date", descending=True), Order("id")),
    unique=(),
    reference="vehicle_id",
    private=("updated_by",),
    published="{0}.status = 'PUBLISHED' AND ({0}.extras -> 'isVisible') IS DISTINCT FROM 'false'::jsonb",
)


class EventChange(Wire):
    """Fields of an event that a client may change."""

    title: Title = UNCHANGED
    date: Instant = UNCHANGED
    time: OrNull[Time] = UNCHANGED
    location: OrNull[Short] = UNCHANGED
    description: OrNull[Long] = UNCHANGED
    hello_asso_url: OrNull[Url] = UNCHANGED
    layout: OrNull[Short] = UNCHANGED
    adult_price: OrNull[Money] = UNCHANGED
    child_price: OrNull[Money] = UNCHANGED
    vehicle_id: OrNull[Parc] = UNCHANGED
    status: Status = UNCHANGED
    extras: Annotated[Extras | None, BeforeValidator(none_is_null)] = UNCHANGED
    max_participants: OrNull[Participants] = UNCHANGED


class EventCreation(EventChange):
    """A new event: title and date are needed, the id is the client's or ours."""

    id: OrNull[EventId] = UNCHANGED
    title: Title
    date: Instant
