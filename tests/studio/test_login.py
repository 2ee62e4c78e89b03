"""The login of the Studio: who may enter, what is told, and what a session that has ended leaves."""

import re

from playwright.sync_api import expect

from accounts import PASSWORD, an_account, email_of
from harness import Api, Person
from retrobus.accounts.throttle import PER_PAIR
from studio.visitor import Visitor


def test_one_logs_in_by_e_mail_and_sees_the_own_name(visitor: Visitor, manager: Person) -> None:
    visitor.open()

    visitor.fill_login(email_of(visitor.api, manager))

    expect(visitor.page.get_by_role("banner").get_by_text("Bérénice Bureau")).to_be_visible()
    expect(visitor.page.get_by_role("navigation").get_by_role("link").first).to_be_visible()


def test_one_logs_in_by_matricule(visitor: Visitor, service: Api) -> None:
    an_account(service, matricule="RB-042", first_name="Mathilde", last_name="Matricule")
    visitor.open()

    visitor.fill_login("RB-042")

    expect(visitor.page.get_by_text("Mathilde Matricule")).to_be_visible()


def test_a_wrong_password_is_told_and_the_name_stays(visitor: Visitor, manager: Person) -> None:
    visitor.watch.expect(401)
    visitor.open()

    try_password(visitor, email_of(visitor.api, manager), "not the password")

    expect(visitor.page.get_by_role("alert").filter(has_text="identifiants invalides")).to_be_visible()
    expect(visitor.field("Adresse e-mail ou matricule")).to_have_value(email_of(visitor.api, manager))


def test_who_guesses_reads_how_long_to_wait(visitor: Visitor, manager: Person) -> None:
    visitor.watch.expect(401, 429)
    visitor.open()

    for _ in range(PER_PAIR):
        try_password(visitor, email_of(visitor.api, manager), "not the password")
    try_password(visitor, email_of(visitor.api, manager), PASSWORD)

    told = re.compile(r"Trop de tentatives : réessayez dans \d+ (minute|seconde)s?\.")
    expect(visitor.page.get_by_role("alert").filter(has_text=told)).to_be_visible()


def test_the_session_lasts_as_long_as_the_tab_and_ends_with_the_button(visitor: Visitor, member: Person) -> None:
    visitor.log_in(member)
    visitor.page.reload()
    expect(visitor.page.get_by_text("Marius Membre")).to_be_visible()
    assert visitor.page.context.cookies() == []
    assert visitor.page.evaluate("localStorage.length") == 0

    visitor.press("Se déconnecter")

    expect(visitor.field("Mot de passe")).to_be_visible()
    assert visitor.page.evaluate("sessionStorage.length") == 0


def try_password(visitor: Visitor, name: str, password: str) -> None:
    """Sends the form of the login, and waits for the answer."""
    visitor.field("Adresse e-mail ou matricule").fill(name)
    visitor.field("Mot de passe").fill(password)
    with visitor.page.expect_response("**/api/auth/login"):
        visitor.press("Se connecter")
    expect(visitor.page.get_by_role("button", name="Se connecter")).to_be_enabled()
