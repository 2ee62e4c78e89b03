"""What the public website shows: public vehicles without their private columns, and published events."""

from retrobus.api.answers import listing, row
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import period
from retrobus.api.rights import ANYONE
from retrobus.model.patterns import EVENT_KEY, PARC_KEY
from retrobus.model.resources import EVENT, VEHICLE
from retrobus.store.contract import Document, Filter, Page

router = Routes("public", "/public", parc=PARC_KEY, id=EVENT_KEY)

PUBLIC = (Filter("is_public", "=", True),)
PUBLISHED = (Filter("status", "=", "PUBLISHED"), Filter("extras", "json", None))
PERIOD = period("date")


@router.declare(Route("GET", "/vehicles", ANYONE, listing("PublicVehicles")))
async def list_public_vehicles(call: Call) -> Page:
    """Public vehicles by parc."""
    return await call.store.find(VEHICLE, call.query(VEHICLE, "public_list", *PUBLIC), caller=None)


@router.declare(Route("GET", "/vehicles/{parc}", ANYONE, row("PublicVehicle")))
async def get_public_vehicle(call: Call) -> Document:
    """One public vehicle; one that is not public is unknown here."""
    return await call.store.get(VEHICLE, call.key, view="public_one", filters=PUBLIC, caller=None)


@router.declare(Route("GET", "/vehicles/{parc}/events", ANYONE, listing("PublicEvents"), filters=PERIOD))
async def list_public_vehicle_events(call: Call) -> Page:
    """The published events of one public vehicle, newest first."""
    found = await call.store.get(VEHICLE, call.key, view="public_list", filters=PUBLIC, caller=None)
    query = call.query(EVENT, "public_list", *PUBLISHED, Filter("vehicle_id", "=", found.key))
    return await call.store.find(EVENT, query, caller=None)


@router.declare(Route("GET", "/events", ANYONE, listing("PublicEvents"), filters=PERIOD))
async def list_public_events(call: Call) -> Page:
    """Published events, newest first; `from` is inclusive, `to` exclusive."""
    return await call.store.find(EVENT, call.query(EVENT, "public_list", *PUBLISHED), caller=None)


@router.declare(Route("GET", "/events/{id}", ANYONE, row("PublicEvent")))
async def get_public_event(call: Call) -> Document:
    """One published event."""
    return await call.store.get(EVENT, call.key, view="public_one", filters=PUBLISHED, caller=None)
