"""Passwords: changed by their owner or a manager, kept as argon2id hashes, never in an answer."""

import bcrypt
import httpx
import pytest

from accounts import HASH, PASSWORD, an_account, bearer, elsewhere, email_of, log_in
from builders import a_member
from harness import Api, Person
from routes import assert_refused

NEW = "un nouveau mot de passe"
either_path = pytest.mark.parametrize("path", ["/api/auth/change-password", "/api/members/change-password"])


def change(
    api: Api, who: Person, current: str, new: str = NEW, path: str = "/api/auth/change-password"
) -> httpx.Response:
    body = {"currentPassword": current, "newPassword": new}
    return api.post(path, json=body, headers=elsewhere() | who.headers)


def kept(api: Api, person: Person) -> str:
    found: str = api.sql(f"SELECT password_hash FROM member WHERE id = '{person.id}'")[0][0]
    return found


@either_path
def test_a_member_changes_their_password_and_earlier_tokens_end(api: Api, path: str) -> None:
    person = an_account(api)
    email = email_of(api, person)
    earlier = [person.token, *(log_in(api, email).json()["token"] for _ in range(2))]

    answer = change(api, person, PASSWORD, path=path)

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert [api.get("/api/me", headers=bearer(token)).status_code for token in earlier] == [401, 401, 401]
    assert_refused(log_in(api, email), 401, "login_failed")
    token = log_in(api, email, NEW).json()["token"]
    assert api.get("/api/me", headers=bearer(token)).status_code == 200


@either_path
def test_a_wrong_current_password_is_a_wrong_field_and_no_reason_to_log_out(api: Api, path: str) -> None:
    person = an_account(api)

    answer = change(api, person, "autre chose", path=path)

    assert_refused(answer, 422, "invalid", "currentPassword")
    assert api.get("/api/me", headers=person.headers).status_code == 200
    assert kept(api, person) == HASH


@pytest.mark.parametrize("new", ["x" * 9, "x" * 201, "x" * 20 + "\n"])
def test_a_new_password_has_10_to_200_printable_characters(api: Api, new: str) -> None:
    person = an_account(api)

    answer = change(api, person, PASSWORD, new)

    assert_refused(answer, 422, "invalid", "newPassword")
    assert kept(api, person) == HASH


@pytest.mark.parametrize("new", ["x" * 10, "é" * 200, "🚌" * 100])
def test_long_passwords_count_to_their_last_letter(api: Api, new: str) -> None:
    person = an_account(api)

    answer = change(api, person, PASSWORD, new)

    assert answer.status_code == 200
    assert log_in(api, email_of(api, person), new[:-1]).status_code == 401
    assert log_in(api, email_of(api, person), new).status_code == 200


def test_an_account_without_password_cannot_be_given_one_by_its_token(api: Api) -> None:
    person = api.person()

    answer = change(api, person, "")

    assert_refused(answer, 422, "invalid", "currentPassword")


def test_a_token_that_has_ended_proves_no_password(api: Api) -> None:
    person = an_account(api)
    api.sql(f"UPDATE member SET token_epoch = 1 WHERE id = '{person.id}'")

    answers = [change(api, person, current) for current in (PASSWORD, "autre chose")]

    for answer in answers:
        assert_refused(answer, 401, "unauthenticated")
    assert kept(api, person) == HASH


def test_no_idempotency_key_replays_a_password(api: Api) -> None:
    person = an_account(api)
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    headers = {"Idempotency-Key": "k"} | elsewhere()

    first = api.post("/api/auth/change-password", json=body, headers=headers | person.headers)
    again = api.post("/api/auth/change-password", json=body, headers=headers | person.headers)

    assert (first.status_code, again.status_code) == (200, 401)
    assert PASSWORD not in str(api.sql("SELECT * FROM idempotency"))


@pytest.mark.parametrize("role", ["BUREAU", "ADMIN"])
def test_a_manager_sets_a_password_and_the_tokens_of_its_owner_end(api: Api, role: str) -> None:
    manager, person = api.person(role), an_account(api)

    answer = api.patch(f"/api/members/{person.id}", json={"password": NEW}, headers=manager.headers)

    assert answer.status_code == 200
    assert api.get("/api/me", headers=person.headers).status_code == 401
    assert api.get("/api/me", headers=manager.headers).status_code == 200
    assert log_in(api, email_of(api, person), NEW).status_code == 200


