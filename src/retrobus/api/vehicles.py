"""Vehicles: read by every member, written by managers, addressed by parc number."""

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
    query_of,
    read_object,
    service,
    terms,
    validated,
)
from retrobus.model.resources import VEHICLE
from retrobus.model.vehicles import VehicleChange, VehicleCreation
from retrobus.store.contract import Delete, Filter, Insert, Terms, Update

router = APIRouter(prefix="/api/vehicles", tags=["vehicles"])


@router.get(
    "",
    operation_id="listVehicles",
    **described("VehicleList", "list", "read", filters=("etat", "type", "isPublic")),
)
async def list_vehicles(request: Request) -> Response:
    """Vehicles by parc; images sent as data URLs are left out of lists."""
    who = caller(request)
    values = query_of(request, "etat", "type", "isPublic", "limit", "cursor")
    filters = equal(values, "etat") + equal(values, "type")
    if one_of(values, "isPublic", ("true", "false")):
        filters.append(Filter("is_public", "=", values["isPublic"] == "true"))
    query = page_query(VEHICLE, values, view="list", filters=filters)
    return listed(await service(request).store.find(VEHICLE, query, caller=who), request, "vehicles")


@router.post(
    "",
    operation_id="createVehicle",
    status_code=201,
    **described("Vehicle", "create", body="VehicleCreation"),
)
async def create_vehicle(request: Request) -> Response:
    """Creates a vehicle under its parc number."""
    who = manager(request)
    values = validated(VehicleCreation, await read_object(request, service(request).limits.image_body), VEHICLE)
    document = await service(request).store.write(Insert(VEHICLE, values, Terms(who, once=once(request))))
    return answered(document, request, 201, location="/api/vehicles")


@router.get("/{parc}", operation_id="getVehicle", **described("Vehicle", "read", "one"))
async def get_vehicle(request: Request, parc: str) -> Response:
    """One vehicle by parc; its `id` is no address."""
    who = caller(request)
    return answered(await service(request).store.get(VEHICLE, parc, view="one", caller=who), request)


@router.put("/{parc}", operation_id="updateVehicle", **described("Vehicle", "update", body="VehicleChange"))
@router.patch("/{parc}", operation_id="patchVehicle", **described("Vehicle", "update", body="VehicleChange"))
async def update_vehicle(request: Request, parc: str) -> Response:
    """Changes the fields that are sent; `id` and `parc` stay what they are."""
    who = manager(request)
    values = validated(VehicleChange, await read_object(request, service(request).limits.image_body), VEHICLE)
    document = await service(request).store.write(Update(VEHICLE, parc, lambda _: values, terms(request, who)))
    return answered(document, request)


@router.delete("/{parc}", operation_id="deleteVehicle", **described("Done", "delete"))
async def delete_vehicle(request: Request, parc: str) -> Response:
    """Deletes a vehicle for good; its events stay, without a vehicle."""
    who = manager(request)
    return done(await service(request).store.write(Delete(VEHICLE, parc, terms(request, who))))
