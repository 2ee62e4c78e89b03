"""Facts about `retrobus member export / erase`: all that is held is told, and what is erased stays away."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import a_member
from harness import process, run_sql, served, settings_for, until
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal, read_journal
from retrobus.fallback.opening import LOCK
from retrobus.fallback.snapshot import FORMAT
from retrobus.files import folder as files
from retrobus.model.resources import MEMBER, VEHICLE
from retrobus.model.rows import completed, content_hash, decode, encode

Terminal = Callable[..., tuple[int, str, str]]
FOLDER = Path("backups")
FILL = """
INSERT INTO member (id, email, matricule, member_number, last_name, password_hash, created_by)
  VALUES ('m1', 'Sacha@example.org', 'S12', 'N-0077', 'Exemple', 'secret-hash', 'm2');
INSERT INTO member (id, email, role, created_by) VALUES ('m2', 'm2@example.org', 'ADMIN', 'm1');
INSERT INTO vehicle (parc) VALUES ('920');
INSERT INTO idempotency VALUES ('m1', 'POST', '/api/events', 'k', '', '{"id": "e1"}', '"x"', 'e1');
INSERT INTO idempotency VALUES ('m2', 'PUT', '/api/members/m1', 'k', '', '{"id": "m1"}', '"x"', 'm1');
SELECT set_config('retrobus.actor', 'm1', false);
DELETE FROM vehicle;
INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason) VALUES
  (gen_random_uuid(), 1, 'Member', 'old-id', 'update',
   '{"at": "2026-01-31T14:00:00.000Z", "member": "m2", "row": {"id": "old-id", "email": "sacha@EXAMPLE.org"}}', 'x'),
  (gen_random_uuid(), 2, 'Vehicle', '920', 'update',
   '{"at": "2026-01-31T14:00:00.000Z", "member": "m1", "row": {"parc": "920"}}', 'x')
"""
NAMES = ("m1", "acha", "S12", "N-0077", "secret-hash")
OWN = {"id": "m1"}
ACT = {"role", "at", "resource", "operation"}
OF_OTHERS = """
INSERT INTO member (id, email, address, password_hash) VALUES ('claude', 'c@example.org', '1 rue Tierce', 'hash-t');
INSERT INTO idempotency VALUES
  ('m1', 'PUT', '/api/members/claude', 'k', '', '{"address": "1 rue Tierce"}', '', 'claude');
INSERT INTO deletion VALUES (900, 'Member', 'parti-tierce', now(), 'm1', 'api', 1);
INSERT INTO deletion VALUES (901, 'Member', 'm1', now(), 'claude', 'api', 1);
INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason) VALUES
  (gen_random_uuid(), 3, 'Member', 'claude', 'update', '{"member": "m1", "base": {"hash": "tierce"},
   "row": {"id": "claude", "address": "1 rue Tierce", "matricule": "S12"}, "image": {"password_hash": "hash-t"}}', 'x'),
  (gen_random_uuid(), 4, 'Member', 'gone', 'update', '{"member": "claude",
   "row": {"id": "gone", "address": "1 rue Tierce", "matricule": "S12"}}', 'x')
"""
WAITING = """INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason) VALUES
(gen_random_uuid(), 9, 'Member', 'm8', 'insert', '{"at": "2026-01-31T14:00:00.000Z", "member": "m2",
 "row": {"id": "m8", "created_by": "m1"}}', 'x')"""
OLD = {
    "members": [
        {"id": "legacy-9", "email": "SACHA@example.org", "password": "azerty-2020"},
        {"id": "legacy-8", "email": "other@example.org", "matricule": "s12"},
        {"id": "legacy-7", "email": "claude@example.org", "matricule": "C1"},
    ]
}


@pytest.fixture
def filled(database: str) -> str:
    """A database with traces of member m1 everywhere."""
    run_sql(database, *FILL.split(";\n"))
    return database


@pytest.fixture
def old() -> Path:
    """A backup of the predecessor in which the same person has other ids."""
    path = FOLDER / "backup_2020-01-01T00-00-00"
    path.mkdir(parents=True)
    (path / "data.json").write_text(json.dumps(OLD))
    return path


