"""The columns of a sheet: their French headers, and the column that a header of a file means."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Boolean, Column, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB

from retrobus.model.columns import Moment, label_of
from retrobus.model.names import camel
from retrobus.model.resources import ALL, Resource

Kind = Literal["text", "number", "flag", "moment", "json"]
"""What a cell of a column holds."""


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """One column of a sheet; `wire` is its name in JSON, `header` the first cell of it.

    An `image` may be a data URL, which no sheet holds.
    """

    column: Column[Any]
    wire: str
    header: str
    kind: Kind
    image: bool


@lru_cache
def columns_of(resource: Resource) -> tuple[SheetColumn, ...]:
    """The columns of a resource's sheet, in the order of the table: all that members see, so no secret."""
    return tuple(_column(resource, column) for column in resource.shown)


def column_named(resource: Resource, header: str) -> SheetColumn | None:
    """The column that this header means: its French header or its wire name, without regard to case, accents and signs.

    None if the resource has no such column.
    """
    return _by_name(resource).get(_folded(header))


def resource_named(name: str) -> Resource | None:
    """The resource that a person names in French or English, in the singular or plural: `véhicules`, `vehicle`."""
    wanted = _folded(name)
    return next((one for one in ALL if wanted in map(_folded, (one.label, one.singular, one.plural, one.name))), None)


@lru_cache
def _by_name(resource: Resource) -> Mapping[str, SheetColumn]:
    found: dict[str, SheetColumn] = {}
    for one in columns_of(resource):
        found |= dict.fromkeys(map(_folded, (one.header, label_of(one.column), one.wire, one.column.name)), one)
    return found


def _folded(name: str) -> str:
    """A header as people retype it: `N° d’adhérent` and `n° d'adherent` are the same."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", name).casefold() if sign.isalnum())


def _column(resource: Resource, column: Column[Any]) -> SheetColumn:
    return SheetColumn(
        column, camel(column.name), _header(resource, column), _kind(column), column.name in resource.images
    )


def _header(resource: Resource, column: Column[Any]) -> str:
    """The label; instants that the service notes say that they are not in local time."""
    stamp = isinstance(column.type, Moment) and column.name in resource.machinery
    return f"{label_of(column)} (UTC)" if stamp else label_of(column)


def _kind(column: Column[Any]) -> Kind:
    if isinstance(column.type, Integer | Float | Numeric):
        return "number"
    kinds: tuple[tuple[type, Kind], ...] = ((Boolean, "flag"), (Moment, "moment"), (JSONB, "json"))
    return next((kind for type_, kind in kinds if isinstance(column.type, type_)), "text")
