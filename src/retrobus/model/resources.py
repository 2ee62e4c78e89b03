"""The three resources together; each stands beside its table and its inputs, in a module of its own."""

from collections.abc import Mapping

from retrobus.model.events import EVENT
from retrobus.model.members import MEMBER
from retrobus.model.resource import Order, Resource, Unique
from retrobus.model.vehicles import VEHICLE

__all__ = ["ALL", "BY_NAME", "EVENT", "MEMBER", "VEHICLE", "Order", "Resource", "Unique"]

ALL = (VEHICLE, EVENT, MEMBER)
"""In the order in which rows are written: an event refers to a vehicle."""

BY_NAME: Mapping[str, Resource] = {resource.name: resource for resource in ALL}
