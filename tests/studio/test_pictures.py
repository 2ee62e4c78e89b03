"""The pictures of docs/studio.md: the invented collection, as a volunteer sees it on a good and on a bad day.

`make studio` runs these tests with STUDIO_PICTURES=docs/images, which keeps the pictures there.
"""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts import an_account
from faults.proxy import Proxy
from harness import Api, Person, until
from studio.collection import load_collection
from studio.conftest import NewVisitor
from studio.rows import change
from studio.visitor import Visitor

pytestmark = pytest.mark.faults

MOST = 60_000
"""Bytes of one picture at most: the repository keeps every version of it."""

WINDOW = {"width": 1100, "height": 720}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where pictures go: a folder of the test, or the one that STUDIO_PICTURES names."""
    return Path(os.environ.get("STUDIO_PICTURES", tmp_path))


@pytest.fixture
def keep(folder: Path) -> Callable[[Visitor, str], None]:
    """Takes a picture of the window as it is now."""

    def take(visitor: Visitor, name: str) -> None:
        visitor.page.mouse.move(0, 0)
        debugger = visitor.page.context.new_cdp_session(visitor.page)
        taken = debugger.send("Page.captureScreenshot", {"format": "webp", "quality": 70})
        picture = base64.b64decode(taken["data"])
        assert len(picture) < MOST
        (folder / f"studio-{name}.webp").write_bytes(picture)

    return take


@pytest.fixture
def ada(start_service: Callable[..., Api], new_visitor: NewVisitor) -> tuple[Visitor, Person]:
    """A window on a service with the collection, and an ADMIN who has logged in."""
    api = start_service(ENABLE_MEMORY_FALLBACK="true", ENABLE_RUNTIME_STATE_SAVE="true")
    load_collection(api.database_url)
    who = an_account(api, "ADMIN", first_name="Ada", last_name="Ministre", email="ada@example.org")
    visitor = new_visitor(api, viewport=WINDOW)
    visitor.log_in(who)
    return visitor, who


def test_pictures_of_a_list_a_form_and_two_editors(
    ada: tuple[Visitor, Person], keep: Callable[[Visitor, str], None]
) -> None:
    visitor, who = ada
    visitor.watch.expect(412)

    visitor.go("Véhicules")
    expect(visitor.page.locator("tbody tr")).to_have_count(16)
    keep(visitor, "list")
    visitor.open("vehicules/920")
    visitor.field("Sous-titre").fill("Le premier plancher bas de la région")
    keep(visitor, "form")
    change(visitor.api, who, "vehicle", "920", subtitle="Premier plancher bas de la collection", fuel=40)
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_role("dialog")).to_be_visible()
    keep(visitor, "editors")


def test_pictures_of_an_outage_and_of_the_conflict_that_it_leaves(
    ada: tuple[Visitor, Person], line: Proxy, keep: Callable[[Visitor, str], None]
) -> None:
    visitor, who = ada
    for number, event in enumerate(visitor.api.get("/api/events", headers=who.headers).json()["events"][:3]):
        change(visitor.api, who, "event", event["id"], currentParticipants=12 + number)
    visitor.api.delete("/api/events/" + event["id"], headers=who.headers)
    assert visitor.api.post("/api/backups", headers=who.headers).is_success
    visitor.open("tableau")
    expect(visitor.page.get_by_text("En direct")).to_be_visible()
    keep(visitor, "dashboard")
    visitor.open("vehicules/920")
    visitor.watch.expect(0, 503)  # the stream of changes ends, and only PostgreSQL could answer it
    line.become("refuse")
    visitor.field("État").fill("En panne")
    visitor.press("Enregistrer")
    expect(visitor.page.get_by_text("Accepté en mémoire")).to_be_visible()
    visitor.api.sql("UPDATE vehicle SET etat = 'En restauration' WHERE parc = '920'")

    visitor.go("Tableau de bord")
    expect(visitor.page.get_by_text("PostgreSQL ne répond pas : cette page montre la mémoire")).to_be_visible()
    keep(visitor, "outage")
    line.become("pass")
    until(lambda: visitor.api.get("/ready").json()["conflicts"] == 1, "the conflict")
    visitor.go("Conflits")
    keep(visitor, "conflict")
