"""Compares the documents with the program: settings, errors, log lines, commands, links and SQL."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.main import get_command

import settings_text
from builders import a_member, a_vehicle, an_event
from harness import Api, at, run_sql, served, settings_for
from retrobus import logbook
from retrobus.cli.doctor.pages import PAGES
from retrobus.cli.program import app
from retrobus.database import migrate, rights
from retrobus.database.errors import MEANINGS, is_unavailable
from retrobus.database.revisions import OLDEST_SERVER
from retrobus.http.problems import KINDS, from_store
from retrobus.model.tables import metadata
from retrobus.settings import Settings
from retrobus.store import refusals as store
from retrobus.store.errors import StoreError

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
README, ERRORS, OPERATIONS, MIGRATION = (
    ROOT / name for name in ("README.md", "docs/errors.md", "docs/operations.md", "docs/migration.md")
)
SETTINGS = {name.upper() for name in Settings.model_fields}
PREFIXES = tuple({f"{name.split('_')[0]}_" for name in SETTINGS})
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|Users)\b|\bgit(?:hub|lab)\.com/|pypi\.")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rows(path: Path, first: str) -> list[list[str]]:
    """The cells of each row of every table whose first column has this heading."""
    tables = re.findall(rf"^\| {first} \|.*\n\| --- .*\n((?:\|.*\n)+)", text(path), re.MULTILINE)
    lines = "".join(tables).splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def fenced(path: Path, language: str) -> list[str]:
    """The blocks of code in this language."""
    return re.findall(rf"```{language}\n(.*?)```", text(path), re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The fragments by which a link can name a heading."""
    headings = re.findall(r"^#+ (.+)$", text(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def commands(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*before, name)
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))


