"""`retrobus dev` as a volunteer meets it: an empty folder, one command, the lines that it prints, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import LONGEST, SECRET, TOKENS, Process, at, free_port, run_sql, until
from retrobus.development import sample

pytestmark = pytest.mark.faults

SLUG = "sortie-d-essai"
EVENT = {"id": SLUG, "title": "Sortie d'essai", "date": "2026-05-01"}
DEAD = "(son journal : .data/postgres/postgres.log) : Ctrl-C, puis make run"
ENDING = "🐘 PostgreSQL arrêté ; les données restent.\n"


@dataclass
class Run:
    """What one run of `retrobus dev` said and answered, and how it ended."""

    process: Process
    base: str
    answers: dict[str, Any] = field(default_factory=dict)
    code: int | None = None

    def printed(self, name: str) -> str:
        """The value of a printed `export NAME=…` line."""
        found = re.search(rf"^export {name}='?([^'\s]+)'?$", self.process.log, re.MULTILINE)
        assert found is not None, self.process.log
        return found[1]

    @property
    def login(self) -> dict[str, str]:
        """The printed e-mail and password."""
        found = re.search(r"^adresse +(\S+)\nmot de passe +(\S+)$", self.process.log, re.MULTILINE)
        assert found is not None, self.process.log
        return {"email": found[1], "password": found[2]}

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request with the printed token."""
        headers = {"Authorization": f"Bearer {self.printed('TOKEN')}"}
        return httpx.request(method, self.base + path, headers=headers, timeout=LONGEST, **more)

    def ctrl_c(self) -> None:
        """Ends it as a terminal does: every process of the group is told."""
        os.killpg(self.process.popen.pid, signal.SIGINT)
        self.code = self.process.wait()


@contextmanager
def development(folder: Path, *arguments: str, **environment: str) -> Iterator[Run]:
    """`retrobus dev` in this folder, from its first answer on; killed at the end if it still runs."""
    port = free_port()
    (folder / "output.log").unlink(missing_ok=True)
    reloads = "--no-reload" not in arguments  # its supervisor starts the program again from its command line
    running = Process(["dev", "--port", str(port), *arguments], folder, environment, fresh=reloads)
    try:
        until(lambda: running.popen.poll() is not None or _answers(port), "the first answer")
        assert running.popen.poll() is None, running.log
        yield Run(running, f"http://localhost:{port}")
    finally:
        running.popen.kill()
        running.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=LONGEST).status_code == 200
    except httpx.TransportError:
        return False


