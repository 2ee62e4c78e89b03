"""The Studio's dashboard, deletions, conflicts and backups: what they tell, and what one can decide there."""

import re
import shlex
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from accounts import an_account
from harness import Api, Person
from operations import a_conflict
from retrobus.development.embedded import EmbeddedPostgres
from routes import VEHICLE
from studio.conftest import NewVisitor
from studio.visitor import Visitor

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def happened(service: Api, admin: Person) -> None:
    """A vehicle with a conflict, a deletion by an administrator and one by psql."""
    service.sql(
        f"INSERT INTO vehicle (parc, etat, is_public) VALUES ('{VEHICLE}', 'par psql', true), ('gone', '', false)",
        f"INSERT INTO event (id, title, date) VALUES ('e1', '{HOSTILE}', '2026-05-01'), ('e2', 'B', '2026-05-01')",
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


@pytest.mark.usefixtures("happened")
def test_changes_come_live_and_deletions_name_their_author(visitor: Visitor, admin: Person, service: Api) -> None:
    visitor.log_in(admin)
    log = visitor.page.get_by_role("log")
    expect(log.get_by_role("listitem").filter(has_text="gone")).to_contain_text("supprimé par Ada Ministre")
    expect(log.get_by_role("listitem").filter(has_text=HOSTILE)).to_be_visible()
    expect(visitor.page.get_by_text("En direct")).to_be_visible()

    service.sql(f"UPDATE vehicle SET etat = 'repeint' WHERE parc = '{VEHICLE}'")
    expect(log.get_by_role("listitem").first).to_contain_text(f"Véhicule {VEHICLE}")
    expect(log.get_by_role("listitem").first).to_contain_text("modifié en SQL (psql)")
    service.sql("DELETE FROM event WHERE id = 'e1'")

    expect(log.get_by_role("listitem").first).to_contain_text("Événement e1 – supprimé en SQL (psql)")


@pytest.mark.usefixtures("happened")
def test_deletions_are_filtered_and_the_command_brings_the_row_back(
    visitor: Visitor, admin: Person, service: Api
) -> None:
    service.sql("INSERT INTO vehicle (parc, etat) VALUES ('415', 'préservé')")
    assert service.post("/api/backups", headers=admin.headers).status_code == 201
    service.delete("/api/vehicles/415", headers=admin.headers)
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.log_in(admin, "suppressions")
    page = visitor.page
    expect(page.locator("tbody tr")).to_have_count(3)

    visitor.field("Liste").select_option("Vehicle")
    expect(page.locator("tbody tr")).to_have_count(2)
    row = page.get_by_role("row").filter(has_text="Véhicule 415")
    expect(row).to_contain_text("par Ada Ministre")
    row.get_by_role("button", name="Retrouver").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("demande, et ne touche aucune autre ligne")
    dialog.get_by_role("button", name="Copier").click()
    expect(dialog.get_by_text("Copié", exact=True)).to_be_visible()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:2] == ["retrobus", "restore"]
    assert words[3:] == ["--only", "vehicle:415", "--apply"]
    dialog.get_by_role("button", name="Fermer").click()
    page.reload()

    visitor.sees_page("Suppressions")
    expect(page.locator("tbody tr")).to_have_count(2)


@pytest.mark.usefixtures("happened")
def test_a_conflict_shows_both_rows_and_is_applied(visitor: Visitor, admin: Person, service: Api) -> None:
    visitor.log_in(admin, "conflits")
    page = visitor.page
    cells = page.get_by_role("row").filter(has_text="disponible").get_by_role("cell")
    expect(cells).to_have_text(["par l'API", "par psql", "disponible"])
    expect(page.get_by_role("rowheader")).to_have_text(["État"])
    expect(page.get_by_text(re.compile("par Ada Ministre.*modifiée le .* en SQL"))).to_be_visible()

    page.get_by_role("button", name="Appliquer le conflit 7…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row").filter(has_text="disponible")).to_contain_text("par psql")
    dialog.get_by_role("button", name="Appliquer", exact=True).click()

    expect(page.get_by_text("Conflit 7 appliqué.")).to_be_visible()
    expect(page.get_by_text("Aucun conflit à trancher.")).to_be_visible()
    assert service.sql("SELECT etat FROM vehicle")[0][0] == "par l'API"
    page.get_by_label("Montrer aussi les conflits tranchés").check()
    expect(page.get_by_text(re.compile("^appliqué le"))).to_be_visible()


@pytest.mark.usefixtures("happened")
def test_a_conflict_is_abandoned_and_one_that_was_decided_meanwhile_is_told(
    visitor: Visitor, admin: Person, service: Api
) -> None:
    service.sql(a_conflict(8))
    visitor.log_in(admin, "conflits")
    page = visitor.page
    page.get_by_role("button", name="Abandonner le conflit 7…").click()
    page.get_by_role("dialog").get_by_role("button", name="Abandonner", exact=True).click()
    expect(page.get_by_text("Conflit 7 abandonné.")).to_be_visible()
    service.post("/api/conflicts/8/discard", headers=admin.headers)
    visitor.watch.expect(409)

    page.get_by_role("button", name="Appliquer le conflit 8…").click()
    page.get_by_role("dialog").get_by_role("button", name="Appliquer", exact=True).click()

    expect(page.get_by_text("Le conflit 8 est déjà tranché : écarté.")).to_be_visible()
    assert service.sql("SELECT etat FROM vehicle")[0][0] == "par psql"


def test_a_backup_is_made_now_and_its_restore_is_a_command(visitor: Visitor, admin: Person, service: Api) -> None:
    before = len(service.get("/api/backups", headers=admin.headers).json()["backups"])
    visitor.log_in(admin, "sauvegardes")

    visitor.press("Sauvegarder maintenant")

    expect(visitor.page.get_by_text(re.compile("^Backup backup_.* relu en entier"))).to_be_visible(timeout=60_000)
    expect(visitor.page.locator("tbody tr")).to_have_count(before + 1)
    visitor.page.get_by_role("button", name="Restaurer").first.click()
    command = visitor.page.get_by_role("dialog").locator("code")
    newest = service.get("/api/backups", headers=admin.headers).json()["backups"][0]["name"]
    expect(command).to_have_text(f"retrobus restore {newest}")


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
    expect(visitor.page.get_by_role("alert").filter(has_text="ne peut pas répondre")).to_be_visible()
    visitor.page.reload()

    visitor.sees_page("Tableau de bord")
    expect(visitor.page.get_by_text(re.compile("^Le service ne peut pas répondre")).last).to_be_visible()
    expect(visitor.page.get_by_text("seul PostgreSQL les connaît")).to_be_visible()
    postgres.start()
    expect(visitor.page.get_by_text("En direct")).to_be_visible(timeout=40_000)
