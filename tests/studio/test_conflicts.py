"""The page of conflicts: the row of the journal beside the row of today, and a decision by an ADMIN."""

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from operations import a_conflict
from routes import VEHICLE
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
    expect(card(visitor)).to_contain_text(f"{kept} le")


@pytest.mark.usefixtures("conflict")
def test_what_another_admin_decided_meanwhile_is_told(visitor: Visitor, service: Api, admin: Person) -> None:
    visitor.watch.expect(404, 409)
    visitor.log_in(admin, "conflits")
    assert service.post("/api/conflicts/7/discard", headers=admin.headers).is_success

    card(visitor).get_by_role("button", name="Appliquer").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Appliquer", exact=True).click()

    expect(visitor.page.get_by_text("Le conflit 7 est déjà tranché : écarté.")).to_be_visible()
    expect(visitor.page.get_by_text("Aucun conflit à trancher.")).to_be_visible()
    assert service.sql("SELECT etat FROM vehicle")[0][0] == "par psql"
