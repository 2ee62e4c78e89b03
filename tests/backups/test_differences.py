"""Facts about the values that a plan shows: both sides of every differing field, bounded, without secrets."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from harness import run_sql

Terminal = Callable[..., tuple[int, str, str]]
IMAGE = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 200).decode()


class Compared:
    """A backup, and the commands that compare it with the tables."""

    def __init__(self, terminal: Terminal, url: str) -> None:
        self._terminal, self._url = terminal, url
        self._name = json.loads(terminal("backup", "create", "--json", url=url)[1])["name"]

    def text(self, *options: str) -> str:
        code, said, error = self._terminal("restore", self._name, *options, url=self._url)
        assert code == 0, error
        return said

    def values(self, *options: str) -> dict[str, Any]:
        [row] = json.loads(self.text("--json", *options))["differences"]
        values: dict[str, Any] = row["values"]
        return values


@pytest.fixture
def compared(terminal: Terminal, database: str) -> Compared:
    run_sql(
        database,
        """INSERT INTO event (id, title, date, description, adult_price, extras)
        VALUES ('e1', 'Fête', '2026-06-01', repeat('a', 3000) || 'fin', 3, '{"lieu": "Lyon"}')""",
        f"INSERT INTO vehicle (parc, modele, gallery) VALUES ('920', 'PR100', '[\"{IMAGE}\"]')",
        "INSERT INTO member (id, email, password_hash) VALUES ('m1', 'm1@example.org', '$argon2id$first')",
        """INSERT INTO event (id, title, date) SELECT 'many' || n, 'avant', '2026-06-01'
        FROM generate_series(100, 129) AS n""",
    )
    return Compared(terminal, database)


def test_a_plan_shows_both_values_of_the_first_fields_and_diff_shows_all(compared: Compared, database: str) -> None:
    run_sql(
        database,
        "UPDATE event SET title = 'Foire', adult_price = NULL, extras = '{}', layout = 'x' WHERE id = 'e1'",
    )

    plan, diff = compared.text(), compared.text("--diff")

    assert "✏️  événement e1 différent, laissé : title (ici « Foire », backup « Fête »)" in plan
    assert "toutes les valeurs : --diff" in plan
    assert "      adult_price\n        ici    : rien\n        backup : « 3.00 »\n" in diff
    assert "      layout\n        ici    : « x »\n        backup : rien\n" in diff
    assert "--replace" not in plan


def test_a_long_text_is_shown_around_the_place_where_both_part(compared: Compared, database: str) -> None:
    run_sql(database, "UPDATE event SET description = left(description, 3000) || 'suite' WHERE id = 'e1'")

    values = compared.values()

    assert values["description"] == {
        "here": f"…{'a' * 55}suite (3005 caractères)",
        "backup": f"…{'a' * 57}fin (3003 caractères)",
    }


def test_an_image_is_shown_as_its_kind_size_and_sum(compared: Compared, database: str) -> None:
    run_sql(database, f"UPDATE vehicle SET gallery = '[\"{IMAGE.replace('AAEC', 'BBBB')}\"]'")

    gallery = compared.values("--diff")["gallery"]

    assert gallery["here"] != gallery["backup"]
    assert gallery["here"].startswith('["<image/png, 51 Ko, sha256 ')


def test_a_password_is_never_shown(compared: Compared, database: str) -> None:
    run_sql(database, "UPDATE member SET password_hash = '$argon2id$second', city = 'Lyon'")

    for options in ([], ["--diff"], ["--diff", "--json"]):
        said = compared.text(*options)
        assert "password_hash" in said
        assert "argon2" not in said
    assert compared.values()["password_hash"] == {"here": "(secret)", "backup": "(secret)"}


def test_no_character_of_a_value_moves_the_cursor_of_the_terminal(compared: Compared, database: str) -> None:
    run_sql(database, "UPDATE event SET title = E'a\\x1b[2J\\nb' WHERE id = 'e1'")

    assert "ici « a\\x1b[2J\\nb »" in compared.text()


def test_a_plan_shows_values_of_twenty_rows_and_diff_of_all(compared: Compared, database: str) -> None:
    run_sql(database, "UPDATE event SET title = 'après' WHERE id LIKE 'many%'")

    plan, diff = compared.text(), compared.text("--diff")

    assert plan.count("ici « après », backup « avant »") == 20
    assert "… et 10 autres (--diff)" in plan
    assert diff.count("« après »") == 30
    assert "autres" not in diff


def test_diff_shows_the_values_with_yes_too(compared: Compared, database: str) -> None:
    run_sql(database, "UPDATE event SET title = 'Foire' WHERE id = 'e1'")

    said = compared.text("--only", "event:e1", "--replace", "--apply", "--yes", "--diff")

    assert "        ici    : « Foire »\n        backup : « Fête »\n" in said
    assert "différent" not in compared.text("--only", "event:e1")
