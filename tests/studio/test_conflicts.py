"""The page of conflicts: the row of the journal beside the row of today, and a decision by an ADMIN."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from operations import a_conflict
from retrobus.model.resources import BY_NAME
from retrobus.model.rows import completed, encode
from routes import VEHICLE
from studio.rows import create
from studio.visitor import Visitor


@pytest.fixture
def conflict(service: Api, manager: Person) -> None:
    """A vehicle that memory changed during an outage, as psql did."""
    service.sql(f"INSERT INTO vehicle (parc, etat, is_public) VALUES ('{VEHICLE}', 'par psql', true)")
    base = {"version": 12, "hash": "h", "values": {"etat": "disponible"}}
    service.sql(a_conflict(7, member=manager.id, base=base))


def card(visitor: Visitor) -> Locator:
    """The conflict that is shown."""
    return visitor.page.locator("section").filter(has_text="N° 7")


@pytest.mark.usefixtures("conflict")
def test_both_rows_are_shown_field_by_field(visitor: Visitor, admin: Person) -> None:
    visitor.log_in(admin)
    visitor.go("Conflits")

    expect(visitor.page.get_by_text("1 conflit à trancher")).to_be_visible()
    expect(card(visitor)).to_contain_text("par Bérénice Bureau")
    expect(card(visitor)).to_contain_text("en SQL (psql)")
    row = card(visitor).get_by_role("row").filter(has_text="État")
    expect(row.get_by_role("cell")).to_have_text(["par l'API", "par psql", "disponible"])


def test_values_are_written_as_on_every_other_page(visitor: Visitor, service: Api, admin: Person) -> None:
    day, price = datetime(2026, 6, 21, tzinfo=UTC), Decimal("12.50")
    event = completed(
        BY_NAME["Event"], {"id": "fete", "version": 0, "title": "Fête", "date": day, "adult_price": price}
    )
    row = encode(BY_NAME["Event"], event | {"status": "PUBLISHED"})
    service.sql(
        "INSERT INTO event (id, title, date, adult_price) VALUES ('fete', 'Fête', '2026-06-20', 10)",
        a_conflict(7, row=row).replace(f"'Vehicle', '{VEHICLE}'", "'Event', 'fete'"),
    )
    visitor.log_in(admin, "conflits")

    rows = card(visitor).get_by_role("row")
    for label, journal, today in (
        ("Date", "21 juin 2026", "20 juin 2026"),
        ("Tarif adulte", "12,50\N{NO-BREAK SPACE}€", "10,00\N{NO-BREAK SPACE}€"),
        ("État", "Publié", "Brouillon"),
    ):
        cells = rows.filter(has=visitor.page.get_by_role("rowheader", name=label, exact=True)).get_by_role("cell")
        expect(cells).to_have_text([journal, today, "?"])


def test_lists_and_long_images_are_told_in_words(visitor: Visitor, service: Api, admin: Person) -> None:
    image, pairs = "data:image/png;base64," + "A" * 4978, [{"label": "Longueur", "value": "12 m"}]
    vehicle = create(service, admin, "vehicle", parc=VEHICLE, caracteristiques=pairs)
    row = completed(BY_NAME["Vehicle"], {"parc": VEHICLE, "version": vehicle["version"], "background_image": image})
    service.sql(a_conflict(7, row=encode(BY_NAME["Vehicle"], row)))
    visitor.log_in(admin, "conflits")

    rows = card(visitor).get_by_role("row")
    expect(rows.filter(has_text="Image de fond").get_by_role("cell").first).to_have_text("une image (5000 caractères)")
    expect(rows.filter(has_text="Caractéristiques").get_by_role("cell")).to_have_text(["rien", "Longueur : 12 m", "?"])


@pytest.mark.usefixtures("conflict")
@pytest.mark.parametrize(
    ("decision", "state", "kept"), [("Appliquer", "par l'API", "appliqué"), ("Abandonner", "par psql", "abandonné")]
)
def test_a_conflict_is_decided_once_and_stays_readable(
    visitor: Visitor, service: Api, admin: Person, decision: str, state: str, kept: str
) -> None:
    visitor.log_in(admin, "conflits")

    card(visitor).get_by_role("button", name=decision).click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Annuler").click()
    assert service.sql("SELECT resolution FROM conflict")[0][0] is None
    card(visitor).get_by_role("button", name=decision).click()
    expect(dialog.get_by_role("row").filter(has_text="disponible")).to_contain_text("par psql")
    dialog.get_by_role("button", name=decision, exact=True).click()

    expect(visitor.page.get_by_role("status").filter(has_text=f"Conflit 7 {kept}.")).to_be_visible()
    expect(visitor.page.get_by_text("Aucun conflit à trancher.")).to_be_visible()
    assert service.sql("SELECT etat FROM vehicle")[0][0] == state
    visitor.field("Montrer aussi les conflits tranchés").check()
    expect(card(visitor)).to_contain_text(re.compile(f"{kept} le .* par Ada Ministre"))


@pytest.mark.usefixtures("conflict")
def test_a_conflict_decided_by_a_deleted_member_says_so(visitor: Visitor, service: Api, admin: Person) -> None:
    other = service.person("ADMIN")
    assert service.post("/api/conflicts/7/discard", headers=other.headers).is_success
    service.sql(f"DELETE FROM member WHERE id = '{other.id}'")

    visitor.log_in(admin, "conflits?tous=1")

    expect(card(visitor)).to_contain_text(re.compile("abandonné le .* par un adhérent supprimé"))


@pytest.mark.usefixtures("conflict")
def test_what_another_admin_decided_meanwhile_is_told(visitor: Visitor, service: Api, admin: Person) -> None:
    visitor.watch.expect(404, 409)
    visitor.log_in(admin, "conflits")
    assert service.post("/api/conflicts/7/discard", headers=admin.headers).is_success

    card(visitor).get_by_role("button", name="Appliquer").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Appliquer", exact=True).click()

    expect(visitor.page.get_by_text("Le conflit 7 est déjà tranché : abandonné.")).to_be_visible()
    expect(visitor.page.get_by_text("Aucun conflit à trancher.")).to_be_visible()
    assert service.sql("SELECT etat FROM vehicle")[0][0] == "par psql"
