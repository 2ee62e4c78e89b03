"""Members over HTTP: everything for managers, one's own record for everybody."""

import pytest

from builders import a_member
from harness import Api, Person
from rows import create, read, rows_of

OWN = {
    "phone": "+33 1 99 00 00 00", "address": "1 rue du Dépôt", "city": "Lyon", "postalCode": "69000",
    "birthDate": "1961-02-03T00:00:00.000Z", "newsletter": False,
}  # fmt: skip
NOT_OWN = {
    "firstName": "Autre", "lastName": "Autre", "email": "autre@example.org", "memberNumber": "1", "matricule": "M1",
    "membershipType": "LIFETIME", "membershipStatus": "ACTIVE", "membershipStartDate": "2026-01-01",
    "membershipEndDate": "2026-12-31", "paymentAmount": 10, "paymentMethod": "CASH", "hasLinkedAccess": True,
    "notes": "Rien", "role": "ADMIN", "status": "disabled", "permissions": ["tout"],
}  # fmt: skip
PASSWORD = "un-mot-de-passe-inventé"


def test_a_created_member_is_read_back_as_it_was_answered(api: Api, manager: Person) -> None:
    created = api.post("/api/members", json=a_member(), headers=manager.headers)

    found = api.get(created.headers["Location"], headers=manager.headers)

    assert (created.status_code, found.status_code) == (201, 200)
    assert found.json() == created.json()
    assert found.headers["ETag"] == created.headers["ETag"]


def test_what_a_new_member_does_not_say_has_its_default(api: Api, manager: Person) -> None:
    row = api.post("/api/members", json={"email": "camille@example.org"}, headers=manager.headers).json()

    assert all(row.pop(name) for name in ("id", "createdAt", "updatedAt", "updatedBy", "version"))
    assert {name: value for name, value in row.items() if value is not None} == {
        "firstName": "", "lastName": "", "email": "camille@example.org", "membershipType": "STANDARD",
        "membershipStatus": "PENDING", "newsletter": True, "hasLinkedAccess": False, "role": "MEMBER",
        "status": "active", "permissions": [], "createdBy": manager.id,
    }  # fmt: skip
    assert sorted(name for name, value in row.items() if value is None) == [
        "address", "birthDate", "city", "matricule", "memberNumber", "membershipEndDate", "membershipStartDate",
        "notes", "paymentAmount", "paymentMethod", "phone", "postalCode",
    ]  # fmt: skip


def test_a_payment_may_come_as_text(api: Api, manager: Person) -> None:
    row = create(api, manager, "members", paymentAmount="30.50")

    assert row["paymentAmount"] == 30.5


def test_a_password_is_kept_as_a_hash_and_never_shown(api: Api, manager: Person) -> None:
    created = api.post("/api/members", json=a_member(password=PASSWORD), headers=manager.headers)
    answers = [created, api.get(created.headers["Location"], headers=manager.headers)]
    answers.append(api.get("/api/members", headers=manager.headers))

    stored = api.sql(f"SELECT password_hash FROM member WHERE id = '{created.json()['id']}'")[0][0]

    assert stored.startswith("$argon2id$")
    assert not any(word in answer.text for answer in answers for word in (PASSWORD, "password", "argon2", "epoch"))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_member_is_changed_by_the_id_in_the_body(api: Api, manager: Person, method: str) -> None:
    row = create(api, manager, "members")

    answer = api.request(method, "/api/members", json={"id": row["id"], "city": "Lyon"}, headers=manager.headers)

    assert answer.status_code == 200
    assert answer.json() == read(api, manager, "members", row)
    assert (answer.json()["city"], answer.json()["lastName"]) == ("Lyon", row["lastName"])


def test_a_member_is_deleted_by_the_id_in_the_body(api: Api, manager: Person) -> None:
    row = create(api, manager, "members")

    answer = api.request("DELETE", "/api/members", json={"id": row["id"]}, headers=manager.headers)

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert api.get(f"/api/members/{row['id']}", headers=manager.headers).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("body", "status"), [({"city": "Lyon"}, 422), ({"id": 3}, 422), ({"id": ""}, 422), ({"id": "inconnu"}, 404)]
)
def test_the_id_in_the_body_must_name_a_member(
    api: Api, manager: Person, method: str, body: dict[str, object], status: int
) -> None:
    answer = api.request(method, "/api/members", json=body, headers=manager.headers)

    assert answer.status_code == status


