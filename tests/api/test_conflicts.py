"""Facts about conflicts over HTTP: what an ADMIN sees, and that each is decided once, by the rules of the command."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness import SECRET, Api, Person
from operations import a_conflict
from retrobus.cli.program import app
from retrobus.fallback.conflict_desk import PAGE
from retrobus.model.resources import BY_NAME
from retrobus.model.rows import completed, encode
from routes import VEHICLE, assert_refused

MEMBER_ROW = completed(BY_NAME["Member"], {"id": "m1", "version": 0, "email": "m1@example.org", "city": "Metz"})


@pytest.fixture
def vehicle(api: Api) -> Api:
    """A service whose one vehicle psql changed during an outage."""
    api.sql(f"INSERT INTO vehicle (parc, etat, is_public) VALUES ('{VEHICLE}', 'par psql', true)")
    return api


def listed(api: Api, who: Person, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/api/conflicts{query}", headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conflicts"]
    return found


def state(api: Api) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in api.sql("SELECT etat, updated_by FROM vehicle")]


def test_a_conflict_shows_the_journal_beside_the_row_of_today(vehicle: Api, admin: Person) -> None:
    writer = vehicle.person("BUREAU", first_name="Camille", last_name="Exemple")
    base = {"version": 12, "hash": "h", "values": {"etat": "disponible"}}
    vehicle.sql(a_conflict(7, member=writer.id, base=base))

    [found] = listed(vehicle, admin)

    assert found["fields"] == {"etat": {"journal": "par l'API", "postgres": "par psql", "base": "disponible"}}
    assert (found["number"], found["resource"], found["key"], found["operation"]) == (7, "Vehicle", VEHICLE, "update")
    assert (found["member"], found["names"]) == (writer.id, {writer.id: "Camille Exemple"})
    assert found["postgres"]["updatedBy"] == "sql"
    assert (found["base"], found["resolution"], found["kept"]) == ({"version": 12}, None, False)
    assert (found["resolvedAt"], found["resolvedBy"]) == (None, None)


def test_the_command_shows_the_same(vehicle: Api, admin: Person, tmp_path: Path) -> None:
    vehicle.sql(a_conflict(7))
    environment = {"DATABASE_URL": vehicle.database_url, "BACKUPS_DIR": str(tmp_path), "JWT_SECRET": SECRET}

    said = CliRunner().invoke(app, ["resync", "--show", "7", "--json"], env=environment)

    assert json.loads(said.stdout) == listed(vehicle, admin)[0]


def test_no_secret_of_a_member_is_told(api: Api, admin: Person) -> None:
    api.sql("INSERT INTO member (id, email, city, password_hash) VALUES ('m1', 'm1@example.org', 'Lyon', 'old-hash')")
    row = encode(BY_NAME["Member"], MEMBER_ROW | {"password_hash": "new-hash", "token_epoch": 9})
    api.sql(a_conflict(7, row=row).replace("'Vehicle'", "'Member'").replace(f"'{VEHICLE}', 'update'", "'m1', 'update'"))

    answer = api.get("/api/conflicts", headers=admin.headers)

    assert answer.json()["conflicts"][0]["fields"] == {"city": {"journal": "Metz", "postgres": "Lyon"}}
    assert "hash" not in answer.text


def test_values_are_told_as_the_rows_of_the_api_have_them(api: Api, admin: Person) -> None:
    event = {"id": "e1", "version": 0, "title": "Fête", "date": datetime(2026, 6, 21, tzinfo=UTC)}
    row = encode(BY_NAME["Event"], completed(BY_NAME["Event"], event | {"adult_price": Decimal("12.50")}))
    values = {"date": "2026-06-19T00:00:00.000+00:00", "adult_price": "9.00"}
    api.sql(
        "INSERT INTO event (id, title, date, extras) VALUES ('e1', 'Fête', '2026-06-20Z', '{\"a\": 1}')",
        a_conflict(7, row=row, base={"version": 1, "hash": "h", "values": values}).replace(
            f"'Vehicle', '{VEHICLE}'", "'Event', 'e1'"
        ),
    )

    assert listed(api, admin)[0]["fields"] == {
        "date": {
            "journal": "2026-06-21T00:00:00.000Z",
            "postgres": "2026-06-20T00:00:00.000Z",
            "base": "2026-06-19T00:00:00.000Z",
        },
        "adultPrice": {"journal": 12.5, "postgres": None, "base": 9},
        "extras": {"journal": None, "postgres": '{"a": 1}'},
    }


def test_of_a_long_text_the_beginning_is_told(vehicle: Api, admin: Person) -> None:
    picture = "data:image/png;base64," + "A" * 4978
    row = encode(
        BY_NAME["Vehicle"],
        completed(
            BY_NAME["Vehicle"],
            {"parc": VEHICLE, "version": 0, "background_image": picture, "gallery": json.dumps([picture])},
        ),
    )
    vehicle.sql(a_conflict(7, row=row))

    [found] = listed(vehicle, admin)

    assert found["fields"]["backgroundImage"]["journal"] == f"{picture[:200]}… (5000 caractères)"
    assert found["fields"]["gallery"]["journal"] == [f"{picture[:200]}… (5000 caractères)"]


def test_applying_writes_the_row_as_its_member_and_keeps_what_it_replaced(vehicle: Api, admin: Person) -> None:
    writer = vehicle.person("BUREAU")
    vehicle.sql(a_conflict(7, member=writer.id))

    answer = vehicle.post("/api/conflicts/7/apply", headers=admin.headers)

    assert (answer.status_code, answer.json()["resolution"], answer.json()["kept"]) == (200, "applied", True)
    assert answer.headers["X-Data-Source"] == "postgres"
    assert state(vehicle) == [("par l'API", writer.id)]
    assert listed(vehicle, admin) == []
    [settled] = listed(vehicle, admin, "?all=true")
    assert (settled["resolution"], settled["resolvedBy"]) == ("applied", admin.id)
    [[kept]] = vehicle.sql("SELECT entry -> 'image' ->> 'etat' FROM conflict")
    assert kept == "par psql"


def test_discarding_leaves_the_row_as_it_is(vehicle: Api, admin: Person) -> None:
    vehicle.sql(a_conflict(7))

    answer = vehicle.post("/api/conflicts/7/discard", headers=admin.headers)

    assert (answer.status_code, answer.json()["resolution"], answer.json()["kept"]) == (200, "discarded", False)
    assert answer.json()["resolvedBy"] == admin.id
    assert state(vehicle) == [("par psql", "sql")]
    assert listed(vehicle, admin) == []


def test_an_update_of_a_row_that_was_deleted_brings_it_back(vehicle: Api, admin: Person) -> None:
    vehicle.sql(a_conflict(7), "DELETE FROM vehicle")

    assert vehicle.post("/api/conflicts/7/apply", headers=admin.headers).status_code == 200

    assert state(vehicle) == [("par l'API", "api")]


@pytest.mark.parametrize("word", ["apply", "discard"])
def test_a_decided_conflict_is_decided_no_second_time(vehicle: Api, admin: Person, word: str) -> None:
    vehicle.sql(a_conflict(7))
    vehicle.post("/api/conflicts/7/discard", headers=admin.headers)

    answer = vehicle.post(f"/api/conflicts/7/{word}", headers=admin.headers)

    assert_refused(answer, 409, "already_settled")
    assert answer.json()["detail"] == "Le conflit 7 est déjà tranché : abandonné."
    assert state(vehicle) == [("par psql", "sql")]


def test_of_two_administrators_one_decides(vehicle: Api, admin: Person) -> None:
    vehicle.sql(a_conflict(7))

    with ThreadPoolExecutor() as both:
        asked = [
            both.submit(vehicle.post, f"/api/conflicts/7/{word}", headers=admin.headers)
            for word in ("apply", "discard")
        ]
        statuses = sorted(one.result().status_code for one in asked)

    assert statuses == [200, 409]


def test_a_repeat_under_the_same_key_gets_the_first_answer(vehicle: Api, admin: Person) -> None:
    vehicle.sql(a_conflict(7))
    headers = admin.headers | {"Idempotency-Key": "once"}

    first, again = (vehicle.post("/api/conflicts/7/apply", headers=headers) for _ in range(2))
    other = vehicle.post("/api/conflicts/7/apply", headers=headers, json={"another": "body"})

    assert (first.status_code, again.status_code, first.content == again.content) == (200, 200, True)
    assert_refused(other, 422, "idempotency_key_reused", "Idempotency-Key")


@pytest.mark.parametrize("number", ["7", "x", "9" * 18])
def test_a_conflict_that_never_was_is_not_found(api: Api, admin: Person, number: str) -> None:
    assert_refused(api.post(f"/api/conflicts/{number}/apply", headers=admin.headers), 404, "not_found")


def test_a_write_that_a_rule_of_the_table_refuses_stays_open(api: Api, admin: Person) -> None:
    api.sql("INSERT INTO member (id, email) VALUES ('autre', 'm1@example.org')")
    insert = a_conflict(7, row=encode(BY_NAME["Member"], MEMBER_ROW))
    api.sql(insert.replace("'Vehicle'", "'Member'").replace(f"'{VEHICLE}', 'update'", "'m1', 'insert'"))

    answer = api.post("/api/conflicts/7/apply", headers=admin.headers)

    assert_refused(answer, 409, "duplicate", "email")
    assert [one["number"] for one in listed(api, admin)] == [7]


def test_an_admin_who_is_no_more_decides_nothing(vehicle: Api, admin: Person) -> None:
    vehicle.sql(a_conflict(7), f"UPDATE member SET role = 'MEMBER' WHERE id = '{admin.id}'")

    decided = vehicle.post("/api/conflicts/7/apply", headers=admin.headers)

    assert_refused(decided, 401, "unauthenticated")
    assert_refused(vehicle.get("/api/conflicts", headers=admin.headers), 401, "unauthenticated")
    assert state(vehicle) == [("par psql", "sql")]


def test_pages_follow_each_other_in_the_order_of_the_outage(vehicle: Api, admin: Person) -> None:
    vehicle.sql(*(a_conflict(number) for number in range(1, PAGE + 3)))
    seen, path = [], "/api/conflicts"

    while path:
        answer = vehicle.get(path, headers=admin.headers)
        seen.append([one["number"] for one in answer.json()["conflicts"]])
        path = answer.links["next"]["url"] if "next" in answer.links else ""

    assert seen == [list(range(1, PAGE + 1)), [PAGE + 1, PAGE + 2]]
