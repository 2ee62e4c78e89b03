"""A volunteer in front of the Studio: one browser window, one person, one service."""

import json
import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from accounts import PASSWORD
from harness import Api, Person
from studio.browser import Watch

KEEP = "session => sessionStorage.setItem('retrobus-studio', session)"
"""Keeps a session for this tab, where the page looks for it."""


@dataclass(frozen=True)
class Visitor:
    """A window of the browser on the Studio of one service."""

    page: Page
    watch: Watch
    api: Api

    def open(self, place: str = "") -> None:
        """Goes to another page by its address, `vehicules/920` for example, and waits until the one before is gone."""
        self.page.evaluate("document.querySelector('h1')?.setAttribute('data-before', '')")
        self.page.goto(str(self.api.base_url.join("/studio/")) + (f"#/{place}" if place else ""))
        expect(self.page.locator("h1[data-before]")).to_have_count(0)

    def go(self, title: str) -> None:
        """Goes to a page by the navigation, and waits until it is there."""
        self.page.get_by_role("navigation").get_by_role("link", name=title, exact=True).click()
        self.sees_page(title)

    def sees_page(self, title: str | re.Pattern[str]) -> None:
        """Waits until the page has this heading and all of its content."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)
        expect(self.page.get_by_text("Chargement…", exact=True)).to_have_count(0)

    def log_in(self, who: Person, place: str = "") -> None:
        """Opens a page with the session of this person, as the form of the login leaves it, and waits for the page."""
        user = self.api.get("/api/me", headers=who.headers).json()["user"]
        self.page.goto(str(self.api.base_url.join("/studio/icon.svg")))
        self.page.evaluate(KEEP, json.dumps({"token": who.token, "user": user}))
        self.open(place)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        expect(self.page.get_by_text("Chargement…", exact=True)).to_have_count(0)

    def fill_login(self, name: str, password: str = PASSWORD) -> None:
        """Fills the form of the login, wherever it is, sends it and waits until it is gone."""
        self.page.get_by_label("Adresse e-mail ou matricule").fill(name)
        self.page.get_by_label("Mot de passe").fill(password)
        self.page.get_by_role("button", name="Se connecter").click()
        expect(self.page.get_by_label("Mot de passe")).to_have_count(0)

    def field(self, label: str) -> Locator:
        """The control of a form with this label."""
        return self.page.get_by_label(label, exact=True)

    def press(self, name: str) -> None:
        """Presses a button."""
        self.page.get_by_role("button", name=name, exact=True).click()
