"""The form of a row: every kind of field, what is sent, what is refused, and deletes."""

import base64
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect

from harness import Api, Person
from studio.rows import create, read
from studio.test_lists import PIXEL
from studio.visitor import Visitor

PNG = base64.b64decode(PIXEL.partition(",")[2])
PAGES = {"vehicle": "vehicules", "event": "evenements", "member": "adherents"}
KEYS = {"vehicle": "parc", "event": "id", "member": "id"}


def sent(request: Request) -> tuple[str, dict[str, object], str | None, int]:
    """Method, body, If-Match and length of the Idempotency-Key of a write."""
    headers = request.headers
    return (
        request.method,
        request.post_data_json or {},
        headers.get("if-match"),
        len(headers.get("idempotency-key", "")),
    )


def test_only_changed_fields_are_sent_with_the_etag_and_a_key(visitor: Visitor, manager: Person, service: Api) -> None:
    create(service, manager, "vehicle", parc="920", modele="Citaro", description="Trois portes")
    etag = service.get("/api/vehicles/920", headers=manager.headers).headers["ETag"]
    visitor.log_in(manager, "vehicules/920")

    visitor.field("Modèle").fill("Citaro C2")
    expect(visitor.page.get_by_text("1 champ à enregistrer")).to_be_visible()
    with visitor.page.expect_request(lambda request: request.method != "GET") as request:
        visitor.press("Enregistrer")

    expect(visitor.page.get_by_role("status").filter(has_text="Enregistré.")).to_be_visible()
    assert request.value.url.endswith("/api/vehicles/920")
    assert sent(request.value) == ("PATCH", {"modele": "Citaro C2"}, etag, 32)
    assert read(service, manager, "vehicle", "920")["modele"] == "Citaro C2"


def test_a_row_says_by_name_who_changed_it(visitor: Visitor, manager: Person, service: Api) -> None:
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")
    author = visitor.page.locator("dl > div").filter(has_text="Modifié par")
    expect(author).to_contain_text("Bérénice Bureau")
    service.sql("UPDATE vehicle SET modele = 'Citaro'")

    visitor.page.reload()

    expect(author).to_contain_text("en SQL (psql)")


def test_a_name_that_could_not_be_read_is_asked_for_again_with_the_next_drawing(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    visitor.watch.expect(0)
    create(service, manager, "vehicle", parc="920")
    visitor.page.route(f"**/api/members/{manager.id}", lambda route: route.abort(), times=1)
    visitor.log_in(manager, "vehicules/920")
    author = visitor.page.locator("dl > div").filter(has_text="Modifié par")
    expect(author).to_contain_text(manager.id)

    visitor.go("Véhicules")
    visitor.page.get_by_role("link", name="920").click()

    expect(author).to_contain_text("Bérénice Bureau")


def test_a_deleted_member_is_told_as_such_and_asked_for_once(visitor: Visitor, manager: Person, service: Api) -> None:
    other = service.person("BUREAU")
    create(service, other, "vehicle", parc="920")
    service.sql(f"DELETE FROM member WHERE id = '{other.id}'")
    visitor.watch.expect(404)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url) if other.id in request.url else None)
    visitor.log_in(manager, "vehicules/920")
    author = visitor.page.locator("dl > div").filter(has_text="Modifié par")
    expect(author).to_contain_text("un adhérent supprimé")

    visitor.go("Véhicules")
    visitor.page.get_by_role("link", name="920").click()

    expect(author).to_contain_text("un adhérent supprimé")
    assert len(asked) == 1


