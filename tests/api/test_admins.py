"""Administrators: only an ADMIN touches ADMINs, roles and permissions, and there is always one left."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from builders import a_member
from harness import Api, Person, until
from locks import held
from rows import create, read

ENDINGS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("DELETE", "/{id}", None), ("PUT", "/{id}", {"role": "BUREAU"}), ("PATCH", "/{id}", {"role": "MEMBER"}),
    ("PUT", "/{id}", {"status": "disabled"}), ("PUT", "/{id}", {"status": "terminated"}),
    ("POST", "/{id}/terminate", {}), ("DELETE", "", {"id": "{id}"}), ("PUT", "", {"id": "{id}", "role": "BUREAU"}),
]  # fmt: skip
"""Every way to take the role of an active ADMIN from a member."""

THE_RULE = "SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))"
every_ending = pytest.mark.parametrize(("method", "path", "body"), ENDINGS)


def end(api: Api, who: Person, whom: Person, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
    said = None if body is None else {name: str(value).format(id=whom.id) for name, value in body.items()}
    return api.request(method, f"/api/members{path}".format(id=whom.id), json=said, headers=who.headers)


@every_ending
def test_the_last_active_admin_stays(
    api: Api, admin: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    api.person("ADMIN", status="disabled")
    api.person("BUREAU")

    answer = end(api, admin, admin, method, path, body)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["error"].startswith("role : le dernier administrateur actif ")
    assert api.get("/api/members/me", headers=admin.headers).json()["role"] == "ADMIN"


@every_ending
def test_an_admin_may_end_another_admin(
    api: Api, admin: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    other = api.person("ADMIN")

    answer = end(api, admin, other, method, path, body)

    assert answer.status_code == 200
    assert api.get("/api/members/me", headers=other.headers).status_code == 401


@every_ending
def test_only_an_admin_may_end_an_admin(
    api: Api, admin: Person, manager: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    api.person("ADMIN")

    answer = end(api, manager, admin, method, path, body)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert api.get("/api/members/me", headers=admin.headers).status_code == 200


@every_ending
def test_two_admins_cannot_end_each_other_at_once(
    api: Api, method: str, path: str, body: dict[str, Any] | None
) -> None:
    first, second = api.person("ADMIN"), api.person("ADMIN")

    with ThreadPoolExecutor() as pool, held(api.database_url, THE_RULE) as rule:
        answers = [
            pool.submit(end, api, who, whom, method, path, body) for who, whom in ((first, second), (second, first))
        ]
        until(lambda: rule.waiting() == 2, "both requests to reach the rule")
        rule.release()

    assert sorted(answer.result().status_code for answer in answers) == [200, 409]
    assert api.sql("SELECT count(*) FROM member WHERE role = 'ADMIN' AND status = 'active'")[0][0] == 1


@pytest.mark.parametrize("body", [{"city": "Lyon"}, {"password": "un-mot-de-passe-inventé"}, {"newsletter": False}])
def test_only_an_admin_changes_the_row_of_an_admin(
    api: Api, admin: Person, manager: Person, body: dict[str, object]
) -> None:
    path = f"/api/members/{admin.id}"

    refused = api.put(path, json=body, headers=manager.headers)
    changed = api.put(path, json=body, headers=api.person("ADMIN").headers)

    assert (refused.status_code, changed.status_code) == (403, 200)


def test_a_manager_may_send_the_row_of_an_admin_back_unchanged(api: Api, admin: Person, manager: Person) -> None:
    row = read(api, manager, "members", {"id": admin.id})

    answer = api.put(f"/api/members/{admin.id}", json=row, headers=manager.headers)

    assert (answer.status_code, answer.json()) == (200, row)


def test_admins_change_their_own_record_like_everybody(api: Api, admin: Person) -> None:
    answer = api.put("/api/members/me", json={"city": "Lyon"}, headers=admin.headers)

    assert (answer.status_code, answer.json()["city"]) == (200, "Lyon")


@pytest.mark.parametrize("rights", [{"role": "DRIVER"}, {"role": "ADMIN"}, {"permissions": ["events"]}])
@pytest.mark.parametrize("role", ["BUREAU", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"])
def test_only_an_admin_gives_roles_and_permissions(
    api: Api, admin: Person, role: str, rights: dict[str, object]
) -> None:
    officer = api.person(role)
    row = create(api, officer, "members")
    path = f"/api/members/{row['id']}"

    refused = [
        api.put(path, json={**row, **rights}, headers=officer.headers),
        api.post("/api/members", json=a_member(**rights), headers=officer.headers),
    ]
    given = api.put(path, json=rights, headers=admin.headers)

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "forbidden")] * 2
    assert given.status_code == 200
    assert {name: given.json()[name] for name in rights} == rights


def test_rights_that_do_not_change_need_no_right(api: Api, manager: Person) -> None:
    driver = api.person("DRIVER", permissions='["events", "é"]')
    row = read(api, manager, "members", {"id": driver.id})

    answer = api.put(f"/api/members/{driver.id}", json={**row, "city": "Lyon"}, headers=manager.headers)
    created = api.post("/api/members", json=a_member(role="MEMBER", permissions=[]), headers=manager.headers)

    assert (answer.status_code, answer.json()["permissions"]) == (200, ["events", "é"])
    assert created.status_code == 201


def test_an_unknown_role_is_refused(api: Api, admin: Person) -> None:
    row = create(api, admin, "members")

    answer = api.put(f"/api/members/{row['id']}", json={"role": "CHEF"}, headers=admin.headers)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "role")


def test_a_changed_role_ends_the_tokens_of_a_member(api: Api, admin: Person, manager: Person) -> None:
    api.put(f"/api/members/{manager.id}", json={"role": "DRIVER"}, headers=admin.headers)

    assert api.get("/api/events", headers=manager.headers).status_code == 401
