"""A session lasts as long as its member's access: it ends at once with a new role, status or password, or the row."""

from collections.abc import Callable

import pytest

from accounts import PASSWORD, an_account, bearer, email_of, log_in
from builders import an_event
from harness import TOKENS, Api, Person, free_port, served, settings_for
from routes import assert_refused

either_me = pytest.mark.parametrize("path", ["/api/me", "/api/auth/me", "/me", "/auth/me"])


@either_me
def test_me_gives_the_member_of_the_token(api: Api, path: str) -> None:
    person = api.person("DRIVER", permissions='["volant"]', email="Camille@Example.org")

    answer = api.get(path, headers=person.headers)

    assert answer.status_code == 200
    assert answer.headers["X-Data-Source"] == "postgres"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "user": {
            "id": person.id, "email": "Camille@Example.org", "firstName": "Alix", "lastName": "Exemple",
            "role": "DRIVER", "roles": ["DRIVER"], "permissions": ["volant"], "status": "active",
        },
    }  # fmt: skip


def test_me_shows_changes_that_leave_the_rights_as_they_are(api: Api) -> None:
    person = api.person()
    api.sql(f"UPDATE member SET first_name = 'Sacha' WHERE id = '{person.id}'")

    assert api.get("/api/me", headers=person.headers).json()["user"]["firstName"] == "Sacha"


def by_sql(change: str) -> Callable[[Api, Person], None]:
    def run(api: Api, person: Person) -> None:
        api.sql(change.format(f"id = '{person.id}'"))

    return run


def by_api(method: str, path: str = "", **body: object) -> Callable[[Api, Person], None]:
    def change(api: Api, person: Person) -> None:
        admin = api.person("ADMIN")
        answer = api.request(method, f"/api/members/{person.id}{path}", json=body or None, headers=admin.headers)
        assert answer.status_code == 200, answer.text

    return change


ENDS = {
    "its password is set by a manager": by_api("PATCH", password="un autre mot de passe"),
    "its role changes": by_api("PUT", role="DRIVER"),
    "it is disabled": by_api("PATCH", status="disabled"),
    "its membership is ended": by_api("POST", "/terminate"),
    "it is deleted": by_api("DELETE"),
    "psql disables it": by_sql("UPDATE member SET status = 'disabled' WHERE {}"),
    "psql changes its role": by_sql("UPDATE member SET role = 'MEMBER' WHERE {}"),
    "psql raises its epoch": by_sql("UPDATE member SET token_epoch = token_epoch + 1 WHERE {}"),
    "psql deletes it": by_sql("DELETE FROM member WHERE {}"),
}
ROUTES = (
    ("GET", "/api/me"), ("GET", "/api/events"), ("GET", "/api/vehicles/inconnu"), ("GET", "/api/members"),
    ("POST", "/api/events"), ("PUT", "/api/members/me"), ("DELETE", "/api/events/inconnu"),
)  # fmt: skip


def statuses(api: Api, who: Person) -> set[int]:
    found = [api.request(method, path, json=an_event(city="x"), headers=who.headers) for method, path in ROUTES]
    return {answer.status_code for answer in found}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_every_token_of_an_account_ends_when(api: Api, end: Callable[[Api, Person], None]) -> None:
    person, other = an_account(api, "BUREAU"), api.person("BUREAU")
    session = Person(person.id, log_in(api, email_of(api, person)).json()["token"])
    assert 401 not in statuses(api, session)
    before = api.sql("SELECT count(*) FROM event")[0][0]

    end(api, person)

    assert statuses(api, session) == {401}
    assert statuses(api, person) == {401}
    assert 401 not in statuses(api, other)
    assert api.sql("SELECT count(*) FROM event")[0][0] == before + 1


@pytest.mark.parametrize(
    "change", ["notes = 'x'", "email = 'b@example.org'", "membership_status = 'EXPIRED'", "permissions = '[1]'"]
)
def test_no_token_ends_with_another_change(api: Api, change: str) -> None:
    person = api.person()

    api.sql(f"UPDATE member SET {change} WHERE id = '{person.id}'")

    assert api.get("/api/me", headers=person.headers).status_code == 200


def test_tokens_of_a_status_that_came_back_stay_ended(api: Api) -> None:
    person = an_account(api)
    for status in ("disabled", "active"):
        api.sql(f"UPDATE member SET status = '{status}' WHERE id = '{person.id}'")

    answer, again = api.get("/api/me", headers=person.headers), log_in(api, email_of(api, person), PASSWORD)

    assert_refused(answer, 401, "unauthenticated")
    assert api.get("/api/me", headers=bearer(again.json()["token"])).status_code == 200


def test_without_postgres_me_answers_from_the_token_alone() -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    token = TOKENS.issue({"id": "camille", "role": "BUREAU", "token_epoch": 3})[0]

    with served(settings_for(url), url) as api:
        known, unknown = api.get("/api/me", headers=bearer(token)), api.get("/api/me", headers=bearer(token + "x"))

    assert (known.status_code, known.headers["X-Data-Source"]) == (200, "token")
    user = known.json()["user"]
    assert (user["id"], user["role"], user["roles"], user["permissions"], user["status"]) == (
        "camille", "BUREAU", ["BUREAU"], [], "active",
    )  # fmt: skip
    assert_refused(unknown, 401, "unauthenticated")
