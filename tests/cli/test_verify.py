"""Facts about `retrobus verify`: it sees what clients see, says what is wrong, and leaves nothing behind."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Api, Person, Process, run_sql, served, settings_for, until
from locks import held

LEFT = "SELECT id FROM event WHERE id LIKE 'verification-%'"
NOWHERE = "http://127.0.0.1:1"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(terminal: Run) -> Run:
    """Runs `retrobus verify`."""
    return lambda *arguments: terminal("verify", *arguments)


def at(api: Api) -> str:
    return str(api.base_url)


def test_a_sound_service_passes_every_check_and_keeps_no_event(run: Run, api: Api, manager: Person) -> None:
    code, said, _ = run("--base-url", at(api), "--token", manager.token)

    assert code == 0, said
    assert {line[0] for line in said.splitlines()} == {"✅"}
    assert len(said.splitlines()) == 14
    assert api.sql(LEFT) == []


def test_the_token_may_come_from_the_environment_so_that_no_process_list_shows_it(
    run: Run, api: Api, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", manager.token)

    code, said, _ = run("--base-url", at(api), "--json")

    assert code == 0
    assert json.loads(said)["ok"] is True
    assert {check["ok"] for check in json.loads(said)["checks"]} == {True}


def test_a_member_who_may_not_write_fails_with_the_reason(run: Run, api: Api, member: Person) -> None:
    code, said, _ = run("--base-url", at(api), "--token", member.token)

    assert code == 1
    assert "❌ un événement est créé : statut 403 au lieu de 201 : Réservé au bureau" in said
    assert api.sql(LEFT) == []


def test_a_service_that_is_not_there_is_told_once(run: Run) -> None:
    code, said, _ = run("--base-url", NOWHERE, "--token", "x")

    assert code == 1
    assert said == ("❌ aucun service ne répond : http://127.0.0.1:1, aucun serveur n'écoute à cette adresse\n")


def test_without_an_address_the_service_of_the_settings_is_asked(
    run: Run, api: Api, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104 - as a service that listens everywhere
    monkeypatch.setenv("PORT", str(api.base_url.port))

    code, said, _ = run("--token", manager.token)

    assert code == 0, said


def test_without_any_setting_the_usual_address_is_asked(run: Run) -> None:
    _, said, _ = run("--token", "x", "--json")

    assert json.loads(said)["address"] == "http://127.0.0.1:3001"


def test_an_operator_does_not_see_the_deletion_of_a_verification_among_those_of_people(
    run: Run, terminal: Run, api: Api, manager: Person
) -> None:
    api.sql("INSERT INTO event (id, title, date) VALUES ('fete', 'x', '2026-06-01')", "DELETE FROM event")
    run("--base-url", at(api), "--token", manager.token)

    _, said, _ = terminal("db", "show", "event", url=api.database_url)
    _, document, _ = terminal("db", "show", "event", "--json", url=api.database_url)

    assert "verification-" not in said
    assert said.endswith("Et 1 événement d'essai créé puis supprimé par retrobus verify\n")
    assert [row["key"] for row in json.loads(document)["deletions"]] == ["fete"]
    assert len(api.sql("SELECT FROM deletion")) == 2


@pytest.mark.parametrize("address", ["localhost:3001", "ftp://localhost", "http://"])
def test_a_text_that_is_no_address_is_one_sentence(run: Run, address: str) -> None:
    ended = run("--base-url", address, "--token", "x")

    assert ended == (1, "", "❌ --base-url : http(s)://hôte[:port] attendu\n")


def test_answers_from_memory_fail_and_nothing_stays_in_the_journal_for_postgres(
    run: Run, database: str, tmp_path: Path
) -> None:
    settings = settings_for(
        "postgresql://127.0.0.1:1/x", app_env="development", enable_memory_fallback=True, backups_dir=tmp_path
    )
    with served(settings, database) as api:
        manager = api.person("BUREAU")
        code, said, _ = run("--base-url", at(api), "--token", manager.token)

    assert code == 1
    assert "❌ le service est prêt (/ready) : la base est absente : le service répond depuis la mémoire" in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_verification_that_is_interrupted_still_deletes_its_event(
    database: str, tmp_path: Path, how: signal.Signals
) -> None:
    run_sql(
        database,
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN OLD; END$$",
        "CREATE TRIGGER a_wait BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION wait()",
    )
    with served(settings_for(database), database) as api, held(database, "SELECT pg_advisory_xact_lock(7)") as lock:
        token = api.person("BUREAU").token
        running = Process(["verify", "--base-url", at(api)], tmp_path, {"TOKEN": token})
        until(lambda: lock.waiting() == 1, "the deletion")
        running.popen.send_signal(how)
        lock.release()
        code = running.wait()

        assert code != 0
        until(lambda: run_sql(database, LEFT) == [])
