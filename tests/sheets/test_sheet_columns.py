"""Facts about the columns of sheets: each header names one column, however a person writes it."""

import pytest

from retrobus.model.names import camel
from retrobus.model.resources import ALL, EVENT, MEMBER, VEHICLE, Resource
from retrobus.sheets.columns import column_named, columns_of


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_every_header_and_every_wire_name_means_its_column(resource: Resource) -> None:
    for one in columns_of(resource):
        assert {column_named(resource, name) for name in (one.header, one.wire, one.column.name)} == {one}


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_a_sheet_has_the_columns_of_a_private_row_and_no_secret(resource: Resource) -> None:
    wire = [one.wire for one in columns_of(resource)]

    assert wire == [camel(column.name) for column in resource.shown]
    assert "passwordHash" not in wire


@pytest.mark.parametrize(
    ("resource", "header", "wire"),
    [
        (MEMBER, "n° d'adherent", "memberNumber"),
        (MEMBER, "  CODE POSTAL ", "postalCode"),
        (MEMBER, "Créé le", "createdAt"),
        (VEHICLE, "MISE_EN_CIRCULATION", "miseEnCirculation"),
        (EVENT, "vehicleid", "vehicleId"),
        (EVENT, "Immatriculation", None),
        (EVENT, "", None),
    ],
)
def test_a_header_is_known_without_case_accents_and_signs(resource: Resource, header: str, wire: str | None) -> None:
    found = column_named(resource, header)

    assert (found and found.wire) == wire


def test_a_column_says_what_its_cells_hold() -> None:
    kinds = {one.wire: one.kind for one in columns_of(VEHICLE)}

    assert kinds["parc"] == "text"
    assert kinds["mileage"] == kinds["id"] == kinds["version"] == "number"
    assert kinds["isPublic"] == "flag"
    assert kinds["miseEnCirculation"] == kinds["createdAt"] == "moment"
    assert kinds["caracteristiques"] == kinds["gallery"] == "json"
    assert [one.wire for one in columns_of(VEHICLE) if one.image] == ["gallery", "backgroundImage"]
