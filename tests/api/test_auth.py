"""Logging in: who gets a token, with which name and password, and what is told to who does not."""

import bcrypt
import pytest
from pwdlib import PasswordHash

from accounts import HASH, PASSWORD, an_account, bearer, elsewhere, email_of, log_in
from harness import Api
from routes import assert_refused

KEYS = ["email", "identifier"]
both_routes = pytest.mark.parametrize("key", KEYS)


@both_routes
def test_who_logs_in_gets_a_token_and_sees_who_they_are(api: Api, key: str) -> None:
    person = an_account(api, "BUREAU", permissions='["caisse"]')
    email = email_of(api, person)

    answer = log_in(api, email, key=key)

    body = answer.json()
    token = body.pop("token")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert body == {
        "tokenType": "Bearer",
        "expiresIn": 43_200,
        "user": {
            "id": person.id, "email": email, "firstName": "Alix", "lastName": "Exemple", "role": "BUREAU",
            "roles": ["BUREAU"], "permissions": ["caisse"],
        },
    }  # fmt: skip
    assert api.get("/api/me", headers=bearer(token)).json()["user"]["id"] == person.id


@both_routes
@pytest.mark.parametrize(
    "name",
    ["Camille.Autre@example.org", "CAMILLE.AUTRE@EXAMPLE.ORG", "Ab-12", "aB-12", " AB-12\u00a0", "\tAB-12\n"],
)
def test_names_are_email_or_matricule_whatever_their_case(api: Api, key: str, name: str) -> None:
    person = an_account(api, email="camille.autre@Example.org", matricule="AB-12")

    answer = log_in(api, name, key=key)

    assert (answer.status_code, answer.json()["user"]["id"]) == (200, person.id)


WRONG_NAMES = [
    "camille",
    "camille.autre@example.or",
    "%",
    "_b-12",
    "AB-1",
    "AB-12%",
    "AB 12",
    "AB-1 2",
    "12",
    "AB-12'--",
]


@both_routes
@pytest.mark.parametrize("name", WRONG_NAMES)
def test_nothing_but_the_exact_name_opens_an_account(api: Api, key: str, name: str) -> None:
    an_account(api, email="camille.autre@example.org", matricule="AB-12")

    answer = log_in(api, name, key=key)

    assert_refused(answer, 401, "login_failed")


@both_routes
@pytest.mark.parametrize(
    "password",
    [PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "x", "x" * 1000, HASH],
    ids=["a space more", "in capitals", "a letter less", "one letter", "very long", "its hash"],
)
def test_nothing_but_the_password_opens_an_account(api: Api, key: str, password: str) -> None:
    person = an_account(api)

    answer = log_in(api, email_of(api, person), password, key=key)

    assert_refused(answer, 401, "login_failed")
    assert answer.json()["error"] == "Échec de connexion : identifiants invalides"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


CLOSED = ["status = 'disabled'", "status = 'terminated'", "password_hash = NULL", "password_hash = ''",
          "password_hash = 'en clair'", "password_hash = '$2b$10$abc'"]  # fmt: skip


@both_routes
@pytest.mark.parametrize("state", CLOSED)
def test_an_account_that_is_not_open_is_refused_like_a_wrong_password(api: Api, key: str, state: str) -> None:
    person = an_account(api)
    api.sql(f"UPDATE member SET {state} WHERE id = '{person.id}'")
    passwords = [PASSWORD, "en clair", "autre chose"]

    answers = [log_in(api, email_of(api, person), password, key=key) for password in passwords]
    unknown = log_in(api, "personne@example.org", key=key)

    for answer in answers:
        assert_refused(answer, 401, "login_failed")
        assert answer.json() | {"requestId": ""} == unknown.json() | {"requestId": ""}


def test_an_email_wins_over_a_matricule_that_looks_like_it(api: Api) -> None:
    an_account(api, matricule="vrai@example.org")
    right = an_account(api, email="vrai@example.org")

    answer = log_in(api, "vrai@example.org")

    assert answer.json()["user"]["id"] == right.id


def test_a_role_of_old_data_counts_as_member(api: Api) -> None:
    person = an_account(api, "CHEF-D-ATELIER")

    user = log_in(api, email_of(api, person)).json()["user"]

    assert (user["role"], user["roles"]) == ("MEMBER", ["MEMBER"])


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each comparison of a password costs from now on: algorithm and parameters of the hash."""
    found: list[str] = []
    compare = PasswordHash.verify_and_update

    def noted(self: PasswordHash, password: str | bytes, kept: str | bytes) -> tuple[bool, str | None]:
        found.append(str(kept).rsplit("$", 2)[0])
        return compare(self, password, kept)

    monkeypatch.setattr(PasswordHash, "verify_and_update", noted)
    return found


def test_an_unknown_account_takes_as_long_as_a_known_one(api: Api, costs: list[str]) -> None:
    known = email_of(api, an_account(api))

    answers = [log_in(api, name, "un autre mot de passe") for name in (known, "personne@example.org")]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert costs == [HASH.rsplit("$", 2)[0]] * 2


@pytest.mark.parametrize(("path", "field"), [("login", "email"), ("member-login", "identifier")])
def test_name_and_password_are_needed(api: Api, path: str, field: str) -> None:
    bad: list[tuple[object, object]] = [
        ("", ""),
        ("x" * 201, "x" * 1001),
        (None, 12),
        ("a\0", "b\0"),
        (["a"], {"b": 1}),
    ]

    for name, password in bad:
        answer = api.post(f"/api/auth/{path}", json={field: name, "password": password}, headers=elsewhere())

        assert_refused(answer, 422, "invalid", field, "password")
    assert_refused(api.post(f"/api/auth/{path}", json={field: "a"}), 422, "invalid", "password")
    assert_refused(api.post(f"/api/auth/{path}", json={"password": "a"}), 422, "invalid", field)


def test_a_password_is_the_same_however_its_letters_are_composed(api: Api) -> None:
    person = an_account(api, "ADMIN")
    composed, decomposed = "mot de passe \u00e9t\u00e9", "mot de passe e\u0301te\u0301"
    api.put(f"/api/members/{person.id}", json={"password": decomposed}, headers=person.headers)

    answers = [log_in(api, email_of(api, person), password) for password in (composed, decomposed)]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_an_old_password_opens_in_the_form_in_which_it_was_chosen(api: Api) -> None:
    decomposed = "mot de passe e\u0301te\u0301"
    old = bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode()
    person = an_account(api, password_hash=old)

    answer = log_in(api, email_of(api, person), decomposed)

    assert answer.status_code == 200


def test_the_old_address_of_the_login_works_too_and_only_for_post(api: Api) -> None:
    body = {"email": email_of(api, an_account(api)), "password": PASSWORD}

    answers = [api.post("/auth/login", json=body, headers=elsewhere()), api.get("/api/auth/login", params=body)]

    assert [answer.status_code for answer in answers] == [200, 405]
