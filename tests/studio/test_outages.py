"""The Studio while PostgreSQL is away: what is told, what stays in a form, and what a repeat does."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Request, expect

from accounts import an_account, email_of
from faults.proxy import Proxy
from harness import Api, Person, until
from retrobus.development.embedded import EmbeddedPostgres
from studio.conftest import NewVisitor
from studio.rows import create, read
from studio.visitor import Visitor

pytestmark = pytest.mark.faults

StartService = Callable[..., Api]


@pytest.fixture
def strict(start_service: StartService, new_visitor: NewVisitor) -> Visitor:
    """A window on a service in strict mode, whose PostgreSQL may be killed."""
    visitor = new_visitor(start_service())
    visitor.watch.expect(503)
    return visitor


def keys(visitor: Visitor, path: str) -> list[str]:
    """The Idempotency-Keys of the writes to this path, as they are sent from now on."""
    found: list[str] = []

    def hear(request: Request) -> None:
        if request.url.endswith(path) and request.method != "GET":
            found.append(request.headers["idempotency-key"])

    visitor.page.on("request", hear)
    return found


def test_a_form_outlives_the_kill_of_postgresql_and_a_repeat_makes_one_row(
    strict: Visitor, postgres: EmbeddedPostgres
) -> None:
    who = an_account(strict.api, "BUREAU")
    strict.log_in(who, "evenements/nouveau")
    strict.field("Titre (obligatoire)").fill("Fête du dépôt")
    strict.field("Date (obligatoire)").fill("2026-06-21")
    used = keys(strict, "/api/events")
    postgres.kill()

    strict.press("Créer")
    alert = strict.page.get_by_role("alert").filter(has_text="PostgreSQL indisponible")
    expect(alert.get_by_role("button", name="Réessayer")).to_be_visible()
    expect(alert).to_contain_text("Rien n’a été changé.")
    expect(strict.page.get_by_text("Le service ne peut pas répondre")).to_be_visible()
    expect(strict.field("Titre (obligatoire)")).to_have_value("Fête du dépôt")
    alert.get_by_role("button", name="Réessayer").click()
    expect(alert.get_by_role("button", name="Réessayer")).to_be_visible()
    postgres.start()
    expect(strict.page.get_by_text("Le service ne peut pas répondre")).to_be_hidden()
    strict.press("Réessayer")

    strict.sees_page("Fête du dépôt")
    assert len(used) == 3
    assert len(set(used)) == 1
    [row] = strict.api.get("/api/events", headers=who.headers).json()["events"]
    assert (row["title"], row["date"][:10]) == ("Fête du dépôt", "2026-06-21")


def test_an_answer_that_was_lost_on_its_way_is_repeated_under_the_same_key(strict: Visitor) -> None:
    who = an_account(strict.api, "BUREAU")
    strict.log_in(who, "evenements/nouveau")
    strict.watch.expect(0)
    strict.field("Titre (obligatoire)").fill("Fête du dépôt")
    strict.field("Date (obligatoire)").fill("2026-06-21")
    used = keys(strict, "/api/events")
    strict.page.route("**/api/events", lambda route: (route.fetch(), route.abort()), times=1)

    strict.press("Créer")
    expect(strict.page.get_by_role("alert").filter(has_text="On ne sait pas si c’est fait.")).to_be_visible()
    assert len(strict.api.get("/api/events", headers=who.headers).json()["events"]) == 1, "it was done"
    strict.press("Réessayer")

    strict.sees_page("Fête du dépôt")
    assert len(used) == 2
    assert len(set(used)) == 1
    assert len(strict.api.get("/api/events", headers=who.headers).json()["events"]) == 1


def test_a_session_that_ended_with_a_form_open_loses_nothing(strict: Visitor) -> None:
    who = an_account(strict.api, "BUREAU")
    create(strict.api, who, "vehicle", parc="920", modele="Citaro")
    strict.log_in(who, "vehicules/920")
    strict.watch.expect(401)
    strict.field("Modèle").fill("Citaro C2")
    strict.field("Description").fill("Trois portes")
    strict.api.sql(f"UPDATE member SET token_epoch = token_epoch + 1 WHERE id = '{who.id}'")

    strict.press("Enregistrer")
    dialog = strict.page.get_by_role("dialog", name="Se reconnecter")
    expect(dialog).to_contain_text("ce que vous avez saisi reste là")
    strict.fill_login(email_of(strict.api, who))

    expect(strict.page.get_by_text("Enregistré.")).to_be_visible()
    [[model, text]] = strict.api.sql("SELECT modele, description FROM vehicle")
    assert (model, text) == ("Citaro C2", "Trois portes")


def test_who_does_not_log_in_again_still_has_the_form(strict: Visitor) -> None:
    who = an_account(strict.api, "BUREAU")
    create(strict.api, who, "vehicle", parc="920", modele="Citaro")
    strict.log_in(who, "vehicules/920")
    strict.watch.expect(401)
    strict.field("Modèle").fill("Citaro C2")
    strict.api.sql(f"UPDATE member SET token_epoch = token_epoch + 1 WHERE id = '{who.id}'")

    strict.press("Enregistrer")
    expect(strict.page.get_by_role("dialog", name="Se reconnecter")).to_be_visible()
    strict.page.keyboard.press("Escape")
    expect(strict.page.get_by_role("dialog")).to_have_count(0)
    expect(strict.field("Modèle")).to_have_value("Citaro C2")
    strict.press("Enregistrer")

    strict.fill_login(email_of(strict.api, who))
    expect(strict.page.get_by_text("Enregistré.")).to_be_visible()


def test_a_page_that_cannot_be_shown_says_why_and_comes_with_postgresql(
    strict: Visitor, postgres: EmbeddedPostgres
) -> None:
    who = an_account(strict.api, "BUREAU")
    create(strict.api, who, "vehicle", parc="920")
    strict.log_in(who, "evenements")
    postgres.kill()

    strict.go("Véhicules")
    expect(strict.page.get_by_role("main").get_by_role("alert")).to_contain_text("PostgreSQL indisponible")
    postgres.start()
    expect(strict.page.get_by_text("Le service ne peut pas répondre")).to_be_hidden()
    strict.press("Réessayer")

    expect(strict.page.get_by_role("row").filter(has_text="920")).to_be_visible()


@pytest.fixture
def fallback(start_service: StartService, new_visitor: NewVisitor) -> tuple[Visitor, Person]:
    """A window on a service with the memory fallback and its journal, and a manager who has logged in."""
    api = start_service(ENABLE_MEMORY_FALLBACK="true", ENABLE_RUNTIME_STATE_SAVE="true")
    visitor = new_visitor(api)
    who = an_account(api, "BUREAU")
    create(api, who, "vehicle", parc="920", modele="Citaro")
    visitor.log_in(who, "vehicules/920")
    return visitor, who


def test_a_write_to_memory_is_told_as_such_and_reaches_postgresql(
    fallback: tuple[Visitor, Person], postgres: EmbeddedPostgres
) -> None:
    visitor, who = fallback
    postgres.kill()

    visitor.field("Modèle").fill("Citaro C2")
    visitor.press("Enregistrer")

    told = visitor.page.get_by_role("status").filter(has_text="Accepté en mémoire, pas encore dans PostgreSQL")
    expect(told).to_be_visible()
    banner = visitor.page.get_by_text("PostgreSQL ne répond pas : cette page montre la mémoire du service")
    expect(banner).to_be_visible()
    visitor.go("Événements")
    expect(banner).to_be_visible()
    postgres.start()
    expect(banner).to_be_hidden()
    assert read(visitor.api, who, "vehicle", "920")["modele"] == "Citaro C2"


def test_a_conflict_that_an_outage_leaves_is_decided_on_its_page(
    start_service: StartService, new_visitor: NewVisitor, line: Proxy
) -> None:
    api = start_service(ENABLE_MEMORY_FALLBACK="true", ENABLE_RUNTIME_STATE_SAVE="true")
    visitor, who = new_visitor(api), an_account(api, "ADMIN")
    create(api, who, "vehicle", parc="920", etat="disponible")
    visitor.log_in(who, "vehicules/920")
    line.become("refuse")
    visitor.field("État").fill("En panne")
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Accepté en mémoire")).to_be_visible()
    api.sql("UPDATE vehicle SET etat = 'En restauration'")
    line.become("pass")
    until(lambda: api.get("/ready").json()["conflicts"] == 1, "the conflict")

    visitor.go("Tableau de bord")
    visitor.page.get_by_role("main").get_by_role("link", name="1 conflit à trancher").click()
    row = visitor.page.get_by_role("row").filter(has_text="État")
    expect(row.get_by_role("cell")).to_have_text(["En panne", "En restauration", "disponible"])
    visitor.page.get_by_role("button", name="Appliquer").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="Appliquer", exact=True).click()

    expect(visitor.page.get_by_text("Aucun conflit à trancher.")).to_be_visible()
    assert read(api, who, "vehicle", "920")["etat"] == "En panne"
