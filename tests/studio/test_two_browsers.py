"""Two people change one row: nothing of either is overwritten, and each field is decided by a person."""

import re

import pytest
from playwright.sync_api import Locator, expect

from harness import Api, Person
from studio.conftest import NewVisitor
from studio.rows import change, create, read
from studio.visitor import Visitor


@pytest.fixture
def pair(new_visitor: NewVisitor, service: Api, admin: Person, manager: Person) -> tuple[Visitor, Visitor]:
    """Two browsers on the form of one vehicle; the first has changed two fields, the second has saved two others."""
    row = {"modele": "Citaro", "marque": "Mercedes", "energie": "Diesel", "subtitle": "Le premier"}
    create(service, manager, "vehicle", parc="920", **row)
    first, second = new_visitor(service), new_visitor(service)
    for visitor, who in ((first, manager), (second, admin)):
        visitor.log_in(who, "vehicules/920")
    first.watch.expect(412)
    first.field("Modèle").fill("Citaro C2")
    first.field("Marque").fill("Mercedes-Benz")
    second.field("Modèle").fill("Citaro K")
    second.field("Énergie").fill("GNV")
    second.press("Enregistrer")
    expect(second.page.get_by_text("Enregistré.")).to_be_visible()
    first.press("Enregistrer")
    return first, second


def conflict(visitor: Visitor) -> Locator:
    """The dialog that shows both."""
    return visitor.page.get_by_role("dialog", name="Cette ligne a changé entre-temps")


def test_the_second_to_save_sees_both_values_and_overwrites_nothing(
    pair: tuple[Visitor, Visitor], service: Api, manager: Person
) -> None:
    dialog = conflict(pair[0])
    model = dialog.get_by_role("group", name="Modèle")

    expect(model.get_by_role("radio")).to_have_count(2)
    expect(model).to_contain_text("Citaro C2")
    expect(model).to_contain_text("Citaro K")
    expect(dialog).to_contain_text("Changé par vous seul, à enregistrer : Marque.")
    expect(dialog).to_contain_text("Changé par l’autre seul, à garder : Énergie.")
    expect(dialog).to_contain_text(re.compile("Elle a été modifiée le .* par Ada Ministre, après"))
    assert read(service, manager, "vehicle", "920")["modele"] == "Citaro K"


def test_a_question_about_a_row_goes_with_its_page(pair: tuple[Visitor, Visitor]) -> None:
    expect(conflict(pair[0])).to_be_visible()

    pair[0].page.evaluate("location.hash = '#/evenements'")
    pair[0].press("Quitter sans enregistrer")

    pair[0].sees_page("Événements")
    expect(pair[0].page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(("side", "model"), [("Votre valeur", "Citaro C2"), ("L’autre valeur", "Citaro K")])
def test_each_field_is_chosen_and_the_rest_of_both_stays(
    pair: tuple[Visitor, Visitor], service: Api, manager: Person, side: str, model: str
) -> None:
    dialog = conflict(pair[0])

    dialog.get_by_role("group", name="Modèle").get_by_label(side).check()
    dialog.get_by_role("button", name="Enregistrer ces choix").click()
    expect(pair[0].page.get_by_text("Enregistré.")).to_be_visible()

    row = read(service, manager, "vehicle", "920")
    assert (row["modele"], row["marque"], row["energie"], row["subtitle"]) == (
        model,
        "Mercedes-Benz",
        "GNV",
        "Le premier",
    )
    expect(pair[0].field("Énergie")).to_have_value("GNV")
    expect(pair[0].field("Modèle")).to_have_value(model)


def test_one_may_go_back_to_the_form_and_find_everything_as_typed(pair: tuple[Visitor, Visitor]) -> None:
    conflict(pair[0]).get_by_role("button", name="Revenir au formulaire").click()

    expect(pair[0].page.get_by_role("dialog")).to_have_count(0)
    expect(pair[0].field("Modèle")).to_have_value("Citaro C2")
    pair[0].press("Enregistrer")
    expect(conflict(pair[0])).to_be_visible()


def test_a_third_change_during_the_choice_is_shown_in_its_turn(
    pair: tuple[Visitor, Visitor], service: Api, admin: Person
) -> None:
    expect(conflict(pair[0])).to_be_visible()
    change(service, admin, "vehicle", "920", modele="Citaro G")

    pair[0].press("Enregistrer ces choix")

    expect(conflict(pair[0]).get_by_role("group", name="Modèle")).to_contain_text("Citaro G")


def test_a_row_that_changed_is_not_deleted_unseen(pair: tuple[Visitor, Visitor], service: Api, manager: Person) -> None:
    first = pair[0]
    conflict(first).get_by_role("button", name="Revenir au formulaire").click()

    first.press("Supprimer…")
    first.page.get_by_role("dialog").get_by_role("button", name="Supprimer", exact=True).click()

    expect(conflict(first)).to_be_visible()
    assert read(service, manager, "vehicle", "920")["modele"] == "Citaro K"
