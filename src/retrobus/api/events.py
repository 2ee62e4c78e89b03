"""Events: read by every member, written by managers."""

from fastapi import Response

from retrobus.api.answers import DONE, created, listing, row
from retrobus.api.bodies import Body
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import one_of, period, text
from retrobus.api.rights import MANAGERS_ONLY, MEMBERS
from retrobus.api.sheets import DIALECT, SHEET, sheet
from retrobus.model.events import EVENT_STATUSES, EventChange, EventCreation
from retrobus.model.patterns import EVENT_KEY
from retrobus.model.resources import EVENT
from retrobus.store.contract import Delete, Document, Insert, Page, Update

router = Routes("events", "/api/events", id=EVENT_KEY)
FILTERS = (one_of("status", EVENT_STATUSES), *period("date"), text("vehicleId"))
CHANGE = Body(EventChange, EVENT)


@router.declare(Route("GET", "", MEMBERS, listing("EventList", "events"), filters=FILTERS))
async def list_events(call: Call) -> Page:
    """Events by date, the latest first; `from` is inclusive, `to` exclusive."""
    return await call.store.find(EVENT, call.query(EVENT, "list"), caller=call.who)


@router.declare(Route("GET", ".csv", MEMBERS, SHEET, filters=FILTERS, asks=DIALECT))
async def export_events(call: Call) -> Response:
    """Every event that passes the filters, as a CSV file for spreadsheets."""
    return await sheet(call, EVENT)


@router.declare(Route("POST", "", MANAGERS_ONLY, created("Event"), body=Body(EventCreation, EVENT)))
async def create_event(call: Call) -> Document:
    """Creates an event; the id is the client's own slug, or a UUID of ours."""
    values = call.values | {"id": call.values.get("id") or call.new_id()}
    return await call.store.write(Insert(EVENT, values, call.terms()))


@router.declare(Route("GET", "/{id}", MEMBERS, row("Event")))
async def get_event(call: Call) -> Document:
    """One event."""
    return await call.store.get(EVENT, call.key, view="one", caller=call.who)


@router.declare(Route("PUT", "/{id}", MANAGERS_ONLY, row("Event"), body=CHANGE))
@router.declare(Route("PATCH", "/{id}", MANAGERS_ONLY, row("Event"), body=CHANGE, name="patchEvent"))
async def update_event(call: Call) -> Document:
    """Changes the fields that are sent; a missing field stays as it is."""
    return await call.store.write(Update(EVENT, call.key, call.values, call.terms()))


@router.declare(Route("DELETE", "/{id}", MANAGERS_ONLY, DONE))
async def delete_event(call: Call) -> Document:
    """Deletes an event for good; its tombstone keeps it from coming back by itself."""
    return await call.store.write(Delete(EVENT, call.key, call.terms()))
