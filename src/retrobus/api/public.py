"""What the public website shows: public vehicles with their public fields, and published events."""

from fastapi import APIRouter, Request, Response

from retrobus.api.reference import described
from retrobus.api.service import answered, listed, page_query, period, query_of, service
from retrobus.model.resources import EVENT, VEHICLE
from retrobus.store.contract import Filter

router = APIRouter(prefix="/public", tags=["public"])

PUBLIC = (Filter("is_public", "=", True),)
PUBLISHED = (Filter("status", "=", "PUBLISHED"), Filter("extras", "json", None))


@router.get("/vehicles", operation_id="listPublicVehicles", **described("PublicVehicles", "list"))
async def list_public_vehicles(request: Request) -> Response:
    """Public vehicles by parc."""
    query = page_query(VEHICLE, query_of(request, "limit", "cursor"), view="public_list", filters=list(PUBLIC))
    return listed(await service(request).store.find(VEHICLE, query, caller=None), request)


@router.get("/vehicles/{parc}", operation_id="getPublicVehicle", **described("PublicVehicle", "one"))
async def get_public_vehicle(request: Request, parc: str) -> Response:
    """One public vehicle; one that is not public is unknown here."""
    document = await service(request).store.get(VEHICLE, parc, view="public_one", filters=PUBLIC, caller=None)
    return answered(document, request)


@router.get(
    "/vehicles/{parc}/events",
    operation_id="listPublicVehicleEvents",
    **described("PublicEvents", "list", "one", filters=("from", "to")),
)
async def list_public_vehicle_events(request: Request, parc: str) -> Response:
    """The published events of one public vehicle, newest first."""
    store = service(request).store
    found = await store.get(VEHICLE, parc, view="public_list", filters=PUBLIC, caller=None)
    values = query_of(request, "from", "to", "limit", "cursor")
    filters = [*PUBLISHED, Filter("vehicle_id", "=", found.key), *period(values, "date")]
    query = page_query(EVENT, values, view="public_list", filters=filters)
    return listed(await store.find(EVENT, query, caller=None), request)


@router.get("/events", operation_id="listPublicEvents", **described("PublicEvents", "list", filters=("from", "to")))
async def list_public_events(request: Request) -> Response:
    """Published events, newest first; `from` is inclusive, `to` exclusive."""
    values = query_of(request, "from", "to", "limit", "cursor")
    query = page_query(EVENT, values, view="public_list", filters=[*PUBLISHED, *period(values, "date")])
    return listed(await service(request).store.find(EVENT, query, caller=None), request)


@router.get("/events/{id}", operation_id="getPublicEvent", **described("Event", "one"))
async def get_public_event(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """One published event."""
    document = await service(request).store.get(EVENT, id, view="public_one", filters=PUBLISHED, caller=None)
    return answered(document, request)
