"""Events: read by every member, written by managers."""

from fastapi import APIRouter, Request, Response

from retrobus.api.reference import described
from retrobus.api.service import (
    answered,
    caller,
    done,
    equal,
    listed,
    manager,
    once,
    one_of,
    page_query,
    period,
    query_of,
    read_object,
    service,
    terms,
    validated,
)
from retrobus.model.events import EVENT_STATUSES, EventChange, EventCreation
from retrobus.model.ids import new_id
from retrobus.model.resources import EVENT
from retrobus.store.contract import Delete, Insert, Terms, Update

router = APIRouter(prefix="/api/events", tags=["events"])


@router.get(
    "",
    operation_id="listEvents",
    **described("EventList", "list", "read", filters=("status", "from", "to", "vehicleId")),
)
async def list_events(request: Request) -> Response:
    """Events by date, the latest first; `from` is inclusive, `to` exclusive."""
    who = caller(request)
    values = query_of(request, "status", "from", "to", "vehicleId", "limit", "cursor")
    filters = one_of(values, "status", EVENT_STATUSES) + equal(values, "vehicleId")
    query = page_query(EVENT, values, view="list", filters=[*filters, *period(values, "date")])
    return listed(await service(request).store.find(EVENT, query, caller=who), request, "events")


@router.post("", operation_id="createEvent", status_code=201, **described("Event", "create", body="EventCreation"))
async def create_event(request: Request) -> Response:
    """Creates an event; the id is the client's own slug, or a UUID of ours."""
    who = manager(request)
    values = validated(EventCreation, await read_object(request), EVENT)
    key = once(request)
    values["id"] = values.get("id") or new_id(who.id, key.key if key else None)
    document = await service(request).store.write(Insert(EVENT, values, Terms(who, once=key)))
    return answered(document, request, 201, location="/api/events")


@router.get("/{id}", operation_id="getEvent", **described("Event", "read", "one"))
async def get_event(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """One event."""
    who = caller(request)
    return answered(await service(request).store.get(EVENT, id, view="one", caller=who), request)


@router.put("/{id}", operation_id="updateEvent", **described("Event", "update", body="EventChange"))
@router.patch("/{id}", operation_id="patchEvent", **described("Event", "update", body="EventChange"))
async def update_event(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """Changes the fields that are sent; a missing field stays as it is."""
    who = manager(request)
    values = validated(EventChange, await read_object(request), EVENT)
    document = await service(request).store.write(Update(EVENT, id, lambda _: values, terms(request, who)))
    return answered(document, request)


@router.delete("/{id}", operation_id="deleteEvent", **described("Done", "delete"))
async def delete_event(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """Deletes an event for good; its tombstone keeps it from coming back by itself."""
    who = manager(request)
    return done(await service(request).store.write(Delete(EVENT, id, terms(request, who))))
