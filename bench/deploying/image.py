"""The part "image": builds the Dockerfile's stages without a container engine, and runs what compose.yaml runs.

Each RUN is run in a Debian 12 that has what the base image has (Python and pip), each COPY copies the files that
.dockerignore lets through. The finished tree is mounted read-only and its programs run as the image's user, with the
secrets that docs/platforms.md makes, against a PostgreSQL of this trial.
"""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deploying.machine import Failed, new_debian
from deploying.pages import ROOT

sys.path[:0] = [str(ROOT / "tests/support")]

import yaml

from dockerfile import Stage, options, stages
from harness import at, free_port, run_sql, until
from retrobus.development.embedded import embedded_postgres

SECRETS = re.compile(r"^```sh\n(mkdir -p -m 700 secrets\n.*?)^```$", re.DOTALL | re.MULTILINE)
TEMPORARY = "/tmp"  # noqa: S108 - the container's own
POLITE = "Arrêt demandé"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image:
    """A built image: a folder, and how its programs run; `transcript` has every command and its output."""

    def __init__(self, root: Path, stage: Stage, transcript: list[str]) -> None:
        self.root = root
        self.stage = stage
        self.transcript = transcript
        self._volume = root.parent / "volume"
        shutil.copytree(f"{root}{stage.all('VOLUME')[0]}", self._volume)
        shutil.copystat(f"{root}{stage.all('VOLUME')[0]}", self._volume)
        user, group = map(int, stage.all("USER")[0].split(":"))
        shutil.chown(self._volume, user, group)

    def popen(self, words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        """A program of the image as its user, who can write to the volume and the folder for temporary files alone."""
        mounts = [
            f"mount --bind {self.root} {self.root}",
            f"mount -o remount,bind,ro {self.root}",
            f"mount --bind {self._volume} {self.root}{self.stage.all('VOLUME')[0]}",
            f"mount -t tmpfs tmpfs {self.root}{TEMPORARY}",
            f'exec setpriv --no-new-privs chroot --userspec={self.stage.all("USER")[0]} {self.root} "$@"',
        ]
        variables = {"PATH": PATH} | self.stage.environment | environment
        variables["PATH"] = variables["PATH"].replace("$PATH", PATH)
        inside = ["/bin/sh", "-c", f'cd {self.stage.all("WORKDIR")[0]} && exec "$@"', "sh", *words]
        return subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "sh", "-ec", "\n".join(mounts), "sh", *inside],
            env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, words: list[str], environment: dict[str, str], code: int = 0) -> str:
        """The output of a program that ends with this code; Failed otherwise."""
        running = self.popen(words, environment)
        said, _ = running.communicate(timeout=120)
        self.transcript.append(f"$ {' '.join(words)}\n--- {running.returncode}\n{said}")
        if running.returncode != code:
            raise Failed(self.transcript[-1])
        return said


def build(base: Path, folder: Path, transcript: list[str]) -> Image:
    """Builds every stage in a folder of its own; the last one is the image."""
    built: dict[str, Path] = {}
    for number, stage in enumerate(found := stages()):
        root = folder / f"stage{number}"
        root.mkdir()
        new_debian(base, root)
        _in(root, "/", "apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3 python3-venv")
        _in(root, "/", "ln -s /usr/bin/python3 /usr/local/bin/python")
        _steps(stage, root, built)
        built[stage.name] = root
    return Image(root, found[-1], transcript)


def _steps(stage: Stage, root: Path, built: dict[str, Path]) -> None:
    place = "/"
    for name, text in stage.steps:
        if name == "WORKDIR":
            place = text
            (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "RUN":
            _in(root, place, text)
        elif name == "COPY":
            _copy(text, built, root, root / place.lstrip("/"))


def _in(root: Path, place: str, script: str) -> None:
    words = ["chroot", str(root), "env", "-i", f"PATH={PATH}", "sh", "-ec", f"cd {place}; {script}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Failed(f"RUN {script}\n{done.stdout}")


def _copy(text: str, built: dict[str, Path], root: Path, place: Path) -> None:
    named, [*sources, target] = options(text)
    source_of = built[named["from"]] if "from" in named else ROOT
    goal = root / target.lstrip("/") if target.startswith("/") else place / target
    for path in (source_of / source.lstrip("/") for source in sources):
        if path.is_dir():  # Docker copies what is in a folder
            goal.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--archive", f"{path}/.", goal], check=True)
        else:
            subprocess.run(["cp", "--archive", path, goal], check=True)


def secrets(folder: Path, port: int) -> Path:
    """The folder that the page's block makes, with the address of the trial's PostgreSQL in it."""
    [block] = SECRETS.findall((ROOT / "docs/platforms.md").read_text(encoding="utf-8"))
    subprocess.run(["bash", "-euc", block], cwd=folder, check=True, umask=0o077)
    for path in (folder / "secrets").glob("*.env"):
        path.write_text(path.read_text().replace("@database:5432/", f"@127.0.0.1:{port}/"))
    return folder / "secrets"


def follow(base: Path, folder: Path, transcript: list[str]) -> None:
    """Builds and runs the image; Failed if a step fails."""
    image = build(base, folder, transcript)
    port = free_port()
    with TemporaryDirectory() as data, embedded_postgres(Path(data) / "postgres", port=port) as server:
        made = secrets(folder, port)
        statements = (made / "roles.sql").read_text().split(";")
        run_sql(at(server.url(), "postgres"), *filter(str.strip, statements))
        subprocess.run(["cp", "--archive", made, image.root / "run/secrets"], check=True)
        (image.root / "run/secrets").chmod(0o755)
        services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
        for name in ("upgrade", "grant"):
            image.run([*image.stage.words("ENTRYPOINT"), *services[name]["command"]], services[name]["environment"])
        _serve(image, services["api"])


def _serve(image: Image, api: dict[str, object]) -> None:
    """The service becomes healthy, can write to its volume alone, and ends politely; then it is no longer healthy."""
    environment = {**api["environment"], "PORT": str(free_port())}
    check = image.stage.words("HEALTHCHECK")
    running = image.popen([*image.stage.words("ENTRYPOINT"), *api["command"]], environment)
    try:
        until(
            lambda: image.popen(check, environment).wait() == 0 or running.poll() is not None, 60, "a healthy service"
        )
        image.run(check, environment)
        image.run(["retrobus", "db", "current"], environment)
        image.run(["retrobus", "backup", "create"], environment)
        image.run(["sh", "-c", 'test "$(id -u)" = 10001 && ! touch /opt/retrobus/x /var/lib/retrobus/x'], environment)
    finally:
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)
        image.transcript.append(f"$ retrobus serve\n--- {running.returncode}\n{said}")
    if running.returncode != -signal.SIGTERM or POLITE not in said:
        raise Failed(image.transcript[-1])
    image.run(check, environment, 1)
