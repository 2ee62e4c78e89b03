"""Starts that would promise what cannot be kept end with one sentence; the others say what they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders import a_vehicle
from faults.backup_folder import NAME, as_member, put_backup
from faults.outage import Outage, a_person, outage, outage_of_a_process
from faults.proxy import Proxy
from harness import LONGEST, SECRET, Person, Process, free_port, process, until
from retrobus.development.embedded import EmbeddedPostgres
from retrobus.fallback.opening import sole_use

pytestmark = pytest.mark.faults

NOWHERE = "postgresql://postgres@127.0.0.1:1/retrobus"


def ended(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the words of a service that must not start."""
    wanted = {"JWT_SECRET": SECRET, "DATABASE_URL": NOWHERE, "PORT": str(free_port()), "LOG_FORMAT": "json"}
    running = Process(["serve", *arguments], folder, wanted | environment)
    try:
        return running.wait(), running.log
    finally:
        running.popen.kill()


WITHOUT_THE_CHECK = """
import uvicorn
from retrobus.serving.server import PoliteServer
config = uvicorn.Config("retrobus.cli.worker:application", factory=True, port=0, log_level="warning")
PoliteServer(config).run()
"""


@pytest.fixture
def url(postgres: EmbeddedPostgres, own_database: str) -> str:
    return postgres.url(own_database)


@pytest.fixture
def who(url: str) -> Person:
    return a_person(url)


@pytest.fixture
def journal(line: Proxy, url: str, who: Person, tmp_path: Path) -> Path:
    """A journal with one entry in backups/, which a service left."""
    with outage(line, url, tmp_path / "backups", who, enable_runtime_state_save=True) as found:
        found.cut()
        found.done("POST", "vehicles", a_vehicle(parc="920"))
    return tmp_path / "backups" / "journal.jsonl"


@pytest.mark.parametrize("toggle", ["LOG_LEVEL", "ENABLE_MEMORY_FALLBACK", "LOAD_BACKUP_AT_BOOT"])
def test_a_journal_with_entries_is_never_ignored(journal: Path, tmp_path: Path, toggle: str) -> None:
    before = journal.read_bytes()

    code, words = ended(tmp_path, **{toggle: "info" if toggle == "LOG_LEVEL" else "true"})

    assert code == 78
    assert words == (
        "❌ backups/journal.jsonl contient 1 écriture acquittée : reprenez le journal avec « retrobus resync », "
        "ou mettez-le de côté avec « retrobus purge ».\n"
    )
    assert journal.read_bytes() == before


def test_a_journal_is_replayed_before_anything_is_served_though_the_fallback_is_off_now(
    journal: Path, line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    toggles = {"ENABLE_MEMORY_FALLBACK": "false", "ENABLE_RUNTIME_STATE_SAVE": "true"}
    with outage_of_a_process(line, url, tmp_path, who, **toggles) as (found, _):
        away, ready = found.send("GET", "vehicles"), found.api.get("/ready")
        found.heal()

        assert (ready.status_code, ready.json()["ready"], ready.json()["journal"]["entries"]) == (503, False, 1)
        assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
        assert [row["parc"] for row in found.send("GET", "vehicles").json()["vehicles"]] == ["920"]
    assert not journal.exists()


def test_a_schema_that_is_behind_is_not_hidden_by_the_mirror(fallback: Outage) -> None:
    assert fallback.ready()["ready"]

    fallback.api.sql("UPDATE alembic_version SET version_num = '0000'")

    until(lambda: fallback.api.get("/ready").status_code == 503, "/ready to tell of the schema")
    fallback.cut()
    assert fallback.ready()["ready"]


def test_one_folder_serves_one_process(line: Proxy, url: str, who: Person, tmp_path: Path) -> None:
    with outage(line, url, tmp_path / "backups", who):
        code, words = ended(tmp_path, ENABLE_RUNTIME_STATE_SAVE="true")

    assert (code, words) == (78, "❌ Un autre service utilise déjà backups : un seul à la fois.\n")


@pytest.mark.parametrize("toggle", ["ENABLE_MEMORY_FALLBACK", "LOAD_BACKUP_AT_BOOT", "ENABLE_RUNTIME_STATE_SAVE"])
def test_a_toggle_allows_one_worker_only(tmp_path: Path, toggle: str) -> None:
    code, words = ended(tmp_path, "--workers", "2", **{toggle: "true"})

    assert (code, words) == (78, "❌ Avec une des trois bascules, un seul processus : --workers 1.\n")


def test_a_folder_that_cannot_be_locked_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "backups" / "service.lock").mkdir(parents=True)

    code, words = ended(tmp_path, ENABLE_MEMORY_FALLBACK="true")

    assert code == 78
    assert words.startswith(
        f"❌ {tmp_path}/backups/service.lock : c'est un dossier, un fichier est attendu ; retirez-le"
    )
    assert words.count("\n") == 1


