"""The page of deletions: what was deleted, when, by whom, and the command that brings it back."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from studio.rows import create, read
from studio.shell import copied, typed
from studio.visitor import Visitor


def lines(visitor: Visitor) -> Locator:
    """The deletions that are shown."""
    return visitor.page.locator("tbody tr")


@pytest.fixture
def deleted(service: Api, admin: Person, manager: Person) -> None:
    """A backup that holds the vehicle 920, which a manager then deleted; and an event deleted by SQL."""
    create(service, manager, "vehicle", parc="920", marque="Mercedes-Benz", modele="Citaro")
    create(service, manager, "event", id="fete")
    assert service.post("/api/backups", headers=admin.headers).is_success
    service.delete("/api/vehicles/920", headers=manager.headers)
    service.sql("DELETE FROM event WHERE id = 'fete'")


@pytest.mark.usefixtures("deleted")
def test_each_deletion_says_what_when_who_and_how(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager)
    visitor.go("Suppressions")

    expect(lines(visitor)).to_have_count(2)
    vehicle, event = lines(visitor).filter(has_text="920"), lines(visitor).filter(has_text="fete")
    expect(vehicle).to_contain_text("par Bérénice Bureau")
    expect(vehicle).to_contain_text("dans l’application")
    expect(event).to_contain_text("en SQL (psql)")


@pytest.mark.usefixtures("deleted")
def test_they_are_filtered(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager, "suppressions")

    visitor.field("Liste").select_option("Événements")
    expect(lines(visitor)).to_have_count(1)
    visitor.field("Liste").select_option("Tout")
    visitor.field("Cause").select_option("dans l’application")
    expect(lines(visitor)).to_have_count(1)
    expect(lines(visitor)).to_contain_text("920")
    visitor.page.reload()
    visitor.sees_page("Suppressions")
    expect(lines(visitor)).to_have_count(1)
    visitor.field("Clé (parc, id)").fill("nothing")
    visitor.field("Clé (parc, id)").press("Enter")

    expect(visitor.page.get_by_text("0 suppression", exact=True)).to_be_visible()


@pytest.mark.usefixtures("deleted")
def test_they_are_searched_and_sorted(visitor: Visitor, manager: Person) -> None:
    visitor.log_in(manager, "suppressions")

    visitor.page.get_by_role("columnheader", name="Quoi").get_by_role("button").click()
    expect(lines(visitor)).to_contain_text(["920", "fete"])
    visitor.field("Rechercher").fill("berenice")

    expect(lines(visitor)).to_have_count(1)
    expect(lines(visitor)).to_contain_text("920")


@pytest.mark.usefixtures("deleted")
def test_the_command_shown_is_the_one_that_brings_the_row_back(
    visitor: Visitor, service: Api, manager: Person, backups_dir: Path
) -> None:
    visitor.log_in(manager, "suppressions")
    lines(visitor).filter(has_text="920").get_by_role("button").click()
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Ces backups contiennent encore la ligne.")

    typed(copied(visitor, dialog.get_by_role("listitem").first) + " --yes", service.database_url, backups_dir)

    assert read(service, manager, "vehicle", "920")["modele"] == "Citaro"
    visitor.press("Fermer")
    visitor.page.reload()
    visitor.page.get_by_role("row").filter(has_text="920").get_by_role("button").click()
    expect(dialog).to_contain_text("Une ligne porte de nouveau cette clé")
