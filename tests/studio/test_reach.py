"""The Studio for everyone: keyboard alone, small screens, dark mode, and what axe-core finds."""

import pytest
from playwright.sync_api import Page, expect

from accounts import PASSWORD, email_of
from harness import Api, Person
from operations import a_conflict
from studio.axe import grave_findings
from studio.conftest import NewVisitor
from studio.rows import create
from studio.visitor import Visitor

PLACES = [
    *("tableau", "vehicules", "vehicules/920", "vehicules/nouveau", "evenements", "evenements/fete", "adherents"),
    *("suppressions", "conflits", "sauvegardes", "moi"),
]
SMALL = {"width": 360, "height": 700}


@pytest.fixture
def rows(service: Api, admin: Person) -> None:
    """Rows whose words are long and many."""
    words = "Autobus articulé à plancher bas intégral et à traction électrique " * 20
    length = {"label": "Longueur hors tout", "value": "11,95 m"}
    picture = f"https://images.example.org/parc/920/{'une-adresse-assez-longue-' * 4}/avant.jpg"
    create(service, admin, "vehicle", parc="920", description=words, caracteristiques=[length], gallery=[picture])
    create(service, admin, "event", id="fete", title="Les quarante ans du dépôt " * 8, vehicleId="920")
    create(service, admin, "member", email=f"{'un-nom-tres-long' * 3}@example.org")
    service.sql(a_conflict(7, member=admin.id), "DELETE FROM member WHERE email LIKE 'un-nom%'")
    assert service.post("/api/backups", headers=admin.headers).is_success


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    new_visitor: NewVisitor, service: Api, admin: Person, scheme: str
) -> None:
    visitor = new_visitor(service, color_scheme=scheme)
    visitor.open()
    found = {"connexion": grave_findings(visitor.page)}
    visitor.log_in(admin)

    for place in PLACES:
        visitor.open(place)
        expect(visitor.page.get_by_text("Chargement…", exact=True)).to_have_count(0)
        found[place] = grave_findings(visitor.page)

    assert found == {place: [] for place in found}


@pytest.mark.usefixtures("rows")
def test_no_page_is_wider_than_a_small_screen(new_visitor: NewVisitor, service: Api, admin: Person) -> None:
    visitor = new_visitor(service, viewport=SMALL)
    visitor.log_in(admin)
    width = {"connexion": 360}

    for place in PLACES:
        visitor.open(place)
        expect(visitor.page.get_by_text("Chargement…", exact=True)).to_have_count(0)
        width[place] = visitor.page.evaluate("document.documentElement.scrollWidth")

    assert width == dict.fromkeys(width, 360)


@pytest.mark.usefixtures("rows")
def test_no_column_of_a_list_is_cut_off_on_a_common_screen(
    new_visitor: NewVisitor, service: Api, admin: Person
) -> None:
    create(service, admin, "member", email=f"{'un-nom-tres-long' * 3}@example.org", city="Châlons-en-Champagne")
    create(service, admin, "vehicle", parc="921", modele="x" * 100)
    visitor = new_visitor(service, viewport={"width": 1200, "height": 800})
    visitor.log_in(admin)

    for place, title in (("adherents", "Adhérents"), ("vehicules", "Véhicules"), ("evenements", "Événements")):
        visitor.open(place)
        visitor.sees_page(title)
        room = visitor.page.locator(".table").evaluate("node => node.clientWidth - node.scrollWidth")
        assert (place, room) == (place, 0)


def tab_to(page: Page, name: str, most: int = 120) -> None:
    """Presses Tab until the element with this accessible name has the focus."""
    wanted = page.get_by_role("button", name=name, exact=True).or_(page.get_by_role("link", name=name, exact=True))
    wanted = wanted.or_(page.get_by_label(name, exact=True)).first
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.count() and wanted.evaluate("node => node === document.activeElement"):
            assert wanted.evaluate("node => getComputedStyle(node).outlineStyle") != "none", f"{name}: focus unseen"
            return
    raise AssertionError(f"the keyboard does not reach « {name} »")


def log_in_by_keyboard(visitor: Visitor, who: Person) -> None:
    """Opens the page and logs in, and waits for the dashboard: the first field has the focus at once."""
    visitor.open()
    expect(visitor.field("Adresse e-mail ou matricule")).to_be_focused()
    visitor.page.keyboard.type(email_of(visitor.api, who))
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(PASSWORD)
    visitor.page.keyboard.press("Enter")
    visitor.sees_page("Tableau de bord")


@pytest.mark.usefixtures("rows")
def test_the_keyboard_alone_opens_edits_and_saves_a_row(visitor: Visitor, service: Api, admin: Person) -> None:
    page = visitor.page
    log_in_by_keyboard(visitor, admin)

    tab_to(page, "Événements")
    page.keyboard.press("Enter")
    visitor.sees_page("Événements")
    tab_to(page, ("Les quarante ans du dépôt " * 8).strip())
    page.keyboard.press("Enter")
    expect(visitor.field("Lieu")).to_be_visible()
    tab_to(page, "Lieu")
    page.keyboard.type("Gare")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Enregistré.")).to_be_visible()
    assert service.sql("SELECT location FROM event")[0][0] == "Gare"


@pytest.mark.usefixtures("rows")
def test_the_keyboard_alone_deletes_a_row_and_can_change_its_mind(
    visitor: Visitor, service: Api, admin: Person
) -> None:
    page = visitor.page
    log_in_by_keyboard(visitor, admin)
    visitor.open("evenements/fete")
    expect(page.get_by_role("button", name="Supprimer…")).to_be_visible()

    tab_to(page, "Supprimer…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Supprimer…")).to_be_focused()
    assert service.sql("SELECT count(*) FROM event")[0][0] == 1
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, "Supprimer")
    page.keyboard.press("Enter")

    visitor.sees_page("Événements")
    assert service.sql("SELECT count(*) FROM event")[0][0] == 0
