"""The program `retrobus`, run as operators run it: what each command says, does and ends with."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Protocol
from unicodedata import normalize

import pytest

from harness import SECRET, TOKENS, Api, Process, at, free_port, process, run_sql, until
from retrobus import __version__
from retrobus.cli import main
from retrobus.database import migrate

Ended = tuple[int, str, str]

COMMANDS = [
    [], ["dev"], ["serve"], ["token"], ["export"], ["db"], ["db", "upgrade"], ["db", "current"], ["db", "history"],
    ["member"], ["member", "create-admin"], ["member", "list"], ["member", "export"], ["member", "erase"],
    ["member", "set-password"], ["member", "disable"], ["member", "enable"], ["member", "set-role"],
    ["db", "show"], ["db", "clean"], ["db", "reset"], ["purge"], ["verify"], ["doctor"], ["resync"], ["restore"],
    ["backup"], ["backup", "create"], ["backup", "list"], ["backup", "show"], ["backup", "verify"],
    ["backup", "select"], ["backup", "deselect"], ["backup", "archive"],
]  # fmt: skip
PASSWORD = "un-mot-de-passe-exemple"
CREATE = ["member", "create-admin", "--email", "alix@example.org", "--password-stdin"]
NOBODY_LISTENS = "aucun serveur n'écoute à cette adresse (ConnectionRefusedError)"
CHECK = "Vérifiez DATABASE_URL et le serveur."
NOWHERE = "postgresql://127.0.0.1:1/retrobus"


class Retrobus(Protocol):
    def __call__(self, *arguments: str, url: str | None = None, given: str = "", **environment: str) -> Ended:
        """Runs a command to its end."""


@pytest.fixture
def retrobus(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Retrobus:
    """Runs the program in this process; gives its exit code, output and error output."""

    def run(*arguments: str, url: str | None = None, given: str = "", **environment: str) -> Ended:
        with monkeypatch.context() as patch:
            for name, value in (environment | ({"DATABASE_URL": url} if url else {})).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["retrobus", *arguments])
            patch.setattr(sys, "stdin", StringIO(given))
            capfd.readouterr()  # what a service in this process said before is no word of the command
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def new_database(server: str) -> Iterator[str]:
    """URL of a database that is empty."""
    name = f"retrobus_cli_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    yield at(server, name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def port_of_another() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def admins(url: str) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in run_sql(url, "SELECT email, role, status FROM member ORDER BY email")]


def test_every_command_has_help_in_french(retrobus: Retrobus) -> None:
    ended = [retrobus(*command, "--help") for command in COMMANDS]

    assert [code for code, _, _ in ended] == [0] * len(COMMANDS)
    assert all(any(letter in said for letter in "éèàê") for _, said, _ in ended), ended


def test_the_program_tells_its_version_as_a_process_too(tmp_path: Path) -> None:
    running = Process(["--version"], tmp_path, {}, fresh=True)

    assert running.wait() == 0
    assert running.log == f"{__version__}\n"


def test_a_command_that_does_not_exist_is_refused(retrobus: Retrobus) -> None:
    code, _, said = retrobus("nettoyer")

    assert code == 2
    assert "nettoyer" in said


def test_the_schema_is_brought_up_to_date_and_shown(retrobus: Retrobus, new_database: str) -> None:
    before = retrobus("db", "current", url=new_database)
    upgrade = retrobus("db", "upgrade", url=new_database)
    after = retrobus("db", "current", url=new_database)

    head = migrate.head()
    todo = f"Révision de la base : aucune (attendue : {head})\nMettre à jour : retrobus db upgrade\n"
    assert before == (0, todo, "")
    assert upgrade == (0, f"✅ Schéma à la révision {head}\n", "")
    assert after == (0, f"Révision de la base : {head} (attendue : {head})\n", "")


def test_history_lists_every_revision_newest_first_without_a_database(retrobus: Retrobus) -> None:
    code, said, _ = retrobus("db", "history")

    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == [revision for revision, _ in migrate.history()]
    assert said.startswith(migrate.head())


def test_a_revision_that_does_not_exist_is_one_sentence(retrobus: Retrobus, database: str) -> None:
    code, _, said = retrobus("db", "upgrade", "nulle-part", url=database)

    assert code == 1
    assert said.startswith("❌ Migration impossible : ")
    assert "nulle-part" in said


@pytest.mark.parametrize("command", [["db", "upgrade"], ["db", "current"], CREATE, ["token", "--email", "a@b.fr"]])
def test_without_a_database_each_command_says_so_and_ends_with_78(retrobus: Retrobus, command: list[str]) -> None:
    code, _, said = retrobus(*command, given=PASSWORD, JWT_SECRET=SECRET)

    assert (code, said) == (78, "❌ DATABASE_URL manque : indiquez la base (voir .env.example).\n")


@pytest.mark.parametrize("command", [["db", "upgrade"], CREATE])
def test_a_postgres_that_does_not_answer_is_one_sentence(retrobus: Retrobus, command: list[str]) -> None:
    code, _, said = retrobus(*command, given=PASSWORD, url=NOWHERE)

    assert (code, said) == (1, f"❌ Pas de connexion à PostgreSQL : {NOBODY_LISTENS}. {CHECK}\n")


def test_a_schema_that_is_not_there_is_one_sentence(retrobus: Retrobus, new_database: str) -> None:
    code, _, said = retrobus(*CREATE, given=PASSWORD, url=new_database)

    assert (code, said) == (1, "❌ Le schéma manque : retrobus db upgrade\n")


def test_a_database_that_does_not_exist_is_one_sentence(retrobus: Retrobus, database: str) -> None:
    code, _, said = retrobus("db", "current", url=database.replace("retrobus_test_", "absent_"))

    assert (code, said) == (1, "❌ La base nommée par DATABASE_URL n'existe pas.\n")


def test_an_admin_made_by_the_command_can_log_in_however_the_password_is_composed(
    retrobus: Retrobus,
    api: Api,
) -> None:
    password = "été-à-la-plage"

    created = retrobus(*CREATE, given=normalize("NFD", password) + "\n", url=api.database_url)
    login = {"email": "ALIX@example.org", "password": normalize("NFC", password)}
    answers = [
        api.post("/api/auth/login", json=login | {"password": normalize(form, password)}) for form in ("NFC", "NFD")
    ]

    assert created == (0, "✅ Administrateur créé : alix@example.org\n", "")
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["user"]["role"] == "ADMIN"


def test_a_second_account_with_the_same_address_is_refused(retrobus: Retrobus, database: str) -> None:
    retrobus(*CREATE, given=PASSWORD, url=database)

    again = retrobus(
        "member", "create-admin", "--email", "Alix@Example.org", "--password-stdin", given=PASSWORD, url=database
    )

    sentence = "❌ un membre a déjà cette adresse : retrobus member set-role Alix@Example.org ADMIN\n"
    assert again == (1, "", sentence)
    assert admins(database) == [("alix@example.org", "ADMIN", "active")]


@pytest.mark.parametrize("email", ["alix", "alix@", "a b@example.org", "alix@example", f"{'a' * 200}@example.org", ""])
def test_a_text_that_is_no_address_is_refused_before_the_password_is_asked(retrobus: Retrobus, email: str) -> None:
    ended = retrobus("member", "create-admin", "--email", email, "--password-stdin", url=NOWHERE)

    assert ended == (1, "", "❌ adresse attendue : nom@domaine.fr\n")


@pytest.mark.parametrize("password", ["", "court", "x" * 201, "avec\x00zéro-au-milieu"])
def test_a_password_that_the_api_would_refuse_is_refused(retrobus: Retrobus, password: str) -> None:
    ended = retrobus(*CREATE, given=f"{password}\n", url=NOWHERE)

    assert ended == (1, "", "❌ mot de passe de 10 à 200 caractères attendu\n")


def test_the_token_is_alone_on_the_last_line_and_opens_the_api(retrobus: Retrobus, api: Api) -> None:
    retrobus(*CREATE, given=PASSWORD, url=api.database_url)

    code, said, aside = retrobus(
        "token", "--email", "ALIX@example.org", "--ttl", "30m", url=api.database_url, JWT_SECRET=SECRET
    )

    token = said.removesuffix("\n")
    answer = api.get("/api/me", headers={"Authorization": f"Bearer {token}"})
    assert (code, said.count("\n")) == (0, 1)
    assert aside == "Jeton de alix@example.org, valable 30m :\n"
    assert TOKENS.verify(token).role == "ADMIN"
    assert (answer.status_code, answer.json()["user"]["email"]) == (200, "alix@example.org")


@pytest.mark.parametrize("ttl", ["0h", "25h", "1441m", "86401s", "12", "-1h", "1d", "1,5h", "\uff11h", ""])
def test_a_token_lives_at_most_a_day(retrobus: Retrobus, ttl: str) -> None:
    ended = retrobus("token", "--email", "alix@example.org", f"--ttl={ttl}", url=NOWHERE, JWT_SECRET=SECRET)

    assert ended == (1, "", "❌ durée attendue comme 30m ou 12h, au plus 24h\n")


def test_no_token_is_signed_for_an_account_that_is_unknown_or_closed(retrobus: Retrobus, database: str) -> None:
    run_sql(database, "INSERT INTO member (id, email, status) VALUES ('c', 'ferme@example.org', 'disabled')")

    ended = [
        retrobus("token", "--email", email, url=database, JWT_SECRET=SECRET)
        for email in ("inconnu@example.org", "ferme@example.org")
    ]

    assert ended == [(1, "", "❌ aucun compte actif avec cette adresse\n")] * 2


def test_no_token_is_signed_without_the_service_s_secret(retrobus: Retrobus, database: str) -> None:
    code, said, aside = retrobus("token", "--email", "alix@example.org", url=database)

    assert (code, said) == (78, "")
    assert aside == "❌ JWT_SECRET manque : le même que celui du service (voir .env.example).\n"


def test_the_service_does_not_start_without_its_secret_or_its_database(retrobus: Retrobus) -> None:
    assert retrobus("serve", url=NOWHERE) == (
        78,
        "",
        "❌ JWT_SECRET manque : donnez-lui la sortie de « openssl rand -base64 48 ».\n",
    )
    assert retrobus("serve", JWT_SECRET=SECRET)[0] == 78
    assert "DATABASE_URL manque" in retrobus("serve", JWT_SECRET=SECRET)[2]


def test_a_taken_port_is_one_sentence(retrobus: Retrobus, port_of_another: int) -> None:
    ended = retrobus("serve", "--port", str(port_of_another), url=NOWHERE, JWT_SECRET=SECRET)

    sentence = "est déjà pris : arrêtez l'autre programme, ou changez PORT (ou --port)."
    assert ended == (1, "", f"❌ Le port {port_of_another} de 127.0.0.1 {sentence}\n")


def test_an_address_of_another_machine_is_one_sentence(retrobus: Retrobus) -> None:
    ended = retrobus("serve", url=NOWHERE, JWT_SECRET=SECRET, HOST="192.0.2.1")

    assert ended == (1, "", "❌ 192.0.2.1 n'est pas une adresse de cette machine : changez HOST.\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_service_answers_and_ends_quietly(number: signal.Signals, code: int, database: str, tmp_path: Path) -> None:
    with process(database, tmp_path) as (api, running):
        answer = api.get("/public/vehicles")
        running.popen.send_signal(number)
        ended = running.wait()

    assert (answer.status_code, answer.json()) == (200, [])
    assert ended == code
    assert "Traceback" not in running.log


def test_a_visitor_behind_the_proxy_of_this_machine_needs_the_metrics_token(database: str, tmp_path: Path) -> None:
    token = "un-jeton-de-mesure"
    visitor = {"X-Forwarded-For": "203.0.113.7"}

    with process(database, tmp_path, METRICS_TOKEN=token) as (api, _):
        seen = [
            api.get("/metrics").status_code,
            api.get("/metrics", headers=visitor).status_code,
            api.get("/metrics", headers=visitor | {"Authorization": f"Bearer {token}"}).status_code,
        ]

    assert seen == [200, 403, 200]


def test_the_service_starts_while_postgres_is_away_and_says_so(tmp_path: Path) -> None:
    with process(NOWHERE, tmp_path) as (api, running):
        answer = api.get("/public/vehicles")

    assert answer.status_code == 503
    assert answer.json()["error"] == "PostgreSQL indisponible et fallback mémoire désactivé"
    assert "PostgreSQL indisponible et fallback mémoire désactivé" in running.log


def test_several_processes_serve_one_address_and_none_outlives_a_killed_supervisor(
    database: str, tmp_path: Path
) -> None:
    with process(database, tmp_path, "--workers", "2") as (api, running):
        until(lambda: running.log.count("RétroBus API démarrée") == 2, "both processes")
        answer = api.get("/public/vehicles")

    assert answer.status_code == 200
    until(lambda: _refuses(api.base_url.port), "the end of the processes that the killed one supervised")


def _refuses(port: int | None) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_several_processes_end_quietly_on_ctrl_c(database: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": database, "JWT_SECRET": SECRET, "PORT": str(free_port())}
    running = Process(["serve", "--workers", "2"], tmp_path, environment, fresh=True)
    try:
        until(lambda: running.log.count("RétroBus API démarrée") == 2, "both processes")
        running.popen.send_signal(signal.SIGINT)
        code = running.wait()
    finally:
        running.popen.kill()
        running.wait()

    assert code == 0
    assert "Traceback" not in running.log


def test_several_processes_with_a_toggle_are_refused(retrobus: Retrobus, tmp_path: Path) -> None:
    ended = retrobus(
        "serve", "--workers", "2", url=NOWHERE, JWT_SECRET=SECRET,
        ENABLE_MEMORY_FALLBACK="true", BACKUPS_DIR=str(tmp_path / "backups"),
    )  # fmt: skip

    assert ended == (78, "", "❌ Avec une des trois bascules, un seul processus : --workers 1.\n")
