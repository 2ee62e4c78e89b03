"""The lists of the Studio: search, filters, order, pages, pictures, CSV, and what a bookmark keeps."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from studio.rows import create
from studio.visitor import Visitor

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJ"
    "RU5ErkJggg=="
)
OUTINGS = """INSERT INTO event (id, title, date)
    SELECT 'e' || n, 'Sortie ' || n, timestamptz '2026-01-01' + n * interval '1 day' FROM generate_series(1, 120) n"""


def lines(visitor: Visitor) -> Locator:
    """The rows of the list that is shown."""
    return visitor.page.locator("tbody tr")


@pytest.fixture
def fleet(service: Api, manager: Person) -> None:
    """Three vehicles."""
    create(
        service, manager, "vehicle", parc="920", marque="Mercedes-Benz", modele="Citaro", miseEnCirculation="2001-07-01"
    )
    create(service, manager, "vehicle", parc="415", marque="Saviem", modele="SC10", etat="Préservé")
    create(service, manager, "vehicle", parc="107", marque="Heuliez", modele="GX 107", isPublic=False)


@pytest.mark.usefixtures("fleet")
def test_a_list_has_french_heads_and_leads_to_a_row(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager)
    visitor.go("Véhicules")

    expect(visitor.page.get_by_role("columnheader", name="N° de parc")).to_be_visible()
    expect(visitor.page.get_by_text("3 véhicules", exact=True)).to_be_visible()
    row = visitor.page.get_by_role("row").filter(has_text="920")
    expect(row).to_contain_text("1 juil. 2001")
    row.get_by_role("link").click()

    visitor.sees_page("920 Mercedes-Benz Citaro")
    assert visitor.page.url.endswith("/studio/#/vehicules/920")


@pytest.mark.usefixtures("fleet")
def test_a_search_knows_no_accents_and_a_bookmark_keeps_it(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager, "vehicules")

    visitor.field("Rechercher").fill("PRESERVE")

    expect(lines(visitor)).to_have_count(1)
    expect(lines(visitor)).to_contain_text("415")
    visitor.page.reload()
    visitor.sees_page("Véhicules")
    expect(visitor.field("Rechercher")).to_have_value("PRESERVE")
    expect(lines(visitor)).to_have_count(1)


@pytest.mark.usefixtures("fleet")
def test_a_filter_is_the_one_of_the_api(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager, "vehicules")

    with visitor.page.expect_request("**/api/vehicles?*isPublic=false*"):
        visitor.field("Public").select_option("Non")

    expect(lines(visitor)).to_have_count(1)
    expect(lines(visitor)).to_contain_text("107")


@pytest.mark.usefixtures("fleet")
def test_a_head_sorts_up_and_down(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager, "vehicules")
    head = visitor.page.get_by_role("columnheader", name="Marque")

    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(lines(visitor)).to_contain_text(["Heuliez", "Mercedes-Benz", "Saviem"])
    head.get_by_role("button").click()

    expect(head).to_have_attribute("aria-sort", "descending")
    expect(lines(visitor)).to_contain_text(["Saviem", "Mercedes-Benz", "Heuliez"])


def test_a_long_list_comes_page_by_page(visitor: Visitor, manager: Person, service: Api) -> None:
    service.sql(OUTINGS)
    visitor.log_in(manager, "evenements")
    expect(lines(visitor)).to_have_count(50)

    with visitor.page.expect_request("**/api/events?*cursor=*"):
        visitor.press("Afficher la suite")
    expect(lines(visitor)).to_have_count(100)
    visitor.press("Afficher la suite")

    expect(lines(visitor)).to_have_count(120)
    expect(lines(visitor).nth(119)).to_contain_text("Sortie 1")
    expect(visitor.page.get_by_role("button", name="Afficher la suite")).to_be_hidden()


def test_a_search_finds_what_is_on_no_page_yet(visitor: Visitor, manager: Person, service: Api) -> None:
    service.sql(OUTINGS, "UPDATE event SET location = 'Préfecture' WHERE id = 'e1'")
    visitor.log_in(manager, "evenements")

    visitor.field("Rechercher").fill("prefect sortie")

    expect(lines(visitor)).to_have_count(1)
    expect(lines(visitor)).to_contain_text("Sortie 1")


def test_a_vehicle_shows_its_picture_and_leads_to_what_the_public_sees(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    create(service, manager, "vehicle", parc="920", backgroundImage=PIXEL)
    visitor.log_in(manager, "vehicules")

    expect(lines(visitor).locator("img[src^='data:image/png']")).to_be_visible()
    visitor.page.get_by_role("link", name="920").click()
    with visitor.page.expect_popup() as opened:
        visitor.page.get_by_role("link", name="Vue publique").click()

    expect(opened.value).to_have_url(str(service.base_url.join("/public/vehicles/920")))


@pytest.mark.usefixtures("fleet")
def test_the_csv_is_the_filtered_list(visitor: Visitor, manager: Person, tmp_path: Path) -> None:
    visitor.log_in(manager, "vehicules")
    visitor.field("Public").select_option("Non")
    expect(lines(visitor)).to_have_count(1)

    with visitor.page.expect_download() as download:
        visitor.press("CSV")
    download.value.save_as(tmp_path / "found.csv")

    assert download.value.suggested_filename == "vehicules.csv"
    text = (tmp_path / "found.csv").read_text(encoding="utf-8-sig")
    assert [row["N° de parc"] for row in csv.DictReader(text.splitlines(), delimiter=";")] == ["107"]


@pytest.mark.parametrize(("page", "told"), [("Véhicules", "0 véhicule"), ("Événements", "0 événement")])
def test_an_empty_list_says_so(visitor: Visitor, manager: Person, page: str, told: str) -> None:
    visitor.log_in(manager)

    visitor.go(page)

    expect(visitor.page.get_by_text(told, exact=True)).to_be_visible()


def test_an_unknown_row_and_an_unknown_page_are_told(visitor: Visitor, manager: Person) -> None:
    visitor.watch.expect(404)
    visitor.log_in(manager, "vehicules/999")
    expect(visitor.page.get_by_role("alert").filter(has_text="introuvable")).to_be_visible()

    visitor.open("nulle-part")

    visitor.sees_page("Page inconnue")
