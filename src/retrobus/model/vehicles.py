"""Vehicles: their table, and what clients may send of one."""

from typing import Annotated

from sqlalchemy import Boolean, Column, Float, Identity, Index, Integer, Table, text

from retrobus.model.columns import (
    PARC_SORT,
    at_most,
    between,
    check,
    in_years,
    json_list,
    metadata,
    moment,
    prose,
    small_json,
    sort_key,
    stamps,
    wire,
    words,
)
from retrobus.model.fields import (
    NULLABLE,
    UNCHANGED,
    Caracteristiques,
    Fuel,
    Gallery,
    Image,
    Instant,
    Long,
    Mileage,
    Parc,
    Short,
    Wire,
)
from retrobus.model.limits import FUEL_MAX, GALLERY_ENTRIES, MILEAGE_MAX, PARC, SHORT, URL

vehicle = Table(
    "vehicle",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    words("parc", PARC, nullable=False),
    words("type", SHORT, nullable=False, default="Bus"),
    words("modele", SHORT, nullable=False, default=""),
    words("marque", SHORT),
    words("subtitle", SHORT),
    words("immat", SHORT),
    words("etat", SHORT, nullable=False, default="disponible"),
    moment("mise_en_circulation"),
    words("energie", SHORT),
    prose("description"),
    prose("history"),
    json_list("caracteristiques"),
    json_list("gallery"),
    prose("background_image"),
    words("background_position", SHORT),
    Column("is_public", Boolean, nullable=False, server_default=text("false")),
    Column("fuel", Float(53)),
    Column("mileage", Float(53)),
    *stamps(),
    *wire("wire_public", "wire_images", "wire_private"),
    sort_key("parc", PARC_SORT),
    Index("vehicle_parc", "parc", unique=True),
    Index("vehicle_sort_parc_parc", "sort_parc", "parc"),
    Index("vehicle_version", "version"),
    check("vehicle", "parc", "parc <> '' AND parc = btrim(parc) AND parc !~ '[/[:cntrl:]]'"),
    at_most("vehicle", "description"),
    at_most("vehicle", "history"),
    in_years("vehicle", "mise_en_circulation"),
    small_json("vehicle", "caracteristiques", "array"),
    check(
        "vehicle",
        "gallery",
        f"jsonb_typeof(gallery) = 'array' AND jsonb_array_length(gallery) <= {GALLERY_ENTRIES}",
    ),
    check(
        "vehicle",
        "background_image",
        f"char_length(background_image) <= {URL} OR starts_with(background_image, 'data:')",
    ),
    between("vehicle", "fuel", 0, FUEL_MAX),
    between("vehicle", "mileage", 0, MILEAGE_MAX),
    info={"resource": "Vehicle", "key": "parc", "number": "id", "order": (("sort_parc", "asc"), ("parc", "asc"))},
)


class VehicleChange(Wire):
    """Fields of a vehicle that a client may change."""

    type: Short = UNCHANGED
    modele: Short = UNCHANGED
    marque: Annotated[Short | None, NULLABLE] = UNCHANGED
    subtitle: Annotated[Short | None, NULLABLE] = UNCHANGED
    immat: Annotated[Short | None, NULLABLE] = UNCHANGED
    etat: Short = UNCHANGED
    mise_en_circulation: Annotated[Instant | None, NULLABLE] = UNCHANGED
    energie: Annotated[Short | None, NULLABLE] = UNCHANGED
    description: Annotated[Long | None, NULLABLE] = UNCHANGED
    history: Annotated[Long | None, NULLABLE] = UNCHANGED
    caracteristiques: Caracteristiques = UNCHANGED
    gallery: Gallery = UNCHANGED
    background_image: Annotated[Image | None, NULLABLE] = UNCHANGED
    background_position: Annotated[Short | None, NULLABLE] = UNCHANGED
    is_public: bool = UNCHANGED
    fuel: Annotated[Fuel | None, NULLABLE] = UNCHANGED
    mileage: Annotated[Mileage | None, NULLABLE] = UNCHANGED


class VehicleCreation(VehicleChange):
    """A new vehicle: its parc number is needed."""

    parc: Parc