def test_an_event_can_be_changed_while_the_list_of_vehicles_cannot_be_read(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    visitor.watch.expect(0)
    create(service, manager, "event", id="fete", title="Fête")
    visitor.page.route("**/api/vehicles?*", lambda route: route.abort())
    visitor.log_in(manager, "evenements/fete")

    visitor.field("Lieu").fill("Gare")
    visitor.press("Enregistrer")

    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()


def test_a_save_without_a_change_sends_nothing(visitor: Visitor, manager: Person, service: Api) -> None:
    row = create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")

    visitor.press("Enregistrer")

    expect(visitor.page.get_by_text("Rien n’a changé.")).to_be_visible()
    assert read(service, manager, "vehicle", "920")["version"] == row["version"]


def test_each_kind_of_field_of_an_event_comes_back_as_it_was_typed(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    create(service, manager, "vehicle", parc="920", marque="Mercedes-Benz", modele="Citaro")
    create(service, manager, "event", id="fete", title="Fête", date="2026-05-01T22:30:00.000Z")
    visitor.log_in(manager, "evenements/fete")
    expect(visitor.field("Date")).to_have_value("2026-05-01")

    visitor.field("Date").fill("2026-06-21")
    visitor.field("Heure").fill("14:05")
    visitor.field("Tarif adulte").fill("12,50 €")
    visitor.field("Véhicule").fill("920")
    visitor.field("État").select_option("Publié")
    visitor.field("Données libres").fill('{"isVisible": true, "départ": ["Gare"]}')
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()

    row = read(service, manager, "event", "fete")
    assert (row["date"][:10], row["time"], row["adultPrice"]) == ("2026-06-21", "14:05", 12.5)
    assert (row["vehicleId"], row["status"]) == ("920", "PUBLISHED")
    assert json.loads(row["extras"]) == {"isVisible": True, "départ": ["Gare"]}


def test_each_kind_of_field_of_a_vehicle_comes_back_as_it_was_typed(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    create(service, manager, "vehicle", parc="920", caracteristiques=[{"label": "Portes", "value": "3"}])
    visitor.log_in(manager, "vehicules/920")

    visitor.field("Mise en circulation").fill("2001-07-01")
    visitor.field("Public").uncheck()
    visitor.field("Carburant (%)").fill("62,5")
    visitor.press("Ajouter une ligne")
    visitor.field("Intitulé").last.fill("Longueur")
    visitor.field("Valeur").last.fill("11,95 m")
    visitor.page.get_by_role("button", name="Monter").last.click()
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()

    row = read(service, manager, "vehicle", "920")
    assert (row["miseEnCirculation"][:10], row["isPublic"], row["fuel"]) == ("2001-07-01", False, 62.5)
    assert row["caracteristiques"] == [{"label": "Longueur", "value": "11,95 m"}, {"label": "Portes", "value": "3"}]


def test_an_emptied_field_is_null_and_undo_brings_the_row_back(visitor: Visitor, manager: Person, service: Api) -> None:
    create(service, manager, "vehicle", parc="920", subtitle="Le premier", energie="Diesel")
    visitor.log_in(manager, "vehicules/920")

    visitor.field("Énergie").fill("GNV")
    visitor.press("Annuler les changements")
    expect(visitor.field("Énergie")).to_have_value("Diesel")
    visitor.field("Sous-titre").fill("")
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()

    row = read(service, manager, "vehicle", "920")
    assert (row["subtitle"], row["energie"]) == (None, "Diesel")


def test_images_come_from_files_and_are_shown_before_they_are_sent(
    visitor: Visitor, manager: Person, service: Api, tmp_path: Path
) -> None:
    picture = tmp_path / "bus.png"
    picture.write_bytes(PNG)
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")

    gallery = visitor.page.get_by_role("group", name="Galerie")
    gallery.locator("input[type=file]").set_input_files([picture, picture])
    expect(gallery.locator("img")).to_have_count(2)
    gallery.get_by_role("button", name="Retirer").first.click()
    background = visitor.page.get_by_role("group", name="Image de fond")
    background.locator("input[type=file]").set_input_files(picture)
    expect(background.locator("img")).to_be_visible()
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()

    row = read(service, manager, "vehicle", "920")
    assert [text[:15] for text in [*row["gallery"], row["backgroundImage"]]] == ["data:image/png;"] * 2


def test_a_file_that_is_too_large_is_told_before_anything_is_sent(
    visitor: Visitor, manager: Person, service: Api, tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(bytes(40_000_000))
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")

    group = visitor.page.get_by_role("group", name="Image de fond")
    group.locator("input[type=file]").set_input_files(large)

    expect(group.get_by_role("alert")).to_contain_text("large.png pèse 40 Mo : au plus ")
    expect(visitor.page.get_by_text("à enregistrer")).to_have_count(0)


@pytest.mark.parametrize(
    ("label", "typed", "told"),
    [
        ("Tarif adulte", "douze", "Un nombre est attendu"),
        ("Données libres", "{oups", "pas du JSON"),
        ("Données libres", "[1]", "Un objet est attendu"),
    ],
)
def test_what_the_page_cannot_read_is_told_at_its_field_and_nothing_is_sent(
    visitor: Visitor, manager: Person, service: Api, label: str, typed: str, told: str
) -> None:
    row = create(service, manager, "event", id="fete")
    visitor.log_in(manager, "evenements/fete")

    visitor.field(label).fill(typed)
    visitor.press("Enregistrer")

    expect(visitor.field(label)).to_be_focused()
    expect(visitor.field(label)).to_have_attribute("aria-invalid", "true")
    expect(visitor.field(label)).to_have_accessible_description(re.compile(told))
    assert read(service, manager, "event", "fete")["version"] == row["version"]


def test_each_refused_field_has_its_own_message(visitor: Visitor, manager: Person, service: Api) -> None:
    visitor.watch.expect(422)
    create(service, manager, "event", id="fete")
    visitor.log_in(manager, "evenements/fete")

    visitor.field("Tarif adulte").fill("-3")
    visitor.field("Lien HelloAsso").fill("javascript:alert(1)")
    visitor.field("Lieu").fill("Gare")
    visitor.press("Enregistrer")

    expect(visitor.page.get_by_role("alert").filter(has_text="Les champs marqués sont à corriger.")).to_be_visible()
    for label in ("Tarif adulte", "Lien HelloAsso"):
        expect(visitor.field(label)).to_have_attribute("aria-invalid", "true")
    expect(visitor.field("Lieu")).to_have_value("Gare")
    visitor.field("Tarif adulte").fill("3")
    visitor.field("Lien HelloAsso").fill("https://www.helloasso.com/x")
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()
    assert read(service, manager, "event", "fete")["adultPrice"] == 3


@pytest.mark.parametrize(
    ("kind", "fill"),
    [
        ("vehicle", {"N° de parc (obligatoire)": "415", "Modèle": "SC10"}),
        ("event", {"Titre (obligatoire)": "Fête", "Date (obligatoire)": "2026-05-01"}),
        ("member", {"E-mail (obligatoire)": "new@example.org", "Prénom": "Nouvelle"}),
    ],
)
def test_a_new_row_is_made_and_shown(
    visitor: Visitor, manager: Person, service: Api, kind: str, fill: dict[str, str]
) -> None:
    visitor.log_in(manager, PAGES[kind])
    visitor.page.get_by_role("link", name="Nouve").click()

    for label, text in fill.items():
        visitor.field(label).fill(text)
    visitor.press("Créer")

    expect(visitor.page.get_by_role("button", name="Supprimer…")).to_be_visible()
    expect(visitor.page.get_by_role("status").filter(has_text="Enregistré.")).to_be_visible()
    [[count]] = service.sql(f"SELECT count(*) FROM {kind}")
    assert count == (2 if kind == "member" else 1)  # the person at the keyboard is a member, too


def test_a_parc_that_exists_is_refused_and_the_form_stays(visitor: Visitor, manager: Person, service: Api) -> None:
    visitor.watch.expect(409)
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/nouveau")

    visitor.field("N° de parc (obligatoire)").fill("920")
    visitor.field("Modèle").fill("Citaro")
    visitor.press("Créer")

    expect(visitor.page.get_by_text("cette valeur est déjà prise")).to_be_visible()
    expect(visitor.field("Modèle")).to_have_value("Citaro")


@pytest.mark.parametrize("kind", PAGES)
def test_a_delete_names_the_row_and_is_done_only_after_yes(
    visitor: Visitor, admin: Person, service: Api, kind: str
) -> None:
    key = create(service, admin, kind)[KEYS[kind]]
    visitor.log_in(admin, f"{PAGES[kind]}/{key}")
    name = visitor.page.get_by_role("heading", level=1).inner_text()

    visitor.press("Supprimer…")
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog).to_contain_text(name)
    dialog.get_by_role("button", name="Annuler").click()
    expect(dialog).to_have_count(0)
    assert read(service, admin, kind, key)["version"]
    visitor.press("Supprimer…")
    with visitor.page.expect_request(lambda request: request.method == "DELETE") as request:
        dialog.get_by_role("button", name="Supprimer", exact=True).click()

    expect(visitor.page.get_by_role("status").filter(has_text="est supprimé.")).to_be_visible()
    assert sent(request.value)[2] is not None
    assert service.get(f"/api/{kind}s/{key}", headers=admin.headers).status_code == 404


def test_a_row_that_another_person_deleted_meanwhile_is_told(visitor: Visitor, manager: Person, service: Api) -> None:
    visitor.watch.expect(404)
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")
    visitor.field("Modèle").fill("Citaro")
    service.delete("/api/vehicles/920", headers=manager.headers)

    visitor.press("Enregistrer")

    expect(visitor.page.get_by_role("alert").filter(has_text="introuvable")).to_be_visible()
    expect(visitor.field("Modèle")).to_have_value("Citaro")


def test_a_delete_of_a_row_that_changed_meanwhile_is_not_done_but_the_row_is_read_again(
    visitor: Visitor, manager: Person, service: Api
) -> None:
    visitor.watch.expect(412)
    create(service, manager, "vehicle", parc="920", modele="Citaro")
    visitor.log_in(manager, "vehicules/920")
    expect(visitor.field("Modèle")).to_have_value("Citaro")
    service.patch("/api/vehicles/920", json={"modele": "O405"}, headers=manager.headers)

    visitor.press("Supprimer…")
    visitor.press("Supprimer")

    expect(visitor.page.get_by_role("alert").filter(has_text="rien n’a été fait")).to_be_visible()
    expect(visitor.field("Modèle")).to_have_value("O405")
    assert service.get("/api/vehicles/920", headers=manager.headers).status_code == 200


def test_a_changed_form_is_not_left_by_accident(visitor: Visitor, manager: Person, service: Api) -> None:
    create(service, manager, "vehicle", parc="920")
    visitor.log_in(manager, "vehicules/920")
    visitor.field("Modèle").fill("Citaro")

    visitor.page.get_by_role("link", name="Événements").click()
    dialog = visitor.page.get_by_role("dialog", name="Quitter sans enregistrer ?")
    dialog.get_by_role("button", name="Rester").click()
    expect(visitor.field("Modèle")).to_have_value("Citaro")
    visitor.page.get_by_role("link", name="Événements").click()
    dialog.get_by_role("button", name="Quitter sans enregistrer").click()

    visitor.sees_page("Événements")