@pytest.mark.parametrize("sent", [None, "", "  "])
def test_no_password_in_a_row_sent_back_leaves_it_as_it_is(api: Api, admin: Person, sent: str | None) -> None:
    person = an_account(api)

    answer = api.put(f"/api/members/{person.id}", json={"city": "Lyon", "password": sent}, headers=admin.headers)

    assert answer.status_code == 200
    assert kept(api, person) == HASH
    assert api.get("/api/me", headers=person.headers).status_code == 200


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_a_bcrypt_hash_opens_and_becomes_argon2id_without_ending_tokens(api: Api, prefix: str) -> None:
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", f"${prefix}$")
    person = an_account(api, password_hash=old)
    email = email_of(api, person)

    wrong, first = log_in(api, email, "autre chose"), log_in(api, email)
    new = kept(api, person)
    second = log_in(api, email)

    assert [answer.status_code for answer in (wrong, first, second)] == [401, 200, 200]
    assert new.startswith("$argon2id$")
    assert kept(api, person) == new
    for token in (person.token, first.json()["token"]):
        assert api.get("/api/me", headers=bearer(token)).status_code == 200


def test_a_damaged_hash_opens_nothing_and_breaks_nothing(api: Api) -> None:
    bcrypted = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    damaged = [
        HASH[:-10],
        HASH.replace("m=19456", "m=99999999999"),
        bcrypted[:-3],
        "$2b$99$" + "x" * 53,
        "$argon2id$",
        "\u00e9",
    ]

    for text in damaged:
        person = an_account(api, password_hash=text)
        answer = log_in(api, email_of(api, person))

        assert_refused(answer, 401, "login_failed")


def test_a_password_longer_than_bcrypt_counts_opens_and_counts_whole_from_then_on(api: Api) -> None:
    chosen = "é" * 40  # 80 bytes: the program that made the hash took the first 72
    person = an_account(api, password_hash=bcrypt.hashpw(chosen.encode()[:72], bcrypt.gensalt(4)).decode())
    email = email_of(api, person)

    answers = [log_in(api, email, typed) for typed in ("é" * 35, chosen, "é" * 39, chosen)]

    assert [answer.status_code for answer in answers] == [401, 200, 401, 200]
    assert kept(api, person).startswith("$argon2id$")


def test_no_answer_ever_holds_a_password_or_its_hash(api: Api) -> None:
    admin, person = api.person("ADMIN"), an_account(api, "BUREAU")
    email, path = email_of(api, person), f"/api/members/{person.id}"
    body = a_member(password=NEW)

    answers = [
        api.post("/api/members", json=body, headers=admin.headers | {"Idempotency-Key": "a"}),
        api.post("/api/members", json=body, headers=admin.headers | {"Idempotency-Key": "a"}),
        api.post("/api/members", json=body, headers=admin.headers),
        api.put("/api/members/me", json={"city": "Lyon", "password": NEW}, headers=person.headers),
        api.get("/api/members", headers=admin.headers), api.get(path, headers=admin.headers),
        api.get("/api/members/me", headers=person.headers), api.get("/api/me", headers=person.headers),
        log_in(api, email), log_in(api, email, NEW), change(api, person, "autre chose", NEW), change(api, person, NEW),
        *(api.patch(path, json={"password": sent}, headers=admin.headers) for sent in (NEW, [NEW], 12)),
        api.post(f"{path}/terminate", headers=admin.headers), api.delete(path, headers=admin.headers),
        api.get("/metrics"), api.get("/ready"),
    ]  # fmt: skip

    for answer in answers:
        assert answer.status_code < 500
        for secret in (PASSWORD, NEW, "$argon2", "passwordHash", "password_hash", "tokenEpoch", '"password":'):
            assert secret not in answer.text
    assert NEW not in str(api.sql("SELECT * FROM member"))
    assert NEW not in str(api.sql("SELECT * FROM idempotency"))
