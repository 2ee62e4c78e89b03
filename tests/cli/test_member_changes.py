"""`retrobus member set-password / disable / enable / set-role / list`: what changes, what is said, what is refused."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from accounts import PASSWORD, an_account, email_of, log_in
from harness import LONGEST, Api, run_sql, until
from locks import held

Terminal = Callable[..., tuple[int, str, str]]

NEW = "un-tout-autre-mot-de-passe"
RUNBOOK = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
REVOKED = "Ses jetons ne valent plus : il faut se reconnecter.\n"
LAST = "❌ C'est le dernier administrateur actif : nommez-en un autre d'abord.\n"
PEOPLE = """INSERT INTO member (id, email, matricule, first_name, last_name, role, status, password_hash) VALUES
('m1', 'sacha@example.org', 'S12', 'Sacha', 'Exemple', 'MEMBER', 'active', 'x'),
('m2', 'alix@example.org', NULL, '', '', 'ADMIN', 'active', 'x'),
('m3', 'camille@example.org', NULL, 'Camille', 'Exemple', 'BUREAU', 'terminated', NULL)"""
STATE = "SELECT id, role, status, token_epoch FROM member ORDER BY id"
THE_RULE = "SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))"
CHANGES = [["set-role", "BUREAU"], ["disable"], ["enable"], ["set-password", "--password-stdin"]]
every_change = pytest.mark.parametrize("command", CHANGES, ids=lambda command: command[0])


@pytest.fixture
def filled(database: str) -> str:
    """A member, the only ADMIN, and a member who left and has no password."""
    run_sql(database, PEOPLE)
    return database


def on(command: list[str], key: str) -> list[str]:
    """The command line of a change of this member."""
    return ["member", command[0], key, *command[1:]]


def state(url: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in run_sql(url, STATE)]


@pytest.mark.parametrize("key", ["m1", "SACHA@example.org", "s12", " sacha@example.org "])
def test_a_role_is_given_by_id_address_or_matricule(terminal: Terminal, filled: str, key: str) -> None:
    ended = terminal("member", "set-role", key, "tresorier", url=filled)

    assert ended == (0, f"✅ Sacha Exemple (sacha@example.org) : rôle membre → trésorier\n{REVOKED}", "")
    assert state(filled)[0] == ("m1", "TRESORIER", "active", 1)
    assert [tuple(row) for row in run_sql(filled, "SELECT updated_by FROM member WHERE id = 'm1'")] == [("cli",)]


def test_an_account_is_closed_and_opened_again(terminal: Terminal, api: Api) -> None:
    person = an_account(api)
    email = email_of(api, person)

    closed = terminal("member", "disable", email, url=api.database_url)
    refused = [log_in(api, email).status_code, api.get("/api/me", headers=person.headers).status_code]
    opened = terminal("member", "enable", email, url=api.database_url)
    again = [log_in(api, email).status_code, api.get("/api/me", headers=person.headers).status_code]

    assert closed[1].startswith(f"✅ Alix Exemple ({email}) : état actif → désactivé\n{REVOKED}")
    assert f"retrobus member enable {email}" in closed[1]
    assert opened[1] == f"✅ Alix Exemple ({email}) : état désactivé → actif\n{REVOKED}"
    assert (refused, again) == ([401, 401], [200, 401])


def test_a_new_password_is_the_only_one_that_logs_in_and_ends_the_tokens(terminal: Terminal, api: Api) -> None:
    person = an_account(api)
    email = email_of(api, person)

    ended = terminal("member", "set-password", email, "--password-stdin", given=f"{NEW}\n", url=api.database_url)

    assert ended == (0, f"✅ Alix Exemple ({email}) : nouveau mot de passe\n{REVOKED}", "")
    assert [log_in(api, email, word).status_code for word in (NEW, PASSWORD)] == [200, 401]
    assert api.get("/api/me", headers=person.headers).status_code == 401


def typed(line: list[str], url: str, given: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as an operator does who types what it asks for."""
    return subprocess.run(
        line,
        input=given,
        env={"DATABASE_URL": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
        start_new_session=True,  # without a terminal, the command reads the answer from its input
    )


def test_the_runbook_s_cure_for_a_lost_password_lets_the_administrator_log_in(api: Api) -> None:
    chapter = RUNBOOK.split("### Mot de passe perdu")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL) for line in block.splitlines()]
    email = email_of(api, an_account(api, status="disabled"))

    ended = [typed(line.replace("alix@example.org", email).split(), api.database_url, f"{NEW}\n" * 2) for line in lines]
    answer = log_in(api, email, NEW)

    assert [done.returncode for done in ended] == [0, 0, 0], ended
    assert (answer.status_code, answer.json()["user"]["role"]) == (200, "ADMIN")


