"""Texts that want to be more than text: the Studio shows them letter by letter, and runs and loads nothing."""

from typing import Any

import pytest
from playwright.sync_api import expect

from harness import Api, Person
from studio.rows import create
from studio.visitor import Visitor

IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "\"'><script>alert(1)</script>"
TURNED = "gnp.\u202eexe.txt"
LONG = "é" * 20_000

TEXTS: dict[str, dict[str, Any]] = {
    "vehicle": dict.fromkeys(
        ("type", "modele", "marque", "subtitle", "immat", "etat", "energie", "description", "history"), IMAGE
    )
    | {"backgroundPosition": IMAGE, "caracteristiques": [{"label": IMAGE, "value": SCRIPT}]},
    "event": dict.fromkeys(("title", "location", "description", "layout"), IMAGE) | {"extras": {IMAGE: SCRIPT}},
    "member": dict.fromkeys(("firstName", "lastName", "address", "city", "phone", "postalCode"), IMAGE[:20]),
}
PAGES = {"vehicle": ("vehicules", "parc"), "event": ("evenements", "id"), "member": ("adherents", "id")}


@pytest.fixture(autouse=True)
def _no_dialog(visitor: Visitor) -> None:
    """An alert would be a script that ran."""
    visitor.page.on("dialog", lambda dialog: visitor.watch.complaints.append(f"a script ran: {dialog.message}"))


@pytest.mark.parametrize("kind", TEXTS)
def test_markup_in_every_text_of_a_row_is_shown_as_text(
    visitor: Visitor, admin: Person, service: Api, kind: str
) -> None:
    page, key = PAGES[kind]
    row = create(service, admin, kind, **TEXTS[kind])
    text = str(next(iter(TEXTS[kind].values())))
    visitor.log_in(admin, page)

    expect(visitor.page.locator("tbody").get_by_text(text).first).to_be_visible()
    visitor.open(f"{page}/{row[key]}")
    expect(visitor.page.get_by_role("button", name="Supprimer…")).to_be_visible()
    visitor.press("Supprimer…")
    expect(visitor.page.get_by_role("dialog")).to_be_visible()

    assert visitor.page.locator("img[src='x'], main script, dialog script").count() == 0


@pytest.mark.parametrize("kind", ["vehicle", "event"])
def test_a_member_reads_markup_as_text(
    visitor: Visitor, admin: Person, member: Person, service: Api, kind: str
) -> None:
    page, key = PAGES[kind]
    shown = {"status": "PUBLISHED"} if kind == "event" else {}
    row = create(service, admin, kind, **TEXTS[kind], **shown)

    visitor.log_in(member, f"{page}/{row[key]}")

    expect(visitor.page.locator("dd").get_by_text(IMAGE).first).to_be_visible()
    assert visitor.page.locator("img[src='x'], main script").count() == 0


def test_a_text_that_turns_the_direction_of_reading_leaves_its_neighbours_alone(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    create(service, manager, "event", id="fete", title=TURNED, location=TURNED)
    visitor.log_in(manager, "evenements")

    expect(visitor.page.locator("tbody")).to_contain_text(TURNED)
    visitor.page.get_by_role("rowheader").get_by_role("link").click()
    visitor.press("Supprimer…")

    expect(visitor.page.get_by_role("dialog").get_by_role("heading")).to_contain_text(TURNED)
    isolated = "node => getComputedStyle(node).unicodeBidi"
    heading = visitor.page.get_by_role("heading", level=1)
    assert heading.evaluate(isolated) in {"isolate", "plaintext"}


def test_twenty_thousand_letters_are_shown_and_saved_whole(visitor: Visitor, manager: Person, service: Api) -> None:
    create(service, manager, "vehicle", parc="920", description=LONG, history=LONG)
    visitor.page.set_viewport_size({"width": 360, "height": 700})
    visitor.log_in(manager, "vehicules/920")

    expect(visitor.field("Description")).to_have_value(LONG)
    visitor.field("Historique").fill(LONG[:-1] + "è")
    visitor.press("Enregistrer")

    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()
    [[text]] = service.sql("SELECT history FROM vehicle")
    assert text == LONG[:-1] + "è"
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_an_image_at_a_foreign_address_is_named_and_not_loaded(visitor: Visitor, manager: Person, service: Api) -> None:
    there = "https://images.example.org/parc/920/avant.jpg"
    create(service, manager, "vehicle", parc="920", gallery=[there], backgroundImage=there)
    visitor.log_in(manager, "vehicules")
    expect(visitor.page.locator("tbody tr")).to_have_count(1)
    expect(visitor.page.locator("tbody img")).to_have_count(0)

    visitor.open("vehicules/920")

    expect(visitor.page.get_by_role("link", name=there)).to_have_count(2)
