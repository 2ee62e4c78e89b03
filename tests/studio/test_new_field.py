"""A field that the API did not have: the Studio lists and edits it, and no file of the Studio changed for it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from accounts import an_account
from harness import SECRET, Api, free_port, until
from studio.conftest import NewVisitor
from studio.rows import create, read

ROOT = Path(__file__).parents[2]
RETROBUS = "from retrobus.cli import main; main()"
COLUMN = '    column.labelled("Parrain", column.words("sponsor")),\n'
INPUT = "    sponsor: OrNull[Short] = UNCHANGED\n"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program with a nullable text `sponsor` of an event, added as CONTRIBUTING.md says."""
    for part in ("src", "migrations"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    events = tmp_path / "src/retrobus/model/events.py"
    text = events.read_text(encoding="utf-8")
    text = text.replace("    *column.stamps(),\n", COLUMN + "    *column.stamps(),\n", 1)
    text = text.replace("    max_participants: OrNull", INPUT + "    max_participants: OrNull", 1)
    events.write_text(text, encoding="utf-8")
    return tmp_path


def environment(program: Path, url: str) -> dict[str, str]:
    """What a process needs to run this copy on this database."""
    own = {"PYTHONPATH": str(program / "src"), "DATABASE_URL": url, "JWT_SECRET": SECRET, "APP_ENV": "test"}
    return {**os.environ, **own}


def migrate(program: Path, url: str) -> None:
    """Writes the migration by the command, names it in the code and runs it."""
    commands = (["db", "new-migration", "add sponsor"], ["db", "upgrade"])
    for arguments in commands:
        done = subprocess.run(
            [sys.executable, "-c", RETROBUS, *arguments],
            env=environment(program, url), cwd=program, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        tables = program / "src/retrobus/model/tables.py"
        newest = max(path.name[:4] for path in (program / "migrations/versions").glob("[0-9]*.py"))
        tables.write_text(re.sub(r'REVISION = "\d+"', f'REVISION = "{newest}"', tables.read_text(encoding="utf-8")))


@contextmanager
def served(program: Path, url: str) -> Iterator[Api]:
    """The copy as a running service."""
    port = free_port()
    with (program / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", RETROBUS, "serve"],
            env=environment(program, url) | {"PORT": str(port)}, cwd=program, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with Api(f"http://127.0.0.1:{port}", url) as api:
            until(lambda: running.poll() is not None or answers(api), "the copy's first answer")
            assert running.poll() is None, (program / "log").read_text()
            yield api
    finally:
        running.kill()
        running.wait()


def answers(api: Api) -> bool:
    """Whether the service takes requests."""
    try:
        return api.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_new_field_is_in_list_and_form(database: str, program: Path, new_visitor: NewVisitor) -> None:
    migrate(program, database)
    with served(program, database) as api:
        who = an_account(api, "BUREAU")
        create(api, who, "event", id="fete", title="Fête", sponsor="Garage du Pont")
        visitor = new_visitor(api)

        visitor.log_in(who, "evenements")
        expect(visitor.page.get_by_role("columnheader", name="Parrain")).to_be_visible()
        expect(visitor.page.get_by_role("cell", name="Garage du Pont")).to_be_visible()
        visitor.open("evenements/fete")
        visitor.field("Parrain").fill("Les Amis du Rail")
        visitor.press("Enregistrer")

        expect(visitor.page.get_by_text("Enregistré.")).to_be_visible()
        assert read(api, who, "event", "fete")["sponsor"] == "Les Amis du Rail"
        visitor.page.close()  # it would ask the service that ends here whether it is ready
    own, here = (sorted((root / "src/retrobus/studio").glob("*.js")) for root in (program, ROOT))
    assert [path.read_bytes() for path in own] == [path.read_bytes() for path in here]
