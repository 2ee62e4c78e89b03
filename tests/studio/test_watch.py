"""The watch over the browser and axe can fail: they see what other tests promise is not there."""

from playwright.sync_api import expect

from harness import Api
from studio.axe import grave_findings
from studio.conftest import NewVisitor
from studio.visitor import Visitor


def test_the_watch_hears_a_violation_of_the_policy_an_error_and_a_refusal(
    new_visitor: NewVisitor, service: Api
) -> None:
    visitor = new_visitor(service)
    visitor.open()
    expect(visitor.field("Mot de passe")).to_be_visible()

    with visitor.page.expect_console_message(lambda message: "CSP" in message.text):
        visitor.page.evaluate("document.body.setAttribute('style', 'color: red')")
    with visitor.page.expect_event("pageerror"):
        visitor.page.evaluate("setTimeout(() => { throw new Error('oops'); })")
    with visitor.page.expect_response("**/api/me"):
        visitor.page.evaluate("fetch('/api/me')")

    heard = "\n".join(visitor.watch.complaints)
    visitor.watch.complaints.clear()
    for what in ("CSP: style-src", "oops", "401 for GET /api/me"):
        assert what in heard


def test_axe_finds_a_control_without_a_name(visitor: Visitor) -> None:
    visitor.open()
    expect(visitor.field("Mot de passe")).to_be_visible()

    visitor.page.evaluate("document.querySelectorAll('label').forEach((label) => label.remove())")

    assert any(finding.startswith("label: ") for finding in grave_findings(visitor.page))
