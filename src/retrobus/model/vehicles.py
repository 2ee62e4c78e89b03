"""Vehicles: their table, and what clients may send of one."""

from sqlalchemy import Column, Float, Identity, Index, Integer, Table, text

from retrobus.model import columns as column
from retrobus.model.fields import (
    UNCHANGED,
    Caracteristiques,
    Fuel,
    Gallery,
    Image,
    Instant,
    Long,
    Mileage,
    OrNull,
    Parc,
    Short,
    Wire,
)
from retrobus.model.limits import FUEL_MAX, GALLERY_ENTRIES, MILEAGE_MAX, PARC, URL
from retrobus.model.resource import Order, Resource, Unique

vehicle = Table(
    "vehicle",
    column.metadata,
    column.labelled("Numéro interne", Column("id", Integer, Identity(), primary_key=True)),
    column.labelled(
        "N° de parc", column.words("parc", PARC, "{} <> '' AND {} = btrim({}) AND {} !~ '[/[:cntrl:]]'", nullable=False)
    ),
    column.labelled("Type", column.words("type", nullable=False, default="Bus")),
    column.labelled("Modèle", column.words("modele", nullable=False, default="")),
    column.labelled("Marque", column.words("marque")),
    column.labelled("Sous-titre", column.words("subtitle")),
    column.labelled("Immatriculation", column.words("immat")),
    column.labelled("État", column.words("etat", nullable=False, default="disponible")),
    column.labelled("Mise en circulation", column.moment("mise_en_circulation")),
    column.labelled("Énergie", column.words("energie")),
    column.labelled("Description", column.prose("description")),
    column.labelled("Historique", column.prose("history")),
    column.labelled("Caractéristiques", column.json_list("caracteristiques")),
    column.labelled(
        "Galerie",
        column.json_list("gallery", f"jsonb_typeof({{}}) = 'array' AND jsonb_array_length({{}}) <= {GALLERY_ENTRIES}"),
    ),
    column.labelled(
        "Image de fond",
        column.long_text("background_image", f"char_length({{}}) <= {URL} OR starts_with({{}}, 'data:')"),
    ),
    column.labelled("Position de l’image", column.words("background_position")),
    column.labelled("Public", column.flag("is_public")),
    column.labelled("Carburant (%)", column.number("fuel", Float(53), FUEL_MAX)),
    column.labelled("Kilométrage", column.number("mileage", Float(53), MILEAGE_MAX)),
    *column.stamps(),
    column.public_version(),
    *column.wire("wire_public", "wire_images", "wire_private"),
    column.sort_key("parc", column.PARC_SORT),
    Index("vehicle_parc", "parc", unique=True),
    Index("vehicle_sort_parc_parc", "sort_parc", "parc"),
    Index("vehicle_version", "version"),
    Index("vehicle_public_version", "public_version", postgresql_where=text("public_version IS NOT NULL")),
)

VEHICLE = Resource(
    name="Vehicle",
    plural="vehicles",
    label="véhicules",
    singular="véhicule",
    table=vehicle,
    key="parc",
    order=(Order("sort_parc"), Order("parc")),
    unique=(Unique("parc"),),
    number="id",
    images={"background_image": "image", "gallery": "gallery"},
    private=("id", "fuel", "mileage", "is_public", "updated_by", "version"),
    published="{0}.is_public",
)


class VehicleChange(Wire):
    """Fields of a vehicle that a client may change."""

    type: Short = UNCHANGED
    modele: Short = UNCHANGED
    marque: OrNull[Short] = UNCHANGED
    subtitle: OrNull[Short] = UNCHANGED
    immat: OrNull[Short] = UNCHANGED
    etat: Short = UNCHANGED
    mise_en_circulation: OrNull[Instant] = UNCHANGED
    energie: OrNull[Short] = UNCHANGED
    description: OrNull[Long] = UNCHANGED
    history: OrNull[Long] = UNCHANGED
    caracteristiques: Caracteristiques = UNCHANGED
    gallery: Gallery = UNCHANGED
    background_image: OrNull[Image] = UNCHANGED
    background_position: OrNull[Short] = UNCHANGED
    is_public: bool = UNCHANGED
    fuel: OrNull[Fuel] = UNCHANGED
    mileage: OrNull[Mileage] = UNCHANGED


class VehicleCreation(VehicleChange):
    """A new vehicle: its parc number is needed."""

    parc: Parc
