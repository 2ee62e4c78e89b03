"""The release: what the wheel contains and that it is always the same; what the Dockerfile and Compose promise."""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs are installed for one file

import retrobus
from dockerfile import options, stages
from retrobus.cli.serving import _configured
from retrobus.database import migrate
from retrobus.settings import Settings

ROOT = Path(__file__).parents[1]
HADOLINT = Path(sys.executable).parent / "hadolint"
EPOCH = "1577836800"
BUILD, IMAGE = stages()


def built(source: Path, folder: Path, umask: int) -> dict[str, str]:
    """Builds the release as `make dist` does; the checksum of each file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=source, umask=umask, check=True, capture_output=True, env={"SOURCE_DATE_EPOCH": EPOCH},
    )  # fmt: skip
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def copied(folder: Path) -> Path:
    """The committed and new files of this tree, in another folder."""
    words = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """A folder with a release, its checksums, and those of a release that was built elsewhere by a careful user."""
    first, second = (copied(tmp_path_factory.mktemp(name)) for name in ("source", "elsewhere"))
    folder = tmp_path_factory.mktemp("dist")
    return folder, built(first, folder, 0o022), built(second, tmp_path_factory.mktemp("dist"), 0o077)


def test_the_same_files_make_the_same_release(releases: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    _, here, elsewhere = releases

    assert [*here] == [
        f"retrobus-{retrobus.__version__}-py3-none-any.whl",
        f"retrobus-{retrobus.__version__}.tar.gz",
    ]
    assert here == elsewhere


def test_the_wheel_contains_every_migration_and_no_test(releases: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    folder, (wheel, _), _ = releases[0], releases[1], releases[2]

    with ZipFile(folder / wheel) as archive:
        names = set(archive.namelist())

    assert {f"retrobus/migrations/versions/{Path(s.path).name}" for s in migrate.scripts().walk_revisions()} <= names
    assert {"retrobus/migrations/env.py", "retrobus/sample.json"} <= names
    assert {f"retrobus/studio/{path.name}" for path in (ROOT / "src/retrobus/studio").glob("*.*")} <= names
    assert {name.split("/")[0] for name in names} == {"retrobus", f"retrobus-{retrobus.__version__}.dist-info"}


def test_the_source_archive_can_be_deployed_and_tested(releases: tuple[Path, dict[str, str], dict[str, str]]) -> None:
    folder, (_, sources), _ = releases[0], releases[1], releases[2]

    with tarfile.open(folder / sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"alembic.ini", "Makefile", "Dockerfile", "deploy/retrobus.service", "tests/conftest.py"} <= names
    assert [name for name in names if name.startswith((".venv", ".data", "secrets"))] == []


def test_the_version_is_the_same_everywhere() -> None:
    version, changelog = retrobus.__version__, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    images = {service["image"] for service in compose()["services"].values() if "build" in service}

    assert f"\n## [{version}]" in changelog
    assert images == {f"retrobus:{version}"}
    assert f"retrobus:{version} " in (ROOT / "docs/platforms.md").read_text(encoding="utf-8")


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.skipif(not HADOLINT.exists(), reason="no hadolint for this platform")
def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    done = subprocess.run([str(HADOLINT), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_user_with_a_number_and_holds_no_build_tool() -> None:
    [user] = IMAGE.all("USER")
    copies = [options(text) for text in IMAGE.all("COPY")]
    last_run = max(place for place, (name, _) in enumerate(IMAGE.steps) if name == "RUN")

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert IMAGE.steps.index(("USER", user)) > last_run
    assert copies == [({"from": "build"}, ["/opt/retrobus", "/opt/retrobus"])]
    assert not any("pip" in text for text in IMAGE.all("RUN"))


def test_what_the_image_installs_has_a_hash() -> None:
    installs = [part for text in BUILD.all("RUN") for part in text.split("&&") if "pip install" in part]

    assert len(installs) == 3
    assert all("--require-hashes" in part or ("--no-index" in part and "--no-deps" in part) for part in installs)


def test_the_build_sees_only_the_files_that_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied_files = {word for text in BUILD.all("COPY") for word in options(text)[1][:-1]}

    assert ignored[ignored.index("*") + 1].startswith("!")
    assert allowed == copied_files
    assert all((ROOT / name).exists() for name in allowed)


def test_the_health_check_asks_ready_at_the_port_of_the_service() -> None:
    command = " ".join(IMAGE.words("HEALTHCHECK"))

    assert "'/ready'" in command
    assert "os.environ.get('PORT', '3001')" in command
    assert IMAGE.all("EXPOSE") == [str(Settings.model_fields["port"].default)]


def test_every_container_of_ours_is_read_only_and_without_rights() -> None:
    services = compose()["services"]
    ours = {name: service for name, service in services.items() if "build" in service}

    assert [*ours] == ["upgrade", "grant", "api"]
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_service_starts_after_the_migration_and_does_not_know_the_owner() -> None:
    services = compose()["services"]
    finished = {"condition": "service_completed_successfully"}

    assert services["grant"]["depends_on"] == {"upgrade": finished}
    assert services["api"]["depends_on"] == {"grant": finished}
    assert services["upgrade"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["api"]["secrets"] == ["retrobus.env"]
    assert services["upgrade"]["secrets"] == services["grant"]["secrets"] == ["owner.env"]


def test_the_service_in_compose_keeps_its_backups_and_knows_its_proxy() -> None:
    document = compose()
    api, [network] = document["services"]["api"], document["networks"]["default"]["ipam"]["config"]
    longest = _configured(Settings(_env_file=None)).timeout_graceful_shutdown

    assert api["volumes"] == [f"backups:{IMAGE.environment['BACKUPS_DIR']}"]
    assert IMAGE.all("VOLUME") == [IMAGE.environment["BACKUPS_DIR"]]
    assert api["environment"]["FORWARDED_ALLOW_IPS"] == network["gateway"]
    assert longest is not None
    assert int(api["stop_grace_period"].removesuffix("s")) > longest


def test_the_secrets_of_compose_are_made_by_the_page_and_never_committed() -> None:
    page = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
    files = {secret["file"].removeprefix("./") for secret in compose()["secrets"].values()}

    assert [name for name in files if f"> {name}" not in page] == []
    assert "/secrets/\n" in (ROOT / ".gitignore").read_text(encoding="utf-8")
