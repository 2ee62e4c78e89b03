"""Facts about `retrobus import`: a spreadsheet comes in by the plan of a restore, and changes what it names alone."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Api, Person, run_sql
from hostile_rows import stock

Ended = tuple[int, str, str]
Import = Callable[..., Ended]
HEAD = "Identifiant;Prénom;Nom;E-mail;Téléphone;Date de naissance;Montant payé;Version"


def members(url: str) -> dict[str, dict[str, Any]]:
    sql = "SELECT to_jsonb(m) - 'wire' FROM member m ORDER BY id"
    return {row["id"]: row for (text,) in run_sql(url, sql) for row in [json.loads(text)]}


def version_of(url: str, table: str, key: str) -> int:
    column = "parc" if table == "vehicle" else "id"
    return int(run_sql(url, f"SELECT version FROM {table} WHERE {column} = '{key}'")[0][0])


@pytest.fixture
def filled(database: str) -> str:
    """A database with three members."""
    run_sql(
        database,
        """INSERT INTO member (id, email, first_name, last_name, phone, role) SELECT 'm' || n, n || '@example.org',
        'Sacha', 'Martin' || n, '+33 6 00 00 00 0' || n, CASE n WHEN 1 THEN 'ADMIN' ELSE 'MEMBER' END
        FROM generate_series(1, 3) AS n""",
    )
    return database


def exported(url: str, *changes: tuple[str, str]) -> str:
    """What an export of the members says, with some texts replaced."""
    rows = [
        f"{key};{row['first_name']};{row['last_name']};{row['email']};'{row['phone']};;;{row['version']}"
        for key, row in members(url).items()
    ]
    text = "\ufeff" + "\r\n".join([HEAD, *rows]) + "\r\n"
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def bring(terminal: Callable[..., Ended], filled: str, tmp_path: Path) -> Import:
    """Runs `retrobus import members` with a file of this text."""

    def run(text: str | bytes, *options: str, name: str = "membres.csv", resource: str = "members") -> Ended:
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return terminal("import", resource, str(tmp_path / name), *options, url=filled)

    return run


def test_an_unchanged_export_changes_nothing(bring: Import, filled: str, tmp_path: Path) -> None:
    before = members(filled)

    code, said, _ = bring(exported(filled), "--update", "--apply", "--yes")

    assert code == 0
    assert "3 identiques" in said
    assert said.splitlines()[-1] == "Rien n'a été changé."
    assert members(filled) == before
    assert not list(tmp_path.glob("backups/backup_*"))


def test_one_changed_cell_changes_one_row_and_gives_it_alone_a_new_version(bring: Import, filled: str) -> None:
    before = members(filled)
    text = exported(filled, ("'+33 6 00 00 00 02", "01 23 45 67 89"))

    planned, plan, _ = bring(text, "--update")
    untouched = members(filled)
    done, said, _ = bring(text, "--update", "--apply", "--yes")

    after = members(filled)
    assert (planned, done, untouched) == (0, 0, before)
    assert "✏️  membre m2 modifié : « Téléphone » (ici « +33 6 00 00 00 02 », fichier « 01 23 45 67 89 »)" in plan
    assert plan.splitlines()[-1] == "Rien n'a été changé. Pour exécuter ce plan : --apply"
    assert "🛟 Avant l'import : " in said
    assert "--table member --replace --apply" in said.splitlines()[-1]
    assert {key for key in after if after[key] != before[key]} == {"m2"}
    changed = {name for name in after["m2"] if after["m2"][name] != before["m2"][name]}
    assert changed == {"phone", "version", "updated_at", "updated_by"}
    assert after["m2"]["updated_by"] == "import"
    assert after["m2"]["version"] > max(row["version"] for row in before.values())


def test_without_update_rows_that_are_here_are_left_and_counted(bring: Import, filled: str) -> None:
    before = members(filled)

    code, said, _ = bring(exported(filled, ("Martin2", "Durand")), "--apply", "--yes")

    assert code == 0
    assert "1 différente, laissée" in said
    assert said.splitlines()[-1] == "Rien n'a été changé. Pour modifier aussi les lignes différentes : --update"
    assert members(filled) == before


def test_a_file_with_two_columns_changes_these_columns_alone(bring: Import, filled: str) -> None:
    before = members(filled)

    code, _, _ = bring("id,PHONE\nm1,\nm3,0123\n", "--update", "--apply", "--yes")

    after = members(filled)
    assert code == 0
    assert after["m2"] == before["m2"]
    assert [(after[key]["phone"], after[key]["email"]) for key in ("m1", "m3")] == [
        (None, "1@example.org"),
        ("0123", "3@example.org"),
    ]


def test_the_safety_backup_undoes_an_import(bring: Import, filled: str, terminal: Callable[..., Ended]) -> None:
    def facts() -> list[Any]:
        return [(row["id"], row["phone"], row["email"], row["updated_by"]) for row in members(filled).values()]

    before = facts()
    text = exported(filled, ("'+33 6 00 00 00 02", "0"), ("m3;", "m9;"), ("3@example.org", "autre@example.org"))
    code, said, _ = bring(text, "--update", "--apply", "--yes", "--json")
    assert (code, len(members(filled))) == (0, 4)

    undone = terminal(
        *("restore", json.loads(said)["safety"], "--table", "member", "--replace", "--apply", "--yes"), url=filled
    )

    assert undone[0] == 0
    assert facts() == before


def test_a_row_deleted_since_the_export_comes_back_only_when_it_is_named(bring: Import, filled: str) -> None:
    text = exported(filled)
    run_sql(filled, "DELETE FROM member WHERE id = 'm2'")

    code, said, _ = bring(text, "--update", "--apply", "--yes")
    left = set(members(filled))
    named, again, _ = bring(text, "--include-deleted", "m2", "--apply", "--yes")

    assert (code, left) == (0, {"m1", "m3"})
    assert "membre m2 supprimé depuis (sql, " in said
    assert said.splitlines()[2].endswith(": --include-deleted m2")
    assert (named, set(members(filled))) == (0, {"m1", "m2", "m3"})
    assert "1 nouveau membre sans mot de passe" in again


def test_an_erased_member_comes_back_by_no_option_and_under_no_other_id(
    bring: Import, filled: str, terminal: Callable[..., Ended]
) -> None:
    text = exported(filled)
    assert terminal("member", "erase", "m2", "--yes", url=filled)[0] == 0

    code, said, _ = bring(text, "--only", "member:m2", "--apply", "--yes")
    under_another, _, _ = bring("email\n2@example.org\n", "--apply", "--yes")

    assert code == 3
    assert "membre m2 effacé : ne revient jamais" in said
    assert under_another == 0
    assert set(members(filled)) == {"m1", "m3"}


def test_a_row_changed_since_the_export_is_not_overwritten_unless_it_is_named(bring: Import, filled: str) -> None:
    text = exported(filled, ("'+33 6 00 00 00 02", "0123"), ("'+33 6 00 00 00 03", "0124"))
    run_sql(filled, "UPDATE member SET city = 'Lyon' WHERE id = 'm2'")
    version = version_of(filled, "member", "m2")

    code, said, _ = bring(text, "--update", "--apply", "--yes")
    phones = {key: row["phone"] for key, row in members(filled).items()}
    named, _, _ = bring(text, "--update", "--only", "member:m2", "--apply", "--yes")

    assert code == 3
    assert f"❌ ligne 3, membre m2 : rejetée : modifié dans la base depuis l'export (version {version}, " in said
    assert "--only member:m2" in said
    assert (phones["m2"], phones["m3"]) == ("+33 6 00 00 00 02", "0124")
    assert named == 0
    assert (members(filled)["m2"]["phone"], members(filled)["m2"]["city"]) == ("0123", "Lyon")


def test_a_change_between_the_plan_and_the_work_is_not_overwritten(
    bring: Import, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_: object, **__: object) -> bool:
        run_sql(filled, "UPDATE member SET phone = 'écrit entre-temps' WHERE id = 'm2'")
        return True

    monkeypatch.setattr("retrobus.cli.terminal._agreed", answer)

    code, said, _ = bring(exported(filled, ("'+33 6 00 00 00 02", "0123")), "--update", "--apply")

    assert code == 3
    assert "✅ membres.csv importé et vérifié : 0 ligne changée" in said
    assert members(filled)["m2"]["phone"] == "écrit entre-temps"


def test_a_row_without_id_is_the_member_of_its_email_or_a_new_one_once(bring: Import, filled: str) -> None:
    text = "email;prénom;Rôle;Lettre d’information\n2@Example.org;Camille;;\nneuf@example.org;Alix;;non\n"

    first, said, _ = bring(text, "--update", "--apply", "--yes")
    after = members(filled)
    again, repeated, _ = bring(text, "--update", "--apply", "--yes")

    new = next(row for row in after.values() if row["email"] == "neuf@example.org")
    assert (first, again, len(after)) == (0, 0, 4)
    assert (after["m2"]["first_name"], new["first_name"], new["role"], new["newsletter"]) == (
        *("Camille", "Alix", "MEMBER"),
        False,
    )
    assert "la valeur reste ou est celle par défaut : « Lettre d’information » (1), « Rôle » (2)" in said
    assert "2 identiques" in repeated
    run_sql(filled, f"DELETE FROM member WHERE id = '{new['id']}'")
    _, ghost, _ = bring(text, "--apply", "--yes")
    assert f"--include-deleted {new['id']}" in ghost
    assert len(members(filled)) == 3


def test_an_exported_row_that_lost_its_id_is_its_member_or_stays_out(bring: Import, filled: str) -> None:
    lines = [line.partition(";")[2] for line in exported(filled, ("'+33 6 00 00 00 03", "0")).splitlines()]
    run_sql(filled, "DELETE FROM member WHERE id = 'm2'")

    code, said, _ = bring("\n".join(lines), "--update", "--apply", "--yes")

    assert code == 3
    assert "❌ ligne 3 : rejetée : « Identifiant » : vide, et la ligne a une version" in said
    assert {key: row["phone"] for key, row in members(filled).items()} == {"m1": "+33 6 00 00 00 01", "m3": "0"}


def test_the_account_of_a_changed_member_stays_open_and_a_new_role_ends_its_tokens(bring: Import, filled: str) -> None:
    before = members(filled)

    code, _, _ = bring("id;phone;role\nm2;0;MEMBER\nm3;;DRIVER\n", "--update", "--apply", "--yes")

    after = members(filled)
    assert code == 0
    assert [after[key]["token_epoch"] - before[key]["token_epoch"] for key in ("m2", "m3")] == [0, 1]


def test_the_last_administrator_stays_one(bring: Import, filled: str) -> None:
    code, _, errors = bring("id;role\nm1;MEMBER\n", "--update", "--apply", "--yes")

    assert code == 1
    assert "dernier ADMIN" in errors
    assert members(filled)["m1"]["role"] == "ADMIN"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("m1;;Nom;a@example.org;;31/02/2026;;", "« Date de naissance » : cette date n'existe pas"),
        ("m1;;Nom;a@example.org;;01/02/26;;", "« Date de naissance » : année sur quatre chiffres"),
        ("m1;;Nom;a@example.org;;;12,345;", "« Montant payé » : au plus deux décimales"),
        ("m1;;Nom;a@example.org;;;douze;", "« Montant payé » : nombre attendu"),
        ("m1;;Nom;;;;;", "« E-mail » : obligatoire"),
        ("m1;;Nom;sans arobase;;;;", "« E-mail » :"),
        (f"m1;{'x' * 201};Nom;a@example.org;;;;", "« Prénom » : au plus 200 caractères"),
        ("a/b;;Nom;a@example.org;;;;", "id : 1 à 100 caractères"),
        ("m1;;Nom;a@example.org;;;;douze", "« Version » : le nombre"),
        ("m1;;Nom", "3 cellules, 8 attendues"),
        ("m1;;Nom;a@example.org;;;;;trop", "9 cellules, 8 attendues"),
        ("nouveau;;Nom;1@example.org;;;;", "« E-mail » : déjà pris ici par m1"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line_and_column(
    bring: Import, filled: str, row: str, said: str
) -> None:
    before = members(filled)

    code, output, _ = bring(
        f"{HEAD}\r\n\r\nm3;Zoé;Martin3;3@example.org;;;;\r\n{row}\r\n", "--update", "--apply", "--yes"
    )

    assert code == 3
    [line] = [line for line in output.splitlines() if line.startswith("❌")]
    assert line.startswith("❌ ligne 4")
    assert said in line
    assert members(filled)["m1"] == before["m1"]
    assert members(filled)["m3"]["first_name"] == "Zoé"


def test_both_rows_with_one_key_or_one_email_stay_out(bring: Import, filled: str) -> None:
    text = "id;email;phone\nm1;1@example.org;1\nm2;2@example.org;2\nm1;1@example.org;3\nm3;2@EXAMPLE.org;4\n"

    code, said, _ = bring(text, "--update", "--apply", "--yes")

    assert code == 3
    lines = [line for line in said.splitlines() if line.startswith("❌")]
    assert [line.split(" : ")[0] for line in lines] == [
        *("❌ ligne 2, membre m1", "❌ ligne 3, membre m2", "❌ ligne 4, membre m1", "❌ ligne 5, membre m3"),
    ]
    assert "la même valeur est à la ligne 4" in lines[0]
    assert "« email » : la même valeur est à la ligne 5" in lines[1]
    assert members(filled)["m1"]["phone"] == "+33 6 00 00 00 01"


def test_texts_that_the_api_would_not_take_are_no_difference_while_they_stay(bring: Import, filled: str) -> None:
    run_sql(filled, r"UPDATE member SET email = 'interne', notes = E'un\r\ndeux' WHERE id = 'm2'")
    before = members(filled)
    text = 'id;email;notes;phone\nm2;interne;"un\ndeux";0\nm3;interne aussi;;\n'

    code, said, _ = bring(text, "--update", "--apply", "--yes")

    after = members(filled)
    assert code == 3
    assert "❌ ligne 4, membre m3 : rejetée : « email » : adresse attendue" in said
    assert {name for name in after["m2"] if after["m2"][name] != before["m2"][name]} == {
        *("phone", "version", "updated_at", "updated_by"),
    }


def test_events_come_in_with_the_vehicles_that_are_here(bring: Import, filled: str) -> None:
    run_sql(filled, "INSERT INTO vehicle (parc) VALUES ('007')")
    text = (
        "Titre\tDate\tHeure\tTarif adulte\tVéhicule\tDonnées libres\n"
        "Fête\t20/09/2026\t14h30\t12,5\t007\t\n"
        "Visite\t21/09/2026\t\t\t7\t\n"
        "Gala\t\t\t\t\t\n"
    )

    code, said, _ = bring(text, "--apply", "--yes", resource="events")
    again, repeated, _ = bring(text, "--apply", "--yes", resource="événements")

    rows = run_sql(
        filled, "SELECT title, date::text, time, adult_price::text, vehicle_id, status, updated_by FROM event"
    )
    assert (code, again) == (3, 3)
    assert [tuple(row) for row in rows] == [
        ("Fête", "2026-09-20 00:00:00+00", "14:30", "12.50", "007", "DRAFT", "import"),
    ]
    assert "« Véhicule » : aucun véhicule 7 ici" in said
    assert "❌ ligne 4 : rejetée : « Date » : obligatoire" in said
    assert "1 identique" in repeated


def test_images_stay_as_they_are_whatever_their_cells_say(bring: Import, filled: str) -> None:
    run_sql(
        filled,
        """INSERT INTO vehicle (parc, background_image, gallery)
        VALUES ('920', 'data:image/png;base64,AA==', '["data:image/png;base64,AA=="]')""",
    )

    text = "parc;Image de fond;gallery;Carburant (%)\n920;(inchangé);;62,5\n921;/images/921.jpg;;\n"
    code, said, _ = bring(text, "--update", "--apply", "--yes", resource="vehicle")

    rows = run_sql(filled, "SELECT parc, background_image, gallery::text, fuel FROM vehicle ORDER BY parc")
    assert code == 0, said
    assert [tuple(row) for row in rows] == [
        ("920", "data:image/png;base64,AA==", '["data:image/png;base64,AA=="]', 62.5),
        ("921", "/images/921.jpg", "[]", None),
    ]


def test_odd_values_of_json_keep_their_rows_out_one_by_one(bring: Import, filled: str) -> None:
    rows = [
        r'{"id": "\ud800", "phone": "0"}',
        '{"id": ["m1"], "phone": "0"}',
        '{"id": "m1", "phone": ["0"]}',
        '{"id": "m1x", "email": "x@example.org", "paymentAmount": 1e15}',
        '{"id": "m2", "notes": "", "phone": null, "birthDate": 5, "version": true}',
        '{"id": "m3", "phone": "0", "permissions": ["a"], "newsletter": false}',
    ]

    code, said, errors = bring("[" + ",\n".join(rows) + "]", "--update", "--apply", "--yes", name="membres.json")

    assert code == 3, errors
    lines = [line for line in said.splitlines() if line.startswith("❌")]
    assert [line.split(" ")[2].strip(",") for line in lines] == ["1", "2", "3", "4", "5"], said
    row = members(filled)["m3"]
    assert (row["phone"], row["permissions"], row["newsletter"]) == ("0", ["a"], False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("members", "absent.csv"), 1, "absent.csv : "),
        (("bus", "absent.csv"), 1, "ressource inconnue : bus (véhicules, événements, membres)"),
        (("members", "."), 1, "c'est un dossier, un fichier est attendu"),
        (("members", "membres.csv", "--only", "event:e1"), 1, "--only event:e1 : le fichier est celui des membres"),
        (("members", "membres.csv", "--only", "m1"), 1, "--only m1 : vehicle:CLÉ"),
        (("members", "membres.csv", "--only", "member:m9"), 1, "n'a aucune ligne de Member dont id est m9"),
        (("members", "membres.csv", "--only", "member:m1", "--include-deleted", "m1"), 1, "retirez --include-deleted"),
        (("members", "membres.csv", "--include-deleted", "m7"), 1, "Aucune suppression à annuler"),
        (("vehicles", "membres.csv"), 1, "aucun titre de colonne des véhicules"),
        (("members",), 2, "FICHIER"),
    ],
)
def test_a_command_that_cannot_work_says_why(
    terminal: Callable[..., Ended], filled: str, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "membres.csv").write_text("E-mail;Téléphone\n1@example.org;0\n", encoding="utf-8")
    before = members(filled)

    ended, _, errors = terminal("import", *arguments, "--apply", "--yes", url=filled)

    assert ended == code
    assert said in errors
    assert members(filled) == before


@pytest.mark.parametrize("resource", ["véhicules", "événements", "membres"])
@pytest.mark.parametrize("written", [("csv",), ("csv", "--dialect", "rfc4180"), ("xlsx",), ("json",)], ids=" ".join)
def test_an_export_in_any_form_comes_back_without_a_difference(
    api: Api,
    admin: Person,
    terminal: Callable[..., Ended],
    tmp_path: Path,
    resource: str,
    written: tuple[str, ...],
) -> None:
    stock(api, admin)
    file = tmp_path / f"liste.{written[0]}"
    url = api.database_url
    assert terminal("export", resource, "--out", str(file), *written[1:], url=url)[0] == 0

    code, said, _ = terminal("import", resource, str(file), "--update", "--apply", "--yes", url=url)

    assert code == 0
    assert re.fullmatch(rf"{resource} +\d+ identiques", said.splitlines()[1]), said
    assert "⚠️" not in said