def logged() -> set[tuple[str, str]]:
    """The level and text of each line that the service can log; a part that varies is `<name>`."""
    tree = ast.parse(Path(logbook.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    found: set[tuple[str, str]] = {
        (line.level, line.text) for line in vars(logbook).values() if isinstance(line, logbook.Line)
    }
    for call in calls:
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "_log":
            found |= {(call.func.attr, line) for line in lines_of(call.args[0])}
        elif ast.unparse(call.func) == "getattr(_log, level)":
            found |= {("–", line) for line in lines_of(call.args[0])}
    return found


def lines_of(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*lines_of(node.body), *lines_of(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        parts = (p.value if isinstance(p, ast.Constant) else f"<{ast.unparse(p.value)}>" for p in node.values)  # type: ignore[attr-defined]
        return ["".join(map(str, parts))]
    return [str(getattr(logbook, node.id) if isinstance(node, ast.Name) else ast.literal_eval(node))]


def sql_code(state: str) -> str:
    """The code with which the service answers an error of PostgreSQL."""
    error = asyncpg.PostgresError.new({"C": state.ljust(5, "0"), "M": "", "S": "ERROR"})
    translated = store.translate(error)
    if isinstance(translated, StoreError):
        return from_store(translated).code
    return "database_unavailable" if is_unavailable(error) else "internal_error"


def test_the_example_file_lists_every_setting_with_its_default() -> None:
    """`python tests/support/settings_text.py` writes both again."""
    assert text(ROOT / ".env.example") == settings_text.example_file()


def test_the_example_file_is_accepted_as_it_is_and_uncommented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    uncommented = re.sub(r"^#(?=[A-Z_]+=)", "", text(ROOT / ".env.example"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(uncommented, encoding="utf-8")

    assert Settings() == Settings(_env_file=None)


def test_the_readme_lists_every_setting_with_its_default() -> None:
    """`python tests/support/settings_text.py` writes both again."""
    assert settings_text.table() in text(README)


def test_the_table_of_errors_is_the_one_of_the_program() -> None:
    documented = [(int(status), code.strip("`"), title) for status, code, title, *_ in rows(ERRORS, "status")]

    assert documented == [(kind.status, kind.code, kind.title) for kind in KINDS.values()]
    assert all(len(row) == 5 and all(row) for row in rows(ERRORS, "status"))


def test_the_french_table_explains_every_code() -> None:
    documented = rows(ERRORS, "code")

    assert [code.strip("`") for code, *_ in documented] == list(KINDS)
    assert all(len(row) == 3 and all(row) for row in documented)


def test_the_table_of_sqlstates_is_the_one_of_the_program() -> None:
    *documented, rest = [(state.strip("`"), told, code.strip("`")) for state, told, code in rows(ERRORS, "SQLSTATE")]

    assert sorted(documented) == sorted(
        (state if len(state) == 5 else f"{state}xxx", told, sql_code(state)) for state, (_, told) in MEANINGS.items()
    )
    assert rest == ("anything else", "a bug of the service", sql_code("XX000"))
    assert sql_code("XX000") == "internal_error"


def test_the_runbook_lists_every_line_that_the_service_can_log() -> None:
    documented = {(level, line.strip("`")) for level, line, _ in rows(OPERATIONS, "niveau")}

    assert documented == logged()


def test_the_runbook_explains_every_key_of_ready(api: Api) -> None:
    documented = [key.strip("`") for key, _ in rows(OPERATIONS, "clé")]

    assert documented == list(api.get("/ready").json())


def test_the_runbook_names_only_figures_that_are_measured(api: Api) -> None:
    watched = text(OPERATIONS).partition("À surveiller")[2].partition("\n\n")[0]
    named = re.findall(r"`(retrobus_[a-z_]+)`", watched)

    measured = api.get("/metrics").text

    assert len(named) >= 5
    assert [name for name in named if name not in measured] == []


def test_the_runbook_begins_with_a_list_of_its_sections() -> None:
    sections = re.findall(r"^## (.+)$", text(OPERATIONS), re.MULTILINE)

    assert re.findall(r"^- \[(.+)\]\(#.*\)$", text(OPERATIONS), re.MULTILINE) == sections


def test_french_pages_have_french_apostrophes_and_spaces() -> None:
    """Outside code: ’ and not ', a space that does not break before : ; ! ? » and after «."""
    of_errors = text(ERRORS).partition("## En français")[2].partition("\n## ")[0]
    pages = "".join(map(text, (OPERATIONS, MIGRATION, ROOT / "docs/backups.md", ROOT / "docs/studio.md"))) + of_errors
    prose = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", "`", pages, flags=re.DOTALL)

    assert re.findall(r".*(?:\w'| [:;!?»]|« ).*", prose) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_in_a_document_exists(name: str) -> None:
    known = {" ".join(words) for words in commands(get_command(app))}
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    told = {line for _, line in logged()}
    inline = [words for words in re.findall(r"`([^`\n]+)`", text(ROOT / name)) if words not in told]
    shell = "\n".join([*fenced(ROOT / name, "sh"), *inline])

    used = re.findall(r"(?<![\w/.@-])retrobus ((?:[a-z][a-z-]+ ?){1,2})", shell)
    made = re.findall(r"(?<![\w-])make ([a-z]+)", shell)

    assert [words for words in used if not is_known(words, known)] == []
    assert set(made) <= targets


def is_known(words: str, known: set[str]) -> bool:
    first, *rest = words.split()
    group = any(other.startswith(f"{first} ") for other in known)
    return first in known and (not group or not rest or f"{first} {rest[0]}" in known)


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(ROOT / name)):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        path = (ROOT / name).parent / parts.path if parts.path else ROOT / name
        assert path.exists(), target
        assert not parts.fragment or parts.fragment in anchors(path), target


def test_every_page_that_a_message_names_explains_the_matter_under_the_heading_that_it_names() -> None:
    texts = [found for path in (ROOT / "src/retrobus").rglob("*.py") for found in messages(path)]
    named = {link for told in texts for link in re.findall(r"(?:README|docs/[a-z]+)\.md(?:#[\w-]+)?", told)}

    assert set(PAGES.values()) <= named
    assert all("#" in link for link in PAGES.values())
    for link in named:
        page, _, heading = link.partition("#")
        assert heading in anchors(ROOT / page) if heading else (ROOT / page).exists(), link


def messages(path: Path) -> list[str]:
    """The texts of a module that are no docstrings."""
    tree = ast.parse(text(path))
    told = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told
    ]


def test_every_decision_is_in_the_list() -> None:
    pages = {path.name for path in (ROOT / "docs/decisions").glob("0*.md")}

    assert set(re.findall(r"\((0[^)]+)\)", text(ROOT / "docs/decisions/README.md"))) == pages


@pytest.mark.parametrize("name", NAMES)
def test_no_document_names_a_place_that_only_one_machine_has(name: str) -> None:
    assert MACHINE.findall(text(ROOT / name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_that_a_document_sets_or_names_exists(name: str) -> None:
    named = set(re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)\b", text(ROOT / name)))

    assert {word for word in named if word.startswith(PREFIXES)} <= SETTINGS


@pytest.fixture(scope="module")
def roles(server: str) -> Iterator[tuple[str, str]]:
    """Runs the README's own SQL on a new database; its URLs for the owner and for the service's role."""
    mark = os.urandom(4).hex()
    names = {word: f"{word}_{mark}" for word in ("retrobus_owner", "retrobus_service")}
    [create] = re.findall(r"<<END\n(SET log.*?CREATE ROLE.*?)^END$", text(README), re.DOTALL | re.MULTILINE)
    [limits] = fenced(README, "sql")
    create = re.sub(r"'\$\w+_password'", "'invented'", create)
    create, limits = (renamed(block, names, f"retrobus_{mark}") for block in (create, limits))
    run_sql(server, *statements(create))
    urls = [as_role(at(server, f"retrobus_{mark}"), role) for role in names.values()]
    try:
        migrate.upgrade(urls[0])
        grant(urls[0], names["retrobus_service"])
        run_sql(server, *statements(limits))
        yield urls[0], urls[1]
    finally:
        run_sql(server, f"DROP DATABASE retrobus_{mark} WITH (FORCE)", *(f"DROP ROLE {r}" for r in names.values()))


def grant(owner: str, role: str) -> None:
    """Runs the README's command that gives the service's role its rights."""
    command = [sys.executable, "-c", "from retrobus.cli import main; main()", "db", "grant", "--role", role]
    subprocess.run(command, env=os.environ | {"DATABASE_URL": owner}, check=True, capture_output=True)


def renamed(block: str, names: dict[str, str], database: str) -> str:
    for word, name in names.items():
        block = block.replace(word, name)
    return block.replace("DATABASE retrobus ", f"DATABASE {database} ")


def statements(block: str) -> list[str]:
    return [statement for statement in block.split(";") if statement.strip()]


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:invented@{parts.netloc.rpartition('@')[2]}").geturl()


def test_the_list_of_rights_names_every_table() -> None:
    assert sorted(rights.TABLES) == sorted([*metadata.tables, "alembic_version"])


def test_the_service_does_all_its_work_with_the_rights_of_the_readme(roles: tuple[str, str]) -> None:
    owner, service = roles
    bodies = {
        "vehicles": a_vehicle(parc="920"),
        "events": an_event(id="sortie", vehicleId="920"),
        "members": a_member(),
    }

    with served(settings_for(service), owner) as api:
        admin = api.person("ADMIN").headers
        done = [api.get("/ready").status_code]
        for name, body in bodies.items():
            created = api.post(f"/api/{name}", json=body, headers=admin | {"Idempotency-Key": name})
            place = created.headers["Location"]
            changed = api.put(place, json=body, headers=admin)
            done += [created.status_code, changed.status_code, api.get(f"/api/{name}", headers=admin).status_code]
        done.append(api.delete("/api/vehicles/920", headers=admin).status_code)
        orphan = api.get("/api/events/sortie", headers=admin).json()

    assert done == [200, *[201, 200, 200] * 3, 200]
    assert orphan["vehicleId"] is None


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM deletion",
        "UPDATE deletion SET key = 'other'",
        "TRUNCATE vehicle",
        "DROP TABLE event",
        "ALTER TABLE member DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE database_identity SET created_at = now()",
        "SELECT setval('row_version', 1)",
        "CREATE TABLE other (id int)",
        "SET session_replication_role = replica",
    ],
)
def test_the_service_role_can_neither_change_the_schema_nor_hide_a_delete(
    statement: str, roles: tuple[str, str]
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        run_sql(roles[1], statement)


def test_readme_names_the_oldest_server_that_migrations_and_doctor_accept() -> None:
    found = re.findall(r"PostgreSQL (\d+) or newer", text(README))

    assert found == [str(OLDEST_SERVER)]
