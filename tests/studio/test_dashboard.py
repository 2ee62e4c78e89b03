"""The dashboard: whether the service is well, what it holds, and each change as it happens."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from accounts import an_account
from harness import Api, Person
from operations import a_conflict
from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres
from routes import VEHICLE
from studio.conftest import NewVisitor
from studio.rows import change, create
from studio.visitor import Visitor

HOSTILE = "<img src=x onerror=alert(1)>"


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
    service.sql(f"INSERT INTO event (id, title, date) VALUES ('e1', '{HOSTILE}', '2026-05-01')")
    expect(changes(dashboard).first).to_contain_text(HOSTILE)
    service.sql("DELETE FROM event WHERE id = 'e1'")

    expect(changes(dashboard).first).to_contain_text("Événement e1 – supprimé en SQL (psql)")


def test_a_name_that_could_not_be_read_comes_with_the_next_look(
    visitor: Visitor, service: Api, manager: Person
) -> None:
    create(service, manager, "vehicle", parc="920")
    visitor.watch.expect(0)
    visitor.page.clock.install()
    visitor.page.route(f"**/api/members/{manager.id}", lambda route: route.abort(), times=1)
    with visitor.page.expect_event("requestfailed"):
        visitor.log_in(manager)

    visitor.page.clock.fast_forward(20_000)

    expect(changes(visitor).filter(has_text="920")).to_contain_text("créé par Bérénice Bureau")


def test_the_figures_lead_to_their_pages(dashboard: Visitor) -> None:
    dashboard.page.get_by_role("main").get_by_role("link", name="1 véhicule", exact=True).click()

    dashboard.sees_page("Véhicules")


@pytest.fixture
def happened(service: Api, admin: Person) -> None:
    """A vehicle with a conflict, a deletion by an administrator and one by psql."""
    service.sql(
        f"INSERT INTO vehicle (parc, etat, is_public) VALUES ('{VEHICLE}', 'par psql', true), ('gone', '', false)",
        "INSERT INTO event (id, title, date) VALUES ('e1', 'A', '2026-05-01'), ('e2', 'B', '2026-05-01')",
        a_conflict(7, member=admin.id, base={"version": 12, "hash": "h", "values": {"etat": "disponible"}}),
        "DELETE FROM event WHERE id = 'e2'",
    )
    assert service.delete("/api/vehicles/gone", headers=admin.headers).status_code == 200


@pytest.mark.usefixtures("happened")
def test_the_dashboard_is_first_and_tells_how_the_service_is(visitor: Visitor, admin: Person) -> None:
    visitor.log_in(admin)

    visitor.sees_page("Tableau de bord")
    page = visitor.page
    expect(page.get_by_text("Le service répond.", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="1 véhicule", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="2 suppressions")).to_be_visible()
    expect(page.get_by_role("link", name="1 conflit à trancher")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Conflits à trancher")).to_contain_text(
        "retrobus resync --list"
    )
    expect(page.get_by_text("points en ordre")).to_be_visible()


def test_the_board_sees_what_concerns_it_and_a_member_nothing(
    new_visitor: NewVisitor, service: Api, manager: Person, member: Person
) -> None:
    bureau, other = new_visitor(service), new_visitor(service)

    bureau.log_in(manager)
    other.log_in(member)

    links = bureau.page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_text(["Tableau de bord", "Véhicules", "Événements", "Adhérents", "Suppressions"])
    expect(other.page.get_by_role("navigation").get_by_role("link")).to_have_text(["Véhicules", "Événements"])


def test_the_dashboard_tells_the_truth_during_an_outage_and_lives_on_after_it(
    new_visitor: NewVisitor, start_service: Callable[..., Api], postgres: EmbeddedPostgres
) -> None:
    service = start_service()
    visitor = new_visitor(service)
    visitor.log_in(an_account(service, "ADMIN"))
    visitor.watch.expect(0, 503)
    expect(visitor.page.get_by_text("En direct")).to_be_visible()

    postgres.kill()
    why = re.compile("ne peut pas répondre.: PostgreSQL ne répond pas, ")
    expect(visitor.page.get_by_role("alert").filter(has_text=why)).to_be_visible()
    visitor.page.reload()

    visitor.sees_page("Tableau de bord")
    expect(visitor.page.get_by_text(re.compile("^Le service ne peut pas répondre")).last).to_be_visible()
    expect(visitor.page.get_by_text("seul PostgreSQL les connaît")).to_be_visible()
    postgres.start()
    expect(visitor.page.get_by_text("En direct")).to_be_visible()
