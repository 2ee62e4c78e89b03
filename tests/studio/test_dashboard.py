"""The dashboard: whether the service is well, what it holds, and each change as it happens."""

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from retrobus.database import migrate
from studio.rows import change, create
from studio.visitor import Visitor


def changes(visitor: Visitor) -> Locator:
    """The last changes, the latest first."""
    return visitor.page.get_by_role("log", name="Derniers changements").get_by_role("listitem")


@pytest.fixture
def dashboard(visitor: Visitor, service: Api, admin: Person) -> Visitor:
    """The dashboard of an ADMIN; there is one vehicle."""
    create(service, admin, "vehicle", parc="920", marque="Mercedes-Benz", modele="Citaro")
    visitor.log_in(admin)
    visitor.sees_page("Tableau de bord")
    return visitor


def test_it_says_whether_the_service_is_well_and_what_it_holds(dashboard: Visitor) -> None:
    main = dashboard.page.get_by_role("main")

    for told in ("Le service répond.", "strict : PostgreSQL seul répond", "toutes désactivées"):
        expect(main.get_by_text(told)).to_be_visible()
    for told in ("Une écriture acquittée", f"Schéma{migrate.head()}", "Journalvide", "Conflitsaucun"):
        expect(main).to_contain_text(told)
    expect(main.get_by_role("link", name="1 véhicule", exact=True)).to_be_visible()
    expect(main.get_by_role("link", name="0 suppression", exact=True)).to_be_visible()


def test_changes_of_others_appear_as_they_happen_deletions_among_them(
    dashboard: Visitor, service: Api, manager: Person
) -> None:
    expect(dashboard.page.get_by_text("En direct")).to_be_visible()

    create(service, manager, "event", id="fete", title="Fête du dépôt")
    expect(changes(dashboard).first).to_contain_text("Fête du dépôt – créé par Bérénice Bureau")
    change(service, manager, "vehicle", "920", modele="Citaro C2")
    expect(changes(dashboard).first).to_contain_text("920 Mercedes-Benz Citaro C2 – modifié par Bérénice Bureau")
    service.delete("/api/events/fete", headers=manager.headers)

    expect(changes(dashboard).first).to_contain_text("fete – supprimé par Bérénice Bureau")
    changes(dashboard).first.get_by_role("link", name="retrouver").click()
    dashboard.sees_page("Suppressions")
    expect(dashboard.page.locator("tbody tr")).to_have_count(1)


def test_what_psql_changes_is_told_as_such(dashboard: Visitor, service: Api) -> None:
    expect(dashboard.page.get_by_text("En direct")).to_be_visible()

    service.sql("UPDATE vehicle SET etat = 'En panne' WHERE parc = '920'")

    expect(changes(dashboard).first).to_contain_text("modifié en SQL (psql)")


def test_the_figures_lead_to_their_pages(dashboard: Visitor) -> None:
    dashboard.page.get_by_role("main").get_by_role("link", name="1 véhicule", exact=True).click()

    dashboard.sees_page("Véhicules")