def test_a_password_is_asked_until_it_was_typed_twice_alike(filled: str) -> None:
    done = typed(["retrobus", "member", "set-password", "m1"], filled, f"{NEW}\nautre\n{NEW}\n{NEW}\n")

    assert (done.returncode, "Les deux mots de passe diffèrent" in done.stderr) == (0, True)
    assert done.stdout.startswith("Sacha Exemple (sacha@example.org) : nouveau mot de passe\n")
    assert NEW not in done.stdout + done.stderr
    assert run_sql(filled, "SELECT token_epoch FROM member WHERE id = 'm1'") == [(1,)]


@pytest.mark.parametrize("password", ["", "court", "x" * 201])
def test_a_password_that_the_api_would_refuse_changes_nothing(terminal: Terminal, filled: str, password: str) -> None:
    ended = terminal("member", "set-password", "m1", "--password-stdin", given=f"{password}\n", url=filled)

    assert ended == (1, "", "❌ mot de passe de 10 à 200 caractères attendu\n")
    assert run_sql(filled, "SELECT password_hash, token_epoch FROM member WHERE id = 'm1'") == [("x", 0)]


@pytest.mark.parametrize("command", [["set-role", "MEMBER"], ["disable"]], ids=["set-role", "disable"])
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"]], ids=["plain", "dry-run", "json"])
def test_the_last_active_admin_stays(terminal: Terminal, filled: str, command: list[str], more: list[str]) -> None:
    before = state(filled)

    ended = terminal(*on(command, "alix@example.org"), *more, url=filled)

    assert ended == (1, "", LAST)
    assert state(filled) == before


def test_a_command_beside_the_api_leaves_one_admin(terminal: Terminal, fresh_api: Api) -> None:
    first, second = fresh_api.person("ADMIN"), fresh_api.person("ADMIN")

    with ThreadPoolExecutor() as threads, held(fresh_api.database_url, THE_RULE) as lock:
        path, body = f"/api/members/{second.id}", {"role": "MEMBER"}
        asked = threads.submit(fresh_api.put, path, json=body, headers=first.headers)
        until(lambda: lock.waiting() == 1, "the API to wait for its turn")
        demoted = threads.submit(terminal, "member", "set-role", first.id, "MEMBER", url=fresh_api.database_url)
        until(lambda: lock.waiting() == 2, "the command to wait for its turn")
        lock.release()

    assert (asked.result().status_code, demoted.result()[0]) in {(200, 1), (409, 0)}
    assert fresh_api.sql("SELECT count(*) FROM member WHERE role = 'ADMIN' AND status = 'active'") == [(1,)]


@every_change
def test_a_dry_run_says_what_would_change_and_changes_nothing(
    terminal: Terminal, filled: str, command: list[str]
) -> None:
    before = state(filled)
    key = "camille@example.org" if command == ["enable"] else "sacha@example.org"

    code, said, errors = terminal(*on(command, key), "--dry-run", url=filled)

    assert (code, errors) == (0, "")
    assert said.startswith("À faire : ")
    assert key in said
    assert "jetons" not in said
    assert state(filled) == before


@every_change
def test_an_unknown_member_is_one_sentence(terminal: Terminal, filled: str, command: list[str]) -> None:
    ended = terminal(*on(command, "personne"), given=f"{NEW}\n", url=filled)

    words = "donnez son id, son adresse ou son matricule (retrobus member list)"
    assert ended == (1, "", f"❌ aucun membre personne : {words}\n")