def a_row(key: str, **values: object) -> dict[str, Any]:
    return encode(MEMBER, completed(MEMBER, {"id": key, "email": f"{key}@example.org", "version": 5} | values))


def leave_files() -> None:
    """A journal and a snapshot that name the member."""
    FOLDER.mkdir(exist_ok=True)
    at = "2026-01-31T14:00:00.000Z"
    Journal(FOLDER / "journal.jsonl").append(*[
        Entry(1, at, "Member", "m1", "update", a_row("m1"), None, "m2"),
        Entry(2, at, "Vehicle", "920", "delete", None, None, "m1", {"key": "k"}),
        Entry(3, at, "Member", "m2", "update", a_row("m2"), None, "m2"),
    ])  # fmt: skip
    state = {"vehicles": [], "events": [], "members": [a_row("m1"), a_row("m2")]}
    about = {"format": FORMAT, "origin": "postgres", "asOf": None, "identity": None, "state": state}
    (FOLDER / "runtime-state.json").write_text(json.dumps(about))


def everything(url: str) -> str:
    """All that the database holds, as text."""
    tables = [row[0] for row in run_sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return "\n".join(str(row) for table in tables for row in run_sql(url, f"SELECT t::text FROM {table} t"))


@pytest.mark.parametrize("key", ["m1", "sacha@example.org", "s12"])
def test_an_export_shows_every_trace_but_no_password(terminal: Terminal, filled: str, old: Path, key: str) -> None:
    leave_files()

    code, said, _ = terminal("member", "export", key, url=filled)

    found = json.loads(said)
    assert code == 0
    assert found["member"]["email"] == "Sacha@example.org"
    assert [(told["role"], told.get("answer")) for told in found["answers"]] == [("actor", None), ("subject", OWN)]
    assert [(told["role"], told["resource"]) for told in found["deletions"]] == [("actor", "Vehicle")]
    assert [(told["role"], told.get("key")) for told in found["conflicts"]] == [("subject", "old-id"), ("actor", None)]
    assert [(told["role"], told["operation"]) for told in found["journal"]] == [
        ("subject", "update"),
        ("actor", "delete"),
    ]
    assert [row["id"] for row in found["snapshot"]] == ["m1"]
    assert (found["createdMembers"], found["changedRows"], found["backups"]) == (1, 0, [old.name])
    assert "secret-hash" not in said


def test_an_export_shows_nothing_of_other_members_and_no_secret(terminal: Terminal, filled: str) -> None:
    run_sql(filled, *OF_OTHERS.split(";\n"))
    FOLDER.mkdir(exist_ok=True)
    at, theirs = "2026-01-31T14:00:00.000Z", {"address": "1 rue Tierce", "password_hash": "hash-tierce"}
    mine = {"password_hash": "hash-sien", "created_by": "claude"}
    entries = [
        Entry(1, at, "Member", "claude", "update", a_row("claude", **theirs), {"version": 5, "hash": "tierce"}, "m1"),
        Entry(2, at, "Member", "m1", "update", a_row("m1", **mine), None, "claude", {"key": "cle-tierce"}),
        Entry(3, at, "Event", "e-tierce", "delete", None, None, "m1"),
        Entry(4, at, "Member", "gone", "insert", a_row("gone", matricule="s12", **theirs), None, "claude"),
    ]
    Journal(FOLDER / "journal.jsonl").append(*entries)
    state = {"members": [a_row("claude", **theirs), a_row("m1", **mine), a_row("gone", member_number="N-0077")]}
    (FOLDER / "runtime-state.json").write_text(json.dumps({"format": FORMAT, "state": state}))

    code, said, _ = terminal("member", "export", "m1", url=filled)

    found = json.loads(said)
    assert code == 0
    assert [word for word in ("tierce", "Tierce", "claude", "hash-", "gone") if word in said] == []
    assert "m1@example.org" in said  # the negative control: the person's own rows are told
    assert [set(told) for told in found["journal"] if told["role"] == "actor"] == [ACT, ACT]
    assert [set(told) for told in found["conflicts"] if told["role"] == "actor"] == [ACT, ACT]
    assert found["toLookAt"] == ["conflit 4", "journal.jsonl", "runtime-state.json"]


def test_a_kept_answer_about_a_bus_whose_parc_is_the_members_id_is_not_theirs(terminal: Terminal, filled: str) -> None:
    kept = """('m2', 'PUT', '/api/vehicles/m1', 'k', '', '{"parc": "m1"}', '"x"', 'm1')"""
    run_sql(filled, f"INSERT INTO idempotency VALUES {kept}")

    _, said, _ = terminal("member", "export", "m1", url=filled)
    terminal("member", "erase", "m1", "--yes", url=filled)

    assert len(json.loads(said)["answers"]) == 2
    assert run_sql(filled, "SELECT path FROM idempotency") == [("/api/vehicles/m1",)]


def test_writes_about_others_wait_on_without_the_erased_member_as_creator(terminal: Terminal, filled: str) -> None:
    FOLDER.mkdir()
    at = datetime.now(UTC).isoformat()
    made, changed = a_row("m9", created_by="m1"), a_row("m9", created_by="m1", city="Lyon")
    base = {"sequence": 1, "hash": content_hash(MEMBER, decode(MEMBER, made))}
    identity = run_sql(filled, "SELECT id::text FROM database_identity")[0][0]
    waiting = Journal(FOLDER / "journal.jsonl", identity=identity)
    waiting.append(*[
        Entry(1, at, "Member", "m9", "insert", made, None, "m2", journal=waiting.id),
        Entry(2, at, "Member", "m9", "update", changed, base, "m2", journal=waiting.id),
    ])  # fmt: skip
    run_sql(filled, WAITING)

    terminal("member", "erase", "m1", "--yes", url=filled)
    with_name = '"m1"' in (FOLDER / "journal.jsonl").read_text() + everything(filled)
    terminal("resync", url=filled)

    assert not with_name
    assert run_sql(filled, "SELECT city, created_by FROM member WHERE id = 'm9'") == [("Lyon", None)]


def test_a_row_of_a_living_member_stays_theirs_whatever_number_it_had(terminal: Terminal, filled: str) -> None:
    FOLDER.mkdir()
    entry = Entry(1, "2026-01-31T14:00:00.000Z", "Member", "m2", "update", a_row("m2", matricule="S12"), None, "m2")
    Journal(FOLDER / "journal.jsonl").append(*[entry])

    terminal("member", "erase", "m1", "--yes", url=filled)

    assert [kept.key for kept in read_journal(FOLDER, max_age=1e9).entries] == ["m2"]


def test_an_erased_member_leaves_no_name_in_the_database(terminal: Terminal, filled: str) -> None:
    code, _, _ = terminal("member", "erase", "m1", "--yes", url=filled)

    left = everything(filled)
    assert code == 0
    assert [name for name in NAMES if name in left] == []
    assert run_sql(filled, "SELECT cause, actor FROM deletion WHERE resource = 'Member'") == [("erase", None)]
    assert run_sql(filled, "SELECT key FROM deletion WHERE resource = 'Member'")[0][0].startswith("erased-")
    assert run_sql(filled, "SELECT key FROM conflict") == [("920",)]


def test_the_kept_hashes_are_hmac_sha256_with_the_key_of_this_database(terminal: Terminal, filled: str) -> None:
    terminal("member", "erase", "m1", "--yes", url=filled)

    pads = run_sql(filled, "SELECT inner_pad FROM erasure_key")
    key = bytes(byte ^ 0x36 for byte in pads[0][0])
    told = ("id:m1", "email:sacha@example.org", "matricule:s12", "number:N-0077")
    wanted = {hmac.new(key, text.encode(), hashlib.sha256).digest() for text in told}
    assert {row[0] for row in run_sql(filled, "SELECT fingerprint FROM erasure")} == wanted


def test_no_restore_brings_an_erased_member_back_under_any_id(terminal: Terminal, filled: str, old: Path) -> None:
    terminal("backup", "create", url=filled)
    terminal("member", "erase", "m1", "--yes", url=filled)
    ours = max(path.name for path in FOLDER.glob("backup_*"))

    _, said, _ = terminal("restore", old.name, "--apply", "--yes", url=filled)
    after_old = run_sql(filled, "SELECT id FROM member ORDER BY id")
    _, document, _ = terminal("restore", ours, "--apply", "--replace", "--yes", "--json", url=filled)

    assert "membre legacy-9 effacé : ne revient jamais" in said
    assert [row[0] for row in after_old] == ["legacy-7", "m2"]
    assert run_sql(filled, "SELECT id FROM member") == [("m2",)]
    assert [(row["key"], row["option"]) for row in json.loads(document)["buried"]] == [("m1", None)]


def test_a_member_who_has_the_number_of_an_erased_one_can_be_restored(
    terminal: Terminal, filled: str, old: Path
) -> None:
    terminal("member", "erase", "m1", "--yes", url=filled)
    run_sql(filled, "INSERT INTO member (id, email, matricule) VALUES ('legacy-8', 'new@example.org', 'S12')")

    terminal("restore", old.name, "--apply", "--replace", "--yes", url=filled)

    found = run_sql(filled, "SELECT id, email FROM member WHERE id LIKE 'legacy%' ORDER BY id")
    assert found == [("legacy-7", "claude@example.org"), ("legacy-8", "other@example.org")]


def test_journal_and_snapshot_forget_the_member_and_keep_the_rest(terminal: Terminal, filled: str) -> None:
    leave_files()

    terminal("member", "erase", "m1", "--yes", url=filled)

    kept = read_journal(FOLDER, max_age=1e9)
    assert kept.refusal is None
    assert [(entry.sequence, entry.member, entry.once) for entry in kept.entries] == [(2, None, None), (3, "m2", None)]
    assert "m1@" not in (FOLDER / "journal.jsonl").read_text() + (FOLDER / "runtime-state.json").read_text()
    assert "m2@" in (FOLDER / "runtime-state.json").read_text()


def test_what_remains_in_old_backups_is_said(terminal: Terminal, filled: str, old: Path) -> None:
    (FOLDER / "backup_2021").mkdir()
    (FOLDER / "backup_2021" / "data.json").write_text("{")

    _, said, _ = terminal("member", "erase", "m1", "--yes", url=filled)

    assert f"{old} contient encore cette personne" in said
    assert "backup_2021 n'a pas pu être lu" in said


@pytest.mark.parametrize(("options", "given", "code"), [(["--dry-run"], "", 0), ([], "non\n", 1)])
def test_nothing_is_erased_before_the_id_was_typed(
    terminal: Terminal, filled: str, options: list[str], given: str, code: int
) -> None:
    ended, said, _ = terminal("member", "erase", "sacha@example.org", *options, given=given, url=filled)

    assert ended == code
    assert "m1 : 1 ligne de la table member, 2 réponses gardées" in said
    assert run_sql(filled, "SELECT count(*) FROM member") == [(2,)]


def test_the_last_administrator_is_not_erased(terminal: Terminal, filled: str) -> None:
    code, _, said = terminal("member", "erase", "m2", "--yes", url=filled)

    assert (code, "dernier administrateur" in said) == (1, True)
    assert run_sql(filled, "SELECT count(*) FROM member") == [(2,)]


def test_a_folder_in_use_or_a_damaged_journal_refuses_and_leaves_the_member_whole(
    terminal: Terminal, filled: str
) -> None:
    FOLDER.mkdir()
    (FOLDER / "journal.jsonl").write_text("x\n")
    damaged = terminal("member", "erase", "m1", "--yes", url=filled)
    with files.locked(FOLDER, LOCK):
        served_ = terminal("member", "erase", "m1", "--yes", url=filled)

    assert (damaged[0], "retrobus purge d'abord" in damaged[2]) == (1, True)
    assert (served_[0], "arrêtez-le d'abord" in served_[2]) == (1, True)
    assert run_sql(filled, "SELECT count(*) FROM member WHERE id = 'm1'") == [(1,)]


def test_an_unknown_member_is_one_sentence(terminal: Terminal, filled: str) -> None:
    for command in (["export", "nobody"], ["erase", "nobody", "--yes"]):
        assert terminal("member", *command, url=filled) == (1, "", "❌ rien sur nobody\n")


@pytest.mark.parametrize("command", [["export", "m2"], ["erase", "m2", "--yes"]])
def test_a_word_that_names_two_members_touches_neither(terminal: Terminal, filled: str, command: list[str]) -> None:
    run_sql(filled, "INSERT INTO member (id, email, matricule) VALUES ('m3', 'm3@example.org', 'M2')")

    refused = terminal("member", *command, url=filled)

    words = "plusieurs membres portent ce nom : m2, m3 ; donnez ce qu'un seul porte"
    assert refused == (1, "", f"❌ {words}\n")
    assert run_sql(filled, "SELECT count(*) FROM member") == [(3,)]


def test_a_member_who_was_deleted_before_can_still_be_erased(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DELETE FROM member WHERE id = 'm1'")

    code, _, _ = terminal("member", "erase", "m1", "--yes", url=filled)

    assert code == 0
    assert run_sql(filled, "SELECT count(*) FROM deletion WHERE key = 'm1'") == [(0,)]


def test_a_mirror_elsewhere_forgets_an_erased_member_within_a_second(
    terminal: Terminal, database: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    settings = settings_for(database, enable_runtime_state_save=True, backups_dir=elsewhere, runtime_state_debounce=0)
    picture = elsewhere / "runtime-state.json"
    with served(settings, database) as api:
        manager = api.person("BUREAU")
        made = api.post("/api/members", json=a_member(), headers=manager.headers).json()
        until(lambda: picture.exists() and made["email"] in picture.read_text())
        terminal("member", "erase", made["id"], "--yes", url=database)

        until(lambda: made["email"] not in picture.read_text())
        assert manager.id in picture.read_text()


def test_no_restore_writes_the_id_of_an_erased_member_again(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DELETE FROM member WHERE id = 'm1'", *FILL.split(";\n")[:1])
    terminal("backup", "create", url=filled)
    terminal("member", "erase", "m1", "--yes", url=filled)
    [ours] = [path.name for path in FOLDER.glob("backup_*")]

    code, _, _ = terminal("restore", ours, "--replace", "--apply", "--yes", url=filled)

    left = everything(filled)
    assert code == 0
    assert run_sql(filled, "SELECT id, created_by FROM member") == [("m2", None)]
    assert [name for name in NAMES if name in left] == []


def test_kept_answers_about_others_neither_tell_nor_keep_the_creator(terminal: Terminal, filled: str) -> None:
    rows = """('m2', 'PUT', '/api/members/m1', 'k2', '', '{"id":"m1","createdBy":"m2"}', '', 'm1'),
    ('m3', 'PUT', '/api/members/m2', 'k', '', '{"id":"m2","createdBy":"m1","notes":"x"}', '', 'm2')"""
    run_sql(filled, f"INSERT INTO idempotency VALUES {rows}")

    _, said, _ = terminal("member", "export", "m1", url=filled)
    terminal("member", "erase", "m1", "--yes", url=filled)

    assert [told.get("answer") for told in json.loads(said)["answers"]] == [None, OWN, OWN]
    assert run_sql(filled, "SELECT answer FROM idempotency") == [('{"id":"m2","createdBy":null,"notes":"x"}',)]


def test_no_row_answer_conflict_or_file_names_an_erased_member_as_who_changed_it(
    terminal: Terminal, filled: str
) -> None:
    kept = """INSERT INTO conflict (journal, sequence, resource, key, operation, entry, reason) VALUES
    (gen_random_uuid(), 7, 'Vehicle', '921', 'update',
     '{"member": "m2", "resolvedBy": "m1", "row": {"parc": "921", "updated_by": "m1"},
      "image": {"parc": "921", "updated_by": "m1"}}', 'x')"""
    run_sql(
        filled,
        "SET retrobus.actor = 'm1'",
        "INSERT INTO vehicle (parc) VALUES ('930')",
        "INSERT INTO event (id, title, date) VALUES ('e', 'Fête', '2026-05-01')",
        "UPDATE member SET city = 'Lyon' WHERE id = 'm2'",
        kept,
        """INSERT INTO idempotency VALUES ('m2', 'PUT', '/api/vehicles/930', 'k9', '',
        '{"parc":"930","updatedBy":"m1","version":7}', '', '930')""",
    )
    stamps = "SELECT parc, updated_at FROM vehicle UNION SELECT id, updated_at FROM event ORDER BY 1"
    before = run_sql(filled, stamps)
    leave_files()
    bus = encode(VEHICLE, completed(VEHICLE, {"id": 4, "parc": "930", "version": 5, "updated_by": "m1"}))
    at = "2026-01-31T14:00:00.000Z"
    Journal(FOLDER / "journal.jsonl").append(Entry(4, at, "Vehicle", "930", "update", bus, None, "m2"))
    state = {"vehicles": [bus], "events": [], "members": [a_row("m2", updated_by="m1")]}
    about = {"format": FORMAT, "origin": "postgres", "asOf": None, "identity": None, "state": state}
    (FOLDER / "runtime-state.json").write_text(json.dumps(about))

    _, exported, _ = terminal("member", "export", "m1", url=filled)
    code, _, _ = terminal("member", "erase", "m1", "--yes", url=filled)

    left = everything(filled) + (FOLDER / "journal.jsonl").read_text() + (FOLDER / "runtime-state.json").read_text()
    assert (code, json.loads(exported)["changedRows"]) == (0, 3)
    assert '"m1"' not in left
    assert run_sql(filled, "SELECT updated_by FROM vehicle UNION ALL SELECT updated_by FROM event") == [
        (None,),
        (None,),
    ]
    assert run_sql(filled, stamps) == before, "no one changed these rows"
    assert '"updatedBy":null' in run_sql(filled, "SELECT wire_private FROM vehicle")[0][0]


def test_no_restore_names_an_erased_member_as_who_changed_a_row(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "SET retrobus.actor = 'm1'", "INSERT INTO vehicle (parc) VALUES ('930')")
    terminal("backup", "create", url=filled)
    terminal("member", "erase", "m1", "--yes", url=filled)
    run_sql(filled, "UPDATE vehicle SET etat = 'vendu'")
    [ours] = [path.name for path in FOLDER.glob("backup_*")]

    code, _, _ = terminal("restore", ours, "--replace", "--apply", "--yes", url=filled)

    assert code == 0
    assert run_sql(filled, "SELECT parc, etat, updated_by FROM vehicle") == [("930", "disponible", "restore")]


def test_a_backup_that_names_a_member_only_as_author_or_creator_is_named(terminal: Terminal, filled: str) -> None:
    run_sql(filled, "DELETE FROM member WHERE id = 'm1'")
    terminal("backup", "create", url=filled)
    run_sql(filled, "UPDATE member SET created_by = NULL", "UPDATE deletion SET actor = NULL, key = 'x'")
    terminal("backup", "create", url=filled)

    code, said, _ = terminal("member", "export", "m1", url=filled)

    [naming, silent] = sorted(path.name for path in FOLDER.glob("backup_*"))
    assert code == 0
    assert json.loads(said)["backups"] == [naming]
    assert silent not in said


def test_the_log_names_no_person_and_no_password(database: str, tmp_path: Path) -> None:
    values = a_member(email="sacha@example.org", address="1 rue du Dépôt", password="motdepasse-du-test")
    with process(database, tmp_path, LOG_LEVEL="debug") as (api, service):
        manager = api.person("ADMIN", email="alix@example.org")
        made = api.post("/api/members", json=values, headers=manager.headers)
        again = api.post("/api/members", json=values, headers=manager.headers)
        listed = api.get("/api/members?email=sacha@example.org", headers=manager.headers)
        refused = api.post("/auth/login", json={"email": "sacha@example.org", "password": "motdepasse-faux"})
        log = service.log

    assert (made.status_code, again.status_code, listed.status_code) == (201, 409, 200)
    assert refused.status_code in {401, 404}
    assert "/api/members" in log
    assert [word for word in ("sacha", "alix", "Dépôt", "motdepasse") if word in log] == []
