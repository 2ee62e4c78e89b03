"""The Studio of an ordinary member: events and vehicles to read, the own record to mend, and nothing else."""

import pytest
from playwright.sync_api import expect

from harness import Api, Person
from studio.rows import create
from studio.visitor import Visitor


def test_a_member_reads_vehicles_and_events_and_changes_none(
    visitor: Visitor, service: Api, manager: Person, member: Person
) -> None:
    create(service, manager, "vehicle", parc="920", modele="Citaro", description="Trois portes")
    create(service, manager, "event", id="fete", title="Fête", status="PUBLISHED")
    visitor.log_in(member)

    visitor.go("Véhicules")
    visitor.page.get_by_role("link", name="920").click()
    expect(visitor.page.get_by_text("Trois portes")).to_be_visible()
    assert_read_only(visitor)
    visitor.go("Événements")
    assert_read_only(visitor)
    visitor.page.get_by_role("link", name="Fête").click()
    visitor.sees_page("Fête")
    assert_read_only(visitor)


def assert_read_only(visitor: Visitor) -> None:
    """Nothing on this page changes a row or makes one."""
    for name in ("Enregistrer", "Supprimer…", "Créer"):
        expect(visitor.page.get_by_role("button", name=name)).to_have_count(0)
    expect(visitor.page.get_by_role("link", name="Nouve")).to_have_count(0)


def test_a_member_changes_the_own_record(visitor: Visitor, service: Api, member: Person) -> None:
    visitor.log_in(member)
    visitor.page.get_by_role("link", name="Marius Membre").click()
    visitor.sees_page("Ma fiche")

    visitor.field("Ville").fill("Lyon")
    visitor.press("Enregistrer")

    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()
    expect(visitor.page.locator("dl > div").filter(has_text="Modifié par")).to_contain_text("vous")
    [[city, role]] = service.sql(f"SELECT city, role FROM member WHERE id = '{member.id}'")
    assert (city, role) == ("Lyon", "MEMBER")
    expect(visitor.page.get_by_label("Rôle")).to_have_count(0)


@pytest.mark.parametrize("title", ["Adhérents", "Suppressions", "Conflits", "Sauvegardes"])
def test_a_member_is_led_to_no_page_of_managers(visitor: Visitor, member: Person, title: str) -> None:
    visitor.log_in(member)

    expect(visitor.page.get_by_role("navigation").get_by_role("link", name=title)).to_have_count(0)


def test_an_address_that_a_member_may_not_see_is_refused_in_words(visitor: Visitor, member: Person) -> None:
    visitor.watch.expect(403)

    visitor.log_in(member, "adherents")

    expect(visitor.page.get_by_role("main").get_by_role("alert")).to_be_visible()
