"""What names a member: e-mail, matricule and member number."""

import pytest

from builders import a_member
from harness import Api, Person
from rows import create, read, refused_fields


def test_an_email_is_needed(api: Api, manager: Person) -> None:
    answers = [
        api.post("/api/members", json=body, headers=manager.headers) for body in ({"city": "Lyon"}, {"email": ""})
    ]

    assert [(answer.status_code, refused_fields(answer.json())) for answer in answers] == [(422, ["email"])] * 2


@pytest.mark.parametrize(
    ("field", "taken", "again"),
    [
        ("email", "Camille@Example.org", " camille@example.ORG "),
        ("matricule", "RB-12", "rb-12"),
        ("memberNumber", "2026-001", "2026-001"),
    ],
)
def test_what_names_a_member_is_unique(api: Api, manager: Person, field: str, taken: str, again: str) -> None:
    create(api, manager, "members", **{field: taken})
    other = create(api, manager, "members")

    created = api.post("/api/members", json=a_member(**{field: again}), headers=manager.headers)
    changed = api.patch(f"/api/members/{other['id']}", json={field: again}, headers=manager.headers)

    assert [(answer.status_code, answer.json()["code"]) for answer in (created, changed)] == [(409, "duplicate")] * 2
    assert refused_fields(created.json()) == refused_fields(changed.json()) == [field]
    assert created.json()["error"] == f"{field} : cette valeur est déjà prise."
    assert read(api, manager, "members", other) == other


def test_several_members_may_have_no_matricule(api: Api, manager: Person) -> None:
    rows = [create(api, manager, "members", matricule="", memberNumber=None) for _ in range(2)]

    assert [row["matricule"] for row in rows] == [None, None]


@pytest.mark.parametrize("bad", ["camille", "camille@", "@example.org", "a b@example.org", "camille@example"])
def test_a_new_email_is_validated(api: Api, manager: Person, bad: str) -> None:
    row = create(api, manager, "members")

    created = api.post("/api/members", json=a_member(email=bad), headers=manager.headers)
    changed = api.patch(f"/api/members/{row['id']}", json={"email": bad}, headers=manager.headers)

    assert (created.status_code, changed.status_code) == (422, 422)
    assert refused_fields(created.json()) == refused_fields(changed.json()) == ["email"]


def test_an_old_address_without_at_sign_stays_until_it_is_changed(api: Api, manager: Person) -> None:
    old = {"id": api.person(email="camille.ancien").id}

    row = read(api, manager, "members", old)
    answer = api.put(f"/api/members/{row['id']}", json={**row, "city": "Lyon"}, headers=manager.headers)

    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["city"]) == ("camille.ancien", "Lyon")


def test_a_new_matricule_is_never_the_email_of_another_account(api: Api, manager: Person) -> None:
    other, row = create(api, manager, "members"), create(api, manager, "members")

    created = api.post("/api/members", json=a_member(matricule=other["email"]), headers=manager.headers)
    changed = api.patch(f"/api/members/{row['id']}", json={"matricule": other["email"]}, headers=manager.headers)

    assert [(answer.status_code, refused_fields(answer.json())) for answer in (created, changed)] == [
        (422, ["matricule"])
    ] * 2
    assert read(api, manager, "members", row) == row


def test_an_old_matricule_with_an_at_sign_stays_until_it_is_changed(api: Api, manager: Person) -> None:
    old = {"id": api.person(matricule="rb@12").id}
    row = read(api, manager, "members", old)

    answer = api.put(f"/api/members/{row['id']}", json={**row, "city": "Lyon"}, headers=manager.headers)

    assert (answer.status_code, answer.json()["matricule"], answer.json()["city"]) == (200, "rb@12", "Lyon")


def test_an_email_or_a_matricule_is_no_address(api: Api, manager: Person) -> None:
    row = create(api, manager, "members", matricule="RB-77", memberNumber="77")

    for name in (row["email"], "RB-77", "77"):
        path = f"/api/members/{name}"
        answers = [
            api.get(path, headers=manager.headers),
            api.put(path, json={"city": "Lyon"}, headers=manager.headers),
            api.patch(path, json={"city": "Lyon"}, headers=manager.headers),
            api.post(f"{path}/terminate", headers=manager.headers),
            api.delete(path, headers=manager.headers),
            api.put("/api/members", json={"id": name, "city": "Lyon"}, headers=manager.headers),
            api.request("DELETE", "/api/members", json={"id": name}, headers=manager.headers),
        ]

        assert [answer.status_code for answer in answers] == [404] * 7
    assert read(api, manager, "members", row) == row


def test_an_id_in_the_body_goes_after_the_one_in_the_path(api: Api, manager: Person) -> None:
    named, other = create(api, manager, "members"), create(api, manager, "members")

    answer = api.put(f"/api/members/{named['id']}", json={**other, "city": "Lyon", "email": "n@example.org"},
                     headers=manager.headers)  # fmt: skip

    assert (answer.status_code, answer.json()["id"], answer.json()["city"]) == (200, named["id"], "Lyon")
    assert read(api, manager, "members", other) == other


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_no_member_is_called_me(api: Api, manager: Person, method: str) -> None:
    api.person(id="me")

    answer = api.request(method, "/api/members/me", json={"city": "Lyon"}, headers=manager.headers)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "HEAD, GET, PUT")
    assert api.sql("SELECT city FROM member WHERE id = 'me'") == [(None,)]
