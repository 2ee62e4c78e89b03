"""Measures the Studio in Debian's chromium and takes its pictures: the figures and images of docs/studio.md.

The weight is every file of the page, as it is sent. First paint and the list are measured in windows that have kept
nothing, on a service with the invented collection; each figure is the median of five. Writes docs/studio.md (the
block between the marks) and docs/images/.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/support")]

from playwright.sync_api import Browser, expect

from accounts import an_account
from harness import Api, Person, apart, process
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres
from retrobus.words import grouped
from studio.browser import Watch, chromium
from studio.collection import load_collection
from studio.visitor import Visitor

PAGE = ROOT / "docs/studio.md"
IMAGES = ROOT / "docs/images"
FILES = ROOT / "src/retrobus/studio"
MARKS = "<!-- make studio -->\n", "<!-- fin -->\n"
ROUNDS = 5
CODE = re.compile(r"^(?!\s*(?://|/\*|\*|$)).*$", re.MULTILINE)
"""A line that is neither blank nor a comment."""


def modules() -> dict[str, int]:
    """Lines of each JavaScript module, without comments and blank ones, as tests/api/test_studio.py counts them."""
    return {path.name: len(CODE.findall(path.read_text(encoding="utf-8"))) for path in sorted(FILES.glob("*.js"))}


def weight() -> tuple[int, int]:
    """How many files the page has, and their bytes."""
    sizes = [path.stat().st_size for path in FILES.iterdir() if path.suffix in {".html", ".js", ".css", ".svg"}]
    return len(sizes), sum(sizes)


def paint(browser: Browser, api: Api) -> float:
    """Milliseconds from the address to the first paint of the login."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(str(api.base_url.join("/studio/")))
        page.get_by_role("button", name="Se connecter").wait_for()
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        found: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        return found


def list_shown(browser: Browser, api: Api, who: Person) -> float:
    """Milliseconds from the click on « Adhérents » to its rows."""
    with browser.new_context() as context:
        page = context.new_page()
        visitor = Visitor(page, Watch(), api)
        visitor.log_in(who)
        page.evaluate("""() => { window.clicked = null;
            document.addEventListener("click", () => (window.clicked = performance.now()), { capture: true });
            new MutationObserver((_, observer) => { if (document.querySelector("tbody tr")) {
                window.shown = performance.now(); observer.disconnect(); } })
                .observe(document.querySelector("main"), { childList: true, subtree: true }); }""")
        page.get_by_role("link", name="Adhérents", exact=True).click()
        expect(page.locator("tbody tr").first).to_be_visible()
        found: float = page.evaluate("window.shown - window.clicked")
        return found


def measured() -> tuple[float, float]:
    """First paint and list, in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="retrobus-studio-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        (folder / "service").mkdir()
        with embedded_postgres(folder / "postgres", settings={"fsync": "off"}) as server:
            migrate.upgrade(server.url())
            load_collection(server.url())
            with process(server.url(), folder / "service") as (api, _):
                who = apart(lambda: an_account(api, "ADMIN"))
                with chromium() as browser:
                    first = median(paint(browser, api) for _ in range(ROUNDS))
                    return first, median(list_shown(browser, api, who) for _ in range(ROUNDS))


def figures() -> str:
    """The block of docs/studio.md between the marks."""
    first, shown = measured()
    files, size = weight()
    lines = modules()
    return f"""
| mesure | valeur |
| --- | --- |
| poids de la page | {size / 1000:.0f} ko en {files} fichiers, sans compression |
| premier affichage, navigateur sans cache, sur la même machine | {first:.0f} ms |
| du clic sur « Adhérents » aux 50 premières lignes | {shown:.0f} ms |
| JavaScript | {grouped(sum(lines.values()))} lignes en {len(lines)} modules, sans compter les commentaires |

Lignes par module : {", ".join(f"`{name}` {count}" for name, count in lines.items())}.

"""


def main() -> int:
    """Measures, then runs the tests that take the pictures; 1 if one of them failed."""
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    PAGE.write_text(before + MARKS[0] + figures() + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "tests/studio/test_pictures.py"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"STUDIO_PICTURES": str(IMAGES)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