def test_members_see_and_change_their_own_record(api: Api, member: Person) -> None:
    before = api.get("/api/members/me", headers=member.headers).json()

    answer = api.put("/members/me", json=OWN, headers=member.headers)

    assert answer.status_code == 200
    assert answer.json() == api.get("/api/members/me", headers=member.headers).json()
    assert answer.json() == {
        **before,
        **OWN,
        "version": answer.json()["version"],
        "updatedAt": answer.json()["updatedAt"],
        "updatedBy": member.id,
    }


def test_members_change_nothing_else_of_their_own_record(api: Api, member: Person) -> None:
    before = api.get("/api/members/me", headers=member.headers).json()

    answer = api.put("/api/members/me", json={**before, **NOT_OWN}, headers=member.headers)

    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize("body", [{"role": "ADMIN"}, {"status": "active", "notes": ""}, {"version": 1}])
def test_members_are_told_when_nothing_that_they_send_is_theirs_to_change(
    api: Api, member: Person, body: dict[str, object]
) -> None:
    answer = api.put("/api/members/me", json=body, headers=member.headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "no_known_field")
    assert (
        answer.json()["error"]
        == "Aucun champ connu ici ; champs possibles : address, birthDate, city, newsletter, phone, postalCode."
    )


@pytest.mark.parametrize("body", [{"json": {"reason": "départ"}}, {"data": {"reason": "départ"}}, {}])
def test_a_terminated_member_is_cancelled_and_logged_out(api: Api, manager: Person, body: dict[str, object]) -> None:
    leaver = api.person("DRIVER", membership_status="ACTIVE")

    answer = api.request("POST", f"/api/members/{leaver.id}/terminate", headers=manager.headers, **body)  # type: ignore[arg-type]  # json, data or nothing

    [row] = rows_of(api, manager, "members", "?status=terminated")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert [row[name] for name in ("id", "status", "membershipStatus")] == [leaver.id, "terminated", "CANCELLED"]
    assert api.get("/api/events", headers=leaver.headers).status_code == 401


@pytest.mark.parametrize("status", ["terminated", "disabled"])
def test_a_changed_status_ends_the_tokens_of_a_member(api: Api, manager: Person, member: Person, status: str) -> None:
    api.put(f"/api/members/{member.id}", json={"status": status}, headers=manager.headers)
    api.put(f"/api/members/{member.id}", json={"status": "active"}, headers=manager.headers)

    assert api.get("/api/members/me", headers=member.headers).status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
def test_an_unknown_member_is_not_found(api: Api, manager: Person, method: str) -> None:
    path = "/api/members/inconnu" + ("/terminate" if method == "POST" else "")

    answer = api.request(method, path, json={"city": "Lyon"}, headers=manager.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_role_of_old_data_counts_as_member(api: Api, manager: Person) -> None:
    old = api.person("GESTIONNAIRE")

    row = read(api, manager, "members", {"id": old.id})

    assert api.get("/api/members", headers=old.headers).status_code == 403
    assert api.get("/api/events", headers=old.headers).status_code == 200
    assert api.put(f"/api/members/{old.id}", json={**row, "city": "Lyon"}, headers=manager.headers).status_code == 200


@pytest.mark.parametrize("email", ["sacha@example.org\u200b", "sa\u00adcha@example.org", "\u202esacha@example.org"])
def test_an_email_with_a_letter_that_no_reader_sees_is_refused_and_the_letter_named(
    api: Api, manager: Person, email: str
) -> None:
    answer = api.post("/api/members", json=a_member(email=email), headers=manager.headers)

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    hidden = next(letter for letter in email if not letter.isprintable())
    assert error["field"] == "email"
    assert f"U+{ord(hidden):04X}" in error["message"]


def test_what_people_paste_around_an_email_is_taken_off(api: Api, manager: Person) -> None:
    created = create(api, manager, "members", email="\u00a0 alix@example.org\u202f ")

    found = api.get("/api/members", params={"email": " ALIX@example.org\u00a0"}, headers=manager.headers).json()

    assert created["email"] == "alix@example.org"
    assert [row["id"] for row in found["members"]] == [created["id"]]
