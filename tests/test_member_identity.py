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
