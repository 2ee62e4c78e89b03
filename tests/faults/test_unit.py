"""Facts about the systemd unit of deploy/: with its restrictions, backups, snapshot and journal find their place."""

import configparser
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from builders import a_vehicle
from harness import SECRET, Api, free_port, run_sql, until
from retrobus.development.embedded import EmbeddedPostgres

UNIT = Path(__file__).parents[2] / "deploy/retrobus.service"
README = Path(__file__).parents[2] / "README.md"
STATE = "/var/lib/retrobus"
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"),
]


def unit() -> dict[str, str]:
    """The settings of the section [Service]."""
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the way that the library documents
    parser.read(UNIT, encoding="utf-8")
    return dict(parser["Service"])


@contextmanager
def restricted(state: Path | None, folder: Path, environment: dict[str, str], *commands: str) -> Iterator[int]:
    """Runs commands of `retrobus` one after the other where all files but those of `state` are read-only."""
    program = f"{sys.executable} -c 'from retrobus.cli import main; main()'"
    kept = [] if state is None else [f"mount --bind {state} {state}"]
    steps = [*kept, "mount -o remount,bind,ro /", *(f"{program} {command}" for command in commands)]
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "; ".join(steps)]
    with (folder / "output.log").open("w") as output:
        pid = os.posix_spawn(
            shutil.which("unshare") or "",
            words,
            {"PATH": os.environ["PATH"], **environment},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)],
            setpgroup=0,
        )
        try:
            yield pid
        finally:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.killpg(pid, 9)
                os.waitpid(pid, 0)


def test_the_unit_gives_the_service_a_folder_of_its_own() -> None:
    found = unit()

    assert found["ProtectSystem"] == "strict"
    assert found["StateDirectory"] == STATE.rpartition("/")[2]
    assert found["ExecStart"] == "/opt/retrobus/current/bin/retrobus --env-file /etc/retrobus.env serve"
    assert (
        f"\nBACKUPS_DIR={STATE}/backups\n" in README.read_text(encoding="utf-8").partition("/etc/retrobus.env <<END")[2]
    )


def test_backups_and_toggles_work_with_the_unit_as_it_stands(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    state, url, port = tmp_path / "state", postgres.url(own_database), free_port()
    state.mkdir(mode=0o700)
    environment = {
        "BACKUPS_DIR": f"{state}/backups", "DATABASE_URL": url, "JWT_SECRET": SECRET, "PORT": str(port),
        "ENABLE_MEMORY_FALLBACK": "true", "ENABLE_RUNTIME_STATE_SAVE": "true",
    }  # fmt: skip

    with (
        restricted(state, tmp_path, environment, "backup create", "serve"),
        Api(f"http://127.0.0.1:{port}", url) as api,
    ):
        admin = api.person("ADMIN").headers
        until(lambda: is_ready(api), "a ready service")
        created = api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=admin)
        until(lambda: "920" in snapshot(state), "the snapshot")

    assert created.status_code == 201
    assert len(list((state / "backups").glob("backup_*/data.json"))) == 1


def is_ready(api: Api) -> bool:
    try:
        return api.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def snapshot(state: Path) -> str:
    path = state / "backups" / "runtime-state.json"
    return path.read_text() if path.exists() else ""


def refusal(log: Path) -> str | None:
    """The output up to the end of the line that says why a command ended; None while it is not there."""
    written = log.read_bytes()
    whole = written[: written.rfind(b"\n") + 1].decode()
    return whole if "❌" in whole else None


def test_without_its_folder_the_restrictions_are_told_as_what_they_are(
    postgres: EmbeddedPostgres, own_database: str, tmp_path: Path
) -> None:
    environment = {"BACKUPS_DIR": str(tmp_path / "state"), "DATABASE_URL": postgres.url(own_database)}

    with restricted(None, tmp_path, environment, "backup create"):
        said = until(lambda: refusal(tmp_path / "output.log"), "the refusal")

    assert "lecture seule" in said
    assert "PostgreSQL" not in said
    assert run_sql(postgres.url(own_database), "SELECT 1")[0][0] == 1
