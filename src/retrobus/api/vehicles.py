"""Vehicles: read by every member, written by managers, addressed by parc."""

from fastapi import Response

from retrobus.api.answers import DONE, created, listing, row
from retrobus.api.bodies import Body
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import flag, text
from retrobus.api.rights import MANAGERS_ONLY, MEMBERS
from retrobus.api.sheets import DIALECT, SHEET, sheet
from retrobus.model.patterns import PARC_KEY
from retrobus.model.resources import VEHICLE
from retrobus.model.vehicles import VehicleChange, VehicleCreation
from retrobus.store.contract import Delete, Document, Insert, Page, Update

router = Routes("vehicles", "/api/vehicles", parc=PARC_KEY)
FILTERS = (text("etat"), text("type"), flag("isPublic"))
CHANGE = Body(VehicleChange, VEHICLE)


@router.declare(Route("GET", "", MEMBERS, listing("VehicleList", "vehicles"), filters=FILTERS))
async def list_vehicles(call: Call) -> Page:
    """Vehicles by parc; in place of images sent as data URLs: their addresses, `imageUrl` and `galleryUrls`."""
    return await call.store.find(VEHICLE, call.query(VEHICLE, "list"), caller=call.who)


@router.declare(Route("GET", ".csv", MEMBERS, SHEET, filters=FILTERS, asks=DIALECT))
async def export_vehicles(call: Call) -> Response:
    """Every vehicle that passes the filters, as a CSV file for spreadsheets."""
    return await sheet(call, VEHICLE)


@router.declare(Route("POST", "", MANAGERS_ONLY, created("Vehicle"), body=Body(VehicleCreation, VEHICLE)))
async def create_vehicle(call: Call) -> Document:
    """Creates a vehicle under its parc number."""
    return await call.store.write(Insert(VEHICLE, call.values, call.terms()))


@router.declare(Route("GET", "/{parc}", MEMBERS, row("Vehicle")))
async def get_vehicle(call: Call) -> Document:
    """One vehicle by parc; its `id` is no address."""
    return await call.store.get(VEHICLE, call.key, view="one", caller=call.who)


@router.declare(Route("PUT", "/{parc}", MANAGERS_ONLY, row("Vehicle"), body=CHANGE))
@router.declare(Route("PATCH", "/{parc}", MANAGERS_ONLY, row("Vehicle"), body=CHANGE, name="patchVehicle"))
async def update_vehicle(call: Call) -> Document:
    """Changes the fields that are sent; `id` and `parc` stay what they are."""
    return await call.store.write(Update(VEHICLE, call.key, call.values, call.terms()))


@router.declare(Route("DELETE", "/{parc}", MANAGERS_ONLY, DONE))
async def delete_vehicle(call: Call) -> Document:
    """Deletes a vehicle for good; its events stay, without a vehicle."""
    return await call.store.write(Delete(VEHICLE, call.key, call.terms()))