def left_in(folder: Path) -> list[str]:
    """The command lines of the processes that still work in this folder."""
    lines = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command, working = (place / "cmdline").read_bytes().decode(), str((place / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in command + working:
            lines.append(command.replace("\0", " "))
    return lines


def pasted(line: str, token: str) -> str:
    """What a printed curl line answers in another terminal."""
    environment = {"PATH": os.environ["PATH"], "TOKEN": token}
    command = ["bash", "-c", f"{line} --silent --show-error --fail"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def beside(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`retrobus token` in another terminal, in the folder of the service."""
    return in_another_terminal(folder, ["token", *arguments], environment)


def in_another_terminal(
    folder: Path, arguments: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """A command that has only these variables."""
    command = [str(Path(sys.executable).with_name("retrobus")), *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def me(run: Run, token: str) -> tuple[int, str]:
    """The status and the e-mail with which the service answers this token."""
    answer = httpx.get(f"{run.base}/api/me", headers={"Authorization": f"Bearer {token}"}, timeout=LONGEST)
    return answer.status_code, answer.json().get("user", {}).get("email", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def first(folder: Path) -> Run:
    """A first run: what the volunteer pastes, an event and a vehicle deleted, Ctrl-C."""
    with development(folder) as run:
        lines = re.findall(r"^curl .*$", run.process.log, re.MULTILINE)
        run.answers["token"] = run.printed("TOKEN")
        run.answers["pasted"] = [pasted(line, run.printed("TOKEN")) for line in lines]
        run.answers["by_sql"] = run_sql(run.printed("DATABASE_URL"), "SELECT count(*) FROM vehicle")[0][0]
        run.answers["printed"] = run.login
        run.answers["login"] = httpx.post(f"{run.base}/api/auth/login", json=run.login, timeout=LONGEST)
        run.answers["signed"] = [beside(folder, *more) for more in ([], ["--email", "inconnu@example.org"])]
        run.answers["signed_with_url"] = beside(folder, DATABASE_URL=run.printed("DATABASE_URL"))
        run.answers["signed_elsewhere"] = beside(folder, DATABASE_URL="postgresql://127.0.0.1:1/retrobus")
        run.answers["examined"] = in_another_terminal(folder, ["doctor"], {})
        run.answers["me"] = me(run, run.answers["signed"][0].stdout.strip())
        run.answers["created"] = run.request("POST", "/api/events", json=EVENT).status_code
        parc = sample.vehicles()[0]["parc"]
        paths = [f"/api/events/{SLUG}", f"/api/vehicles/{parc}"]
        run.answers["deleted"] = [run.request("DELETE", path).status_code for path in paths]
        run.answers["gone"] = [run.request("GET", path).status_code for path in paths]
        run.answers["paths"] = paths
        run.ctrl_c()
        until(lambda: left_in(folder) == [], "the end of every process")
    return run


@pytest.fixture(scope="module")
def second(folder: Path, first: Run) -> Run:
    """A second run in the same folder."""
    with development(folder) as run:
        run.answers["gone"] = [run.request("GET", path).status_code for path in first.answers["paths"]]
        lists = ("events", "vehicles", "members")
        run.answers["rows"] = [len(run.request("GET", f"/api/{name}").json()[name]) for name in lists]
        run.answers["old_token"] = me(run, first.answers["token"])[0]
        run.answers["printed"] = run.login
        run.answers["login"] = httpx.post(f"{run.base}/api/auth/login", json=run.login, timeout=LONGEST)
        run.process.popen.kill()
        run.process.wait()
    return run


def test_the_lines_that_it_prints_work_when_pasted(first: Run) -> None:
    assert [answer.split("[")[0] for answer in first.answers["pasted"]] == ['{"events":', '{"vehicles":', ""]
    assert first.answers["by_sql"] == len(sample.vehicles())


def test_it_prints_the_address_of_the_page_for_volunteers(first: Run) -> None:
    [address] = re.findall(r"^🧰 Studio, la page des bénévoles : (\S+)$", first.process.log, re.MULTILINE)

    assert address.endswith(f":{first.base.rpartition(':')[2]}/studio/")


def test_a_token_is_signed_beside_it_without_any_setting(first: Run) -> None:
    signed, unknown = first.answers["signed"]

    assert (signed.returncode, signed.stderr) == (0, "Jeton de admin@example.org, valable 12h :\n")
    assert first.answers["me"] == (200, "admin@example.org")
    assert (unknown.returncode, unknown.stderr) == (1, "❌ aucun compte actif avec cette adresse\n")


def test_doctor_finds_the_database_and_the_secret_of_the_running_service(first: Run) -> None:
    lines = first.answers["examined"].stdout.splitlines()

    assert first.answers["examined"].returncode == 0
    assert {"✅ JWT_SECRET : présent", "✅ DATABASE_URL : valide, PostgreSQL répond"} <= {*lines}


def test_a_token_is_signed_where_the_printed_address_was_pasted(first: Run) -> None:
    signed = first.answers["signed_with_url"]

    assert (signed.returncode, signed.stderr) == (0, "Jeton de admin@example.org, valable 12h :\n")


def test_no_token_of_the_development_secret_is_signed_for_another_database(first: Run) -> None:
    refused = first.answers["signed_elsewhere"]

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "il manque l'option --email" in refused.stderr


def test_no_token_is_signed_when_it_has_stopped(folder: Path, first: Run) -> None:
    assert first.code == 0

    assert beside(folder, "--email", "admin@example.org").returncode == 78


def test_a_password_that_was_changed_is_said_so_and_one_that_is_missing_is_given(tmp_path: Path) -> None:
    with development(tmp_path, "--no-reload") as run:
        body = {"currentPassword": run.login["password"], "newPassword": "un-autre-mot-de-passe"}
        changed = run.request("POST", "/api/auth/change-password", json=body).status_code
        run.ctrl_c()
    with development(tmp_path, "--no-reload") as run:
        said = run.process.log
        run_sql(run.printed("DATABASE_URL"), "UPDATE member SET password_hash = NULL WHERE role = 'ADMIN'")
        run.ctrl_c()
    with development(tmp_path, "--no-reload") as run:
        answer = httpx.post(f"{run.base}/api/auth/login", json=run.login, timeout=LONGEST)

    words = "pour en choisir un autre : retrobus member set-password admin@example.org\n"
    assert changed == 200
    assert f"Le mot de passe de admin@example.org a été changé depuis ; {words}" in said
    assert "mot de passe  " not in said
    assert answer.status_code == 200


def test_a_row_is_created_deleted_and_gone(first: Run) -> None:
    assert first.answers["created"] == 201
    assert first.answers["deleted"] == [200, 200]
    assert first.answers["gone"] == [404, 404]


def test_ctrl_c_ends_it_quietly_and_leaves_no_process(first: Run) -> None:
    assert first.code == 0
    assert first.process.log.endswith(ENDING)
    assert DEAD not in first.process.log
    assert "Traceback" not in first.process.log


def test_what_was_deleted_is_still_gone_after_a_second_start(second: Run) -> None:
    assert second.answers["gone"] == [404, 404]


def test_the_printed_password_logs_in_at_the_first_and_the_second_start(first: Run, second: Run) -> None:
    answers = [first.answers["login"], second.answers["login"]]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["user"]["role"] for answer in answers} == {"ADMIN"}
    assert first.answers["printed"] == second.answers["printed"]


def test_the_sample_is_loaded_once(second: Run) -> None:
    events, vehicles, members = sample.events(), sample.vehicles(), sample.members()

    assert second.answers["rows"] == [len(events), len(vehicles) - 1, len(members) + 1]


def test_a_token_of_the_first_run_is_good_in_the_second(second: Run) -> None:
    assert second.answers["old_token"] == 200


def test_a_kill_9_leaves_no_process_either(folder: Path, second: Run) -> None:
    assert second.process.popen.returncode == -signal.SIGKILL

    until(lambda: left_in(folder) == [], "the end of Postgres and of the service")


def test_the_secrets_of_a_checkout_are_its_owner_s_alone(folder: Path, first: Run) -> None:
    secret, password = folder / ".data/jwt-secret", folder / ".data/admin-password"

    assert first.code == 0
    assert len(secret.read_text()) >= 32
    assert password.read_text() == first.answers["printed"]["password"]
    assert [path.stat().st_mode & 0o777 for path in (secret, password)] == [0o600, 0o600]


def test_a_given_database_is_used_as_it_is(server: str, tmp_path: Path) -> None:
    name = f"retrobus_dev_{os.urandom(5).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    url = at(server, name)

    with development(tmp_path, "--no-reload", DATABASE_URL=url) as run:
        answer = run.request("GET", "/api/vehicles")
        said = run.process.log
        run.ctrl_c()

    assert len(answer.json()["vehicles"]) == len(sample.vehicles())
    assert "DATABASE_URL" not in said.replace("DATABASE_URL valide", "")
    assert run.code == 0
    assert not (tmp_path / ".data/postgres").exists()
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("rows", "cure"),
    [
        ("INSERT INTO vehicle (parc) VALUES ('920'); DELETE FROM vehicle", "create-admin --email admin@example.org"),
        (
            "INSERT INTO member (id, email, status) VALUES ('a', 'admin@example.org', 'disabled')",
            "enable admin@example.org",
        ),
    ],
)
def test_a_database_that_already_holds_rows_is_left_alone(database: str, tmp_path: Path, rows: str, cure: str) -> None:
    run_sql(database, *rows.split("; "))
    before = run_sql(database, "SELECT id, password_hash, version FROM member")

    with development(tmp_path, "--no-reload", DATABASE_URL=database) as run:
        said = run.process.log

    assert run_sql(database, "SELECT id, password_hash, version FROM member") == before
    assert "export TOKEN" not in said
    assert "mot de passe" not in said
    assert f"admin@example.org n'est plus un compte actif : retrobus member {cure}, puis retrobus token\n" in said


def test_a_taken_port_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running = Process(["dev", "--port", str(port)], tmp_path, {}, fresh=True)
        code = running.wait()

    assert code == 1
    sentence = "est déjà pris : arrêtez l'autre programme, ou changez PORT (ou --port)."
    assert running.log == f"❌ Le port {port} de 127.0.0.1 {sentence}\n"
    assert not (tmp_path / ".data").exists()


def test_a_database_that_dies_is_told_with_what_to_do(tmp_path: Path) -> None:
    with development(tmp_path, "--no-reload") as run:
        postmaster = int((tmp_path / ".data/postgres/cluster/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        until(lambda: DEAD in run.process.log, "the line about the death")
        run.ctrl_c()

    assert run.code == 0
    assert run.process.log.count(DEAD) == 1


def test_the_printed_lines_make_the_command_found(tmp_path: Path) -> None:
    plain = "/usr/local/bin:/usr/bin:/bin"
    with development(tmp_path, "--no-reload", PATH=plain) as run:
        lines = re.findall(r"^export .*$", run.process.log, re.MULTILINE)
        command = ["bash", "-c", "\n".join([*lines, "retrobus db show vehicle"])]
        done = subprocess.run(command, env={"PATH": plain}, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vehicle : ")


def test_the_address_of_a_former_run_that_was_pasted_does_not_stop_the_next_one(tmp_path: Path) -> None:
    with development(tmp_path, "--no-reload") as run:
        pasted_url = run.printed("DATABASE_URL")
        run.ctrl_c()

    with development(tmp_path, "--no-reload", DATABASE_URL=pasted_url) as run:
        vehicles = run.request("GET", "/api/vehicles")
        said = run.process.log

    assert vehicles.status_code == 200
    assert "ℹ️  DATABASE_URL est celle d'un « make run » précédent : elle est ignorée.\n" in said


def test_it_refuses_to_run_in_production(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_ENV=production\n")

    running = Process(["dev"], tmp_path, {}, fresh=True)

    assert running.wait() == 78
    assert running.log.startswith("❌ APP_ENV=production : retrobus dev est pour le développement")


def test_a_secret_in_an_env_file_is_the_one_that_signs(database: str, tmp_path: Path) -> None:
    run_sql(
        database,
        """INSERT INTO member (id, email, role, status) VALUES ('a', 'admin@example.org', 'ADMIN', 'active')""",
    )
    (tmp_path / ".env").write_text(f"JWT_SECRET={SECRET}\nDATABASE_URL='{database}'\n")

    with development(tmp_path, "--no-reload") as run:
        token, said = run.printed("TOKEN"), run.process.log

    assert TOKENS.verify(token).id == "a"
    assert "admin@example.org n'a pas de mot de passe : retrobus member set-password admin@example.org\n" in said
    assert run_sql(database, "SELECT password_hash FROM member") == [(None,)]
    assert not (tmp_path / ".data").exists()
