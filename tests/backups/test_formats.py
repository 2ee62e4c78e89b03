"""Facts about what is read from old backups: every shape, every oddity, nothing silently."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness import run_sql
from predecessor import predecessor
from retrobus.backups import BadBackup
from retrobus.backups.formats import Backup, read_backup

Terminal = Callable[..., tuple[int, str, str]]
LEGACY = Path(__file__).parents[1] / "data" / "legacy-backups"


def a_file(folder: Path, **tables: Any) -> Path:
    path = folder / "backup-2025-12-01T00-00-00-000Z.json"
    path.write_text(json.dumps({"Vehicle": [], **tables}), encoding="utf-8")
    return path


def an_old_member(**fields: Any) -> dict[str, Any]:
    return {"id": "m1", "email": "camille@example.org", "createdAt": "2025-11-01T08:00:00.000Z", **fields}


def reasons(backup: Backup) -> list[tuple[str, str | None, str]]:
    return [(reject.resource, reject.key, reject.reason) for reject in backup.reading.intake.rejects]


@pytest.mark.parametrize(
    ("name", "shape", "rows", "rejected", "ignored"),
    [
        ("backup_2025-12-01T14-00-00", "T1", (2, 1, 1), 0, {"site_users": 1, "RetroNews": 1}),
        ("backup_2025-12-02T02-00-00", "T2", (1, 3, 1), 1, {"user_permissions": 0, "Flash": 0}),
        ("backup_2025-12-02T13-00-00", "T2", (0, 0, 0), 0, {"site_users": 0}),
        ("backup_2025-12-03T23-00-00", "F", (1, 1, 2), 0, {"usage": 0, "retro_request": 1}),
        ("backup-2025-12-03T22-00-00-000Z.json", "F", (0, 0, 1), 0, {}),
        ("t3.json", "T3", (1, 1, 1), 0, {}),
        ("runtime-state.json", "R", (1, 2, 1), 0, {"siteUsers": 0, "flashes": 0, "categories": 0}),
    ],
)
def test_every_legacy_shape_is_read_whole(
    name: str, shape: str, rows: tuple[int, int, int], rejected: int, ignored: dict[str, int]
) -> None:
    backup = read_backup(LEGACY / name)

    assert backup.reading.shape == shape
    assert tuple(len(backup.rows[resource]) for resource in ("Vehicle", "Event", "Member")) == rows
    assert len(backup.reading.intake.rejects) == rejected
    assert backup.reading.foreign == ignored


@pytest.mark.parametrize("name", ["damaged-truncated.json", "index.json", "restore-info.json", "nowhere.json"])
def test_what_is_no_whole_backup_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadBackup) as refusal:
        read_backup(LEGACY / name)

    assert str(refusal.value).partition(" ")[0].endswith(name)
    assert str(refusal.value).endswith(".")


def test_the_time_of_a_backup_is_what_it_says_else_what_its_name_says() -> None:
    said, named = read_backup(LEGACY / "t3.json"), read_backup(LEGACY / "backup-2025-12-03T22-00-00-000Z.json")

    assert said.reading.timestamp == datetime(2025, 11, 20, 10, tzinfo=UTC)
    assert named.reading.timestamp == datetime(2025, 12, 3, 22, tzinfo=UTC)


def test_midnight_in_paris_means_that_day_but_never_for_createdat() -> None:
    backup = read_backup(LEGACY / "backup_2025-12-01T14-00-00")
    summer, winter = backup.rows["Vehicle"]

    assert summer["mise_en_circulation"] == datetime(2001, 7, 1, tzinfo=UTC)
    assert winter["mise_en_circulation"] == datetime(1996, 11, 1, tzinfo=UTC)
    assert backup.rows["Event"][0]["date"] == datetime(2025, 9, 20, tzinfo=UTC)
    assert backup.rows["Member"][0]["birth_date"] == datetime(1990, 5, 1, tzinfo=UTC)
    assert backup.rows["Event"][0]["updated_at"] == datetime(2025, 8, 1, 9, 59, 59, 999000, tzinfo=UTC)
    assert "dates à minuit de Paris, ramenées au jour même (4)" in backup.reading.warnings


@pytest.mark.parametrize("said", ["2025-09-20T14:00:00.000Z", "2025-09-20T00:00:00.000Z", "2025-12-20T22:00:00.000Z"])
def test_any_other_hour_stays_what_it_is(tmp_path: Path, said: str) -> None:
    event = {"id": "e1", "title": "Sortie", "date": said, "createdAt": "2025-11-30T23:00:00.000Z"}

    row = read_backup(a_file(tmp_path, Event=[event])).rows["Event"][0]

    assert row["date"] == datetime.fromisoformat(said)
    assert row["created_at"] == datetime(2025, 11, 30, 23, tzinfo=UTC)


def test_json_comes_as_text_or_as_itself_and_unreadable_lists_are_left_out_with_a_word() -> None:
    texts = read_backup(LEGACY / "backup_2025-12-01T14-00-00")
    real = read_backup(LEGACY / "backup_2025-12-02T02-00-00")

    assert texts.rows["Vehicle"][0]["caracteristiques"].startswith('[{"label": "Modèle", "value": "Citaro C1"}')
    assert real.rows["Vehicle"][0]["caracteristiques"] == '[{"label": "Niveau carburant", "value": "52"}]'
    assert real.rows["Event"][2]["extras"] == '{"eventType": "private_outing", "isVisible": false}'
    assert texts.rows["Vehicle"][1]["caracteristiques"] == "[]"
    assert "Vehicle : caracteristiques illisible, laissé vide (1)" in texts.reading.warnings


def test_an_event_whose_extras_cannot_be_read_stays_out_because_they_may_hide_it(tmp_path: Path) -> None:
    event = {"id": "e1", "title": "Sortie", "date": "2025-09-20", "extras": "{"}

    backup = read_backup(a_file(tmp_path, Event=[event]))

    assert backup.rows["Event"] == []
    assert reasons(backup) == [("Event", "e1", "extras : JSON valide attendu")]


def test_missing_fields_get_their_defaults() -> None:
    backup = read_backup(LEGACY / "backup_2025-12-02T02-00-00")
    vehicle, member = backup.rows["Vehicle"][0], backup.rows["Member"][0]

    assert (vehicle["type"], vehicle["is_public"], vehicle["updated_at"]) == ("Bus", False, vehicle["created_at"])
    assert (member["role"], member["status"], member["email"]) == ("MEMBER", "active", "adresse-sans-arobase")
    assert "Vehicle : isPublic absent (1)" in backup.reading.warnings


def test_vehicles_that_do_not_say_whether_they_are_public_are_what_the_operator_says() -> None:
    backup = read_backup(LEGACY / "runtime-state.json", public_when_missing=True)

    assert backup.rows["Vehicle"][0]["is_public"] is True


def test_a_member_without_email_stays_out_with_a_reason() -> None:
    backup = read_backup(LEGACY / "backup_2025-12-02T02-00-00")

    assert reasons(backup) == [("Member", None, "email : ce champ est obligatoire")]


def test_a_count_that_disagrees_is_said() -> None:
    reading = read_backup(LEGACY / "backup_2025-12-01T14-00-00").reading

    assert "manifest.json : 99 lignes annoncées, 6 lues" in reading.warnings


def test_an_event_of_an_unknown_vehicle_is_kept_without_it() -> None:
    backup = read_backup(LEGACY / "backup_2025-12-02T02-00-00")

    assert [row["vehicle_id"] for row in backup.rows["Event"]] == ["920", None, None]
    assert "Event : vehicleId inconnu, mis à null (1)" in backup.reading.warnings


def test_hashed_passwords_are_kept_and_clear_ones_are_set_apart_from_the_rows() -> None:
    backup = read_backup(LEGACY / "backup_2025-12-03T23-00-00")
    clear, hashed = backup.rows["Member"]

    assert clear["password_hash"] is None
    assert backup.passwords == {"cm3exampleaaaa0001": "motdepasse-en-clair-1"}
    assert "motdepasse" not in repr(backup)
    assert hashed["password_hash"].startswith("$2b$12$")
    assert (hashed["matricule"], hashed["role"]) == (None, "PARTENAIRE")


def test_the_second_of_two_members_with_one_email_stays_out_whatever_its_case(tmp_path: Path) -> None:
    twins = [an_old_member(), an_old_member(id="m2", email="Camille@Example.org")]

    backup = read_backup(a_file(tmp_path, members=twins))

    assert [row["id"] for row in backup.rows["Member"]] == ["m1"]
    assert reasons(backup) == [("Member", "m2", "email : déjà pris par une autre ligne du backup")]


def test_vehicles_are_known_by_parc_and_each_gets_a_number_of_its_own(tmp_path: Path) -> None:
    rows = [{"parc": 920, "id": 4}, {"parc": "921", "id": 4}, {"parc": "922"}, {"parc": "920", "id": 9}]

    backup = read_backup(a_file(tmp_path, Vehicle=rows))

    assert [(row["parc"], row["id"]) for row in backup.rows["Vehicle"]] == [("920", 4), ("921", 5), ("922", 6)]
    assert reasons(backup) == [("Vehicle", "920", "parc : déjà pris par une autre ligne du backup")]


def test_a_large_image_comes_in_whole(tmp_path: Path) -> None:
    image = "data:image/png;base64," + "iVBORw0K" * 450_000

    backup = read_backup(a_file(tmp_path, Vehicle=[{"parc": "920", "backgroundImage": image}]))

    assert backup.rows["Vehicle"][0]["background_image"] == image


def test_money_comes_as_number_or_text(tmp_path: Path) -> None:
    members = [an_old_member(paymentAmount=25), an_old_member(id="m2", email="b@example.org", paymentAmount="12.50")]

    backup = read_backup(a_file(tmp_path, members=members))

    assert [row["payment_amount"] for row in backup.rows["Member"]] == [Decimal(25), Decimal("12.5")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "PARTI"}, "status"),
        ({"birthDate": "hier"}, "birthDate"),
        ({"createdAt": "2025-13-45T00:00:00Z"}, "createdAt"),
        ({"notes": "x" * 20_001}, "notes"),
        ({"email": "deux mots@example.org"}, "email"),
        ({"id": "a/b"}, "id"),
        ({"password": 1234}, "password"),
        ({"firstName": "\ud800"}, "firstName"),
        ({"firstName": "a\x00b"}, "firstName"),
        ({"permissions": [[[[["x"]]]]]}, "permissions"),
    ],
)
def test_a_value_that_no_column_holds_keeps_the_row_out_and_names_the_field(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    backup = read_backup(a_file(tmp_path, members=[an_old_member(**fields)]))

    assert backup.rows["Member"] == []
    assert backup.reading.intake.rejects[0].reason.startswith(f"{reason} : ")
    assert all(str(value) not in backup.reading.intake.rejects[0].reason for value in fields.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        '{"Vehicle": 3}',
        '{"Vehicle": [1, ]}',
        '{"Vehicle": [] "Event": []}',
        '{"Vehicle": [],}',
        '{"Vehicle": []} x',
        '{"Vehicle": [], "vehicles": []}',
        '{"Vehicle": [{"parc": "1", "parc": "2"}]}',
        '{"Vehicle": [{"fuel": 1e999}]}',
        '{"Vehicle": [{"fuel": NaN}]}',
        '{"Vehicle": [{"fuel": ' + "9" * 5000 + "}]}",
        '{"Vehicle": [' + "[" * 100_000,
        '{"Vehicle": [{"x": ' + "[" * 3000 + "]" * 3000 + "}]}",
        '{"tables": {"Vehicle": {"count": 1}}}',
    ],
)
def test_a_malformed_file_gives_no_row(tmp_path: Path, text: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(BadBackup, match=r"old\.json est endommagé"):
        read_backup(path)


def test_a_file_in_another_encoding_gives_no_row(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"Vehicle": [{"parc": "é"}]}', encoding="latin-1")

    with pytest.raises(BadBackup, match="UTF-8"):
        read_backup(path)


def test_a_row_that_is_no_object_stays_out(tmp_path: Path) -> None:
    backup = read_backup(a_file(tmp_path, Vehicle=["920", None, {"parc": "921"}]))

    assert [row["parc"] for row in backup.rows["Vehicle"]] == ["921"]
    assert [reason for *_, reason in reasons(backup)] == ["objet attendu", "objet attendu"]


def exported(old: str, folder: Path, name: str, sql: str) -> Path:
    """What `psql -Atc` writes of this query."""
    [row] = run_sql(old, f"SELECT ({sql})::text AS said")
    path = folder / name
    path.write_text("" if row["said"] is None else row["said"] + "\n", encoding="utf-8")
    return path


WHOLE = """SELECT json_build_object('Vehicle', (SELECT json_agg(t) FROM "Vehicle" t), 'Event', (SELECT json_agg(t)
FROM "Event" t), 'members', (SELECT json_agg(t) FROM members t))"""


def test_an_export_of_json_agg_gives_the_rows_of_the_live_database(
    terminal: Terminal, server: str, database: str, tmp_path: Path
) -> None:
    with predecessor(server) as old:
        path = exported(old, tmp_path, "export.json", WHOLE)
        _, first, _ = terminal("restore", str(path), "--apply", "--yes", url=database)
        live = json.loads(terminal("restore", old, "--json", url=database)[1])

    assert "✅ export.json restauré et vérifié : 8 lignes changées" in first
    assert {name: said["same"] for name, said in live["counts"].items()} == {"Vehicle": 3, "Event": 2, "Member": 3}


def test_an_array_of_rows_needs_the_name_of_its_table(
    terminal: Terminal, server: str, database: str, tmp_path: Path
) -> None:
    with predecessor(server) as old:
        path = exported(old, tmp_path, "vehicules.json", 'SELECT json_agg(t) FROM "Vehicle" t')
    without = terminal("restore", str(path), url=database)
    two = terminal("restore", str(path), "--table", "vehicle", "--table", "event", url=database)
    code, said, _ = terminal("restore", str(path), "--table", "vehicle", "--json", url=database)

    assert (without[0], two[0], code) == (1, 1, 0)
    assert "vehicules.json est un tableau JSON, qui ne dit pas de quelle table : ajoutez --table vehicle" in without[2]
    assert "ajoutez --table vehicle" in two[2]
    plan = json.loads(said)
    assert (plan["shape"], plan["counts"]["Vehicle"]["insert"], [*plan["counts"]]) == ("A", 3, ["Vehicle"])


def test_an_empty_table_is_null_in_an_export_and_an_empty_file_is_no_export(
    terminal: Terminal, server: str, database: str, tmp_path: Path
) -> None:
    with predecessor(server) as old:
        run_sql(old, 'DELETE FROM "Event"')
        whole = exported(old, tmp_path, "export.json", WHOLE)
        nothing = exported(old, tmp_path, "evenements.json", 'SELECT json_agg(t) FROM "Event" t')
    plan = json.loads(terminal("restore", str(whole), "--json", url=database)[1])
    code, _, errors = terminal("restore", str(nothing), "--table", "event", "--replace", url=database)

    assert (plan["shape"], plan["counts"]["Event"]["insert"], plan["counts"]["Member"]["insert"]) == ("F", 0, 3)
    assert (code, "evenements.json est endommagé : il est vide" in errors) == (1, True)