def test_production_is_warned_of_each_toggle(line: Proxy, url: str, who: Person, tmp_path: Path) -> None:
    toggles = {"LOAD_BACKUP_AT_BOOT": "true", "ENABLE_RUNTIME_STATE_SAVE": "true"}
    with outage_of_a_process(line, url, tmp_path, who, **toggles) as (found, running):
        ready = found.ready()

    lines = [json.loads(line) for line in running.log.splitlines()]
    warned = [line["event"] for line in lines if line["level"] == "warning"]
    names = ["LOAD_BACKUP_AT_BOOT", "ENABLE_MEMORY_FALLBACK", "ENABLE_RUNTIME_STATE_SAVE"]
    assert warned == [f"⚠️  {name}=true en production" for name in names]
    assert ready["toggles"] == dict.fromkeys(names, True)
    assert "📦 LOAD_BACKUP_AT_BOOT=true - PostgreSQL répond, aucun backup chargé" in running.log


def test_a_backup_that_could_be_loaded_for_nobody_is_warned_of(
    line: Proxy, url: str, who: Person, tmp_path: Path
) -> None:
    put_backup(tmp_path / "backups", Vehicle=[{"parc": "920"}], Event=[], members=[as_member(who.id)])
    line.become("refuse")
    toggles = {"LOAD_BACKUP_AT_BOOT": "true", "ENABLE_MEMORY_FALLBACK": "false"}
    with outage_of_a_process(line, url, tmp_path, who, **toggles) as (found, running):
        answer = found.send("GET", "vehicles")

    assert "LOAD_BACKUP_AT_BOOT=true sans ENABLE_MEMORY_FALLBACK" in running.log
    assert f"📦 Chargement du backup: {NAME}" in running.log
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "PostgreSQL indisponible et fallback mémoire désactivé",
    )


def test_a_developer_without_postgres_works_on_the_sample(tmp_path: Path) -> None:
    with process(None, tmp_path, APP_ENV="development", ENABLE_MEMORY_FALLBACK="true") as (api, running):
        vehicles = api.get("/public/vehicles")
        ready = api.get("/ready")

    assert (vehicles.status_code, vehicles.headers["X-Data-Origin"]) == (200, "sample")
    assert len(vehicles.json()) > 3
    assert (ready.status_code, ready.json()["mode"], ready.json()["database"]) == (200, "memory", "down")
    assert "Traceback" not in running.log


def test_a_start_that_is_refused_after_the_check_of_the_command_ends_with_the_same_sentence(tmp_path: Path) -> None:
    """Between the check and the start another service may take the folder."""
    environment = {"JWT_SECRET": SECRET, "DATABASE_URL": NOWHERE, "ENABLE_MEMORY_FALLBACK": "true"}

    with sole_use(tmp_path / "backups"):
        found = subprocess.run(
            [sys.executable, "-c", WITHOUT_THE_CHECK],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )

    told = [line for line in found.stderr.splitlines() if line.startswith(("❌", "ERROR", "Traceback"))]
    assert (found.returncode, told) == (78, ["❌ Un autre service utilise déjà backups : un seul à la fois."])
