"""axe-core, which judges in the browser whether people with a screen reader or weak eyes can use a page."""

from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
GRAVE = {"serious", "critical"}


def grave_findings(page: Page) -> list[str]:
    """What axe finds serious or critical in the page as it is now, a line for each element.

    The script comes through the debugger, not through the page: its Content-Security-Policy stays as it is.
    """
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {element['html']}: {element['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for element in rule["nodes"]
    ]