@every_change
def test_a_word_that_names_two_members_changes_neither(terminal: Terminal, filled: str, command: list[str]) -> None:
    run_sql(filled, "UPDATE member SET matricule = 'M1' WHERE id = 'm3'")
    before = state(filled)

    ended = terminal(*on(command, "m1"), given=f"{NEW}\n", url=filled)

    assert ended == (1, "", "❌ plusieurs membres portent ce nom : m1, m3 ; donnez ce qu'un seul porte\n")
    assert state(filled) == before


def test_what_is_so_already_keeps_the_tokens(terminal: Terminal, filled: str) -> None:
    ended = terminal("member", "enable", "m1", url=filled)

    assert ended == (0, "Sacha Exemple (sacha@example.org) : rien à changer, c'est déjà ainsi\n", "")
    assert state(filled)[0] == ("m1", "MEMBER", "active", 0)


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(terminal: Terminal, filled: str) -> None:
    code, _, errors = terminal("member", "set-role", "m1", "CHEF", url=filled)

    assert code == 1
    assert errors.startswith("❌ rôle inconnu : CHEF (MEMBER, DRIVER, ")


def test_a_script_reads_the_change_and_never_a_password(terminal: Terminal, filled: str) -> None:
    _, role, _ = terminal("member", "set-role", "m1", "ADMIN", "--json", url=filled)
    _, word, _ = terminal("member", "set-password", "m1", "--password-stdin", "--json", given=f"{NEW}\n", url=filled)

    member = {"id": "m1", "email": "sacha@example.org", "name": "Sacha Exemple", "role": "ADMIN", "status": "active"}
    change = {"field": "role", "from": "MEMBER", "to": "ADMIN"}
    assert json.loads(role) == {"done": True, "member": member, "changes": [change], "tokensRevoked": True}
    assert json.loads(word) == {
        "done": True, "member": member, "changes": [{"field": "password"}], "tokensRevoked": True
    }  # fmt: skip


def test_an_account_that_still_cannot_log_in_is_told(terminal: Terminal, filled: str) -> None:
    _, role, _ = terminal("member", "set-role", "m3", "ADMIN", url=filled)
    _, opened, _ = terminal("member", "enable", "m3", url=filled)

    assert "⚠️  Connexion impossible, état parti : retrobus member enable camille@example.org\n" in role
    assert "⚠️  Compte sans mot de passe : retrobus member set-password camille@example.org\n" in opened


def test_the_command_for_a_lost_administrator_is_in_the_refusal(terminal: Terminal, filled: str) -> None:
    create = ["member", "create-admin", "--email", "sacha@example.org", "--password-stdin"]

    ended = terminal(*create, given=f"{NEW}\n", url=filled)

    assert ended == (1, "", "❌ un membre a déjà cette adresse : retrobus member set-role sacha@example.org ADMIN\n")


def test_the_service_s_own_role_is_enough(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DROP ROLE IF EXISTS restreint", "CREATE ROLE restreint LOGIN")
    terminal("db", "grant", "--role", "restreint", url=filled)
    url = filled.replace("postgres@", "restreint@")

    ended = [terminal(*on(command, "m1"), given=f"{NEW}\n", url=url)[0] for command in CHANGES]
    run_sql(filled, "DROP OWNED BY restreint", "DROP ROLE restreint")

    assert url != filled
    assert ended == [0] * len(CHANGES)


def test_members_are_listed_under_headings_in_french(terminal: Terminal, filled: str) -> None:
    run_sql(
        filled,
        "UPDATE member SET role = 'Chauffeur', last_name = 'Zola' WHERE id = 'm1'",
        "UPDATE member SET last_name = 'Élan' WHERE id = 'm3'",
    )

    _, said, _ = terminal("member", "list", url=filled)
    _, document, _ = terminal("member", "list", "--json", url=filled)

    assert said.splitlines() == [
        "Adresse              Nom           Rôle            État   Adhésion    Matricule  Id",
        "alix@example.org     -             administrateur  actif  en attente  -          m2",
        "camille@example.org  Camille Élan  bureau          parti  en attente  -          m3",
        "sacha@example.org    Sacha Zola    Chauffeur       actif  en attente  S12        m1",
        "3 membres",
    ]
    assert [(row["id"], row["role"]) for row in json.loads(document)] == [
        ("m2", "ADMIN"), ("m3", "BUREAU"), ("m1", "Chauffeur")
    ]  # fmt: skip
