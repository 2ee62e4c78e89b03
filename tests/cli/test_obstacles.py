"""Facts about what may stand where a file should be: each command ends in one sentence with the path and the cure."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import pytest

import forked
from harness import LONGEST, run_sql
from retrobus.fallback.entries import Entry
from retrobus.fallback.journal import Journal
from retrobus.fallback.opening import LOCK
from retrobus.files.error_texts import told

Terminal = Callable[..., tuple[int, str, str]]
BACKUP = "backup_2026-01-01T00-00-00-000Z"
NAMES = ("journal.jsonl", "runtime-state.json", "index.json", "restore-info.json", ".backup.lock", ".index.lock", LOCK,
         f"{BACKUP}/data.json", f"{BACKUP}/manifest.json", BACKUP, "")  # fmt: skip
COMMANDS = [
    ("backup", "list"),
    ("backup", "verify", BACKUP),
    ("backup", "select", BACKUP, "--reason", "essai"),
    ("backup", "archive", BACKUP),
    ("purge", "--dry-run"),
    ("resync", "--list"),
    ("backup", "create", "--keep", "1"),
    ("backup", "create", "--from-snapshot"),
    ("restore", BACKUP, "--apply", "--yes"),
    ("member", "export", "m1"),
    ("doctor",),
]
PROGRAM = [sys.executable, "-c", "from retrobus.cli import main; main()"]
UNLINK = """import sys
from pathlib import Path
from retrobus.files.error_texts import told
try:
    Path(sys.argv[1]).unlink()
except OSError as error:
    print(told(error))
"""
WRITING = [
    ("backup", "create"),
    ("restore", BACKUP, "--apply", "--yes"),
    ("db", "clean", "--table", "member", "--yes"),
    ("backup", "select", BACKUP, "--reason", "essai"),
    ("backup", "archive", BACKUP),
    ("purge", "--yes"),
    ("resync",),
    ("member", "erase", "m1", "--yes"),
]
MANY = """import json, os, sys
from pathlib import Path
from tempfile import TemporaryFile
sys.path.insert(0, sys.argv[1])
from forked import Forked
for command in json.loads(sys.argv[2]):
    with TemporaryFile() as said, TemporaryFile() as complaint:
        files = (0, said.fileno(), complaint.fileno())
        code = Forked(command, Path.cwd(), dict(os.environ), files).wait()
        complaint.seek(0)
        print(json.dumps([code, complaint.read().decode()]))
"""
"""Runs commands one after the other, each forked: the exit code and the errors of each, a line of JSON."""

OF_AN_OUTAGE = ("Pas de connexion", "ne répond pas", "s'est rompue")
GIANT = 3 << 30

ENTRY = Entry(1, "2026-01-31T14:00:00.000Z", "Vehicle", "920", "delete", None, None, "m")


def a_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(GIANT)


@pytest.fixture
def ready(terminal: Terminal, database: str, tmp_path: Path) -> Path:
    """A folder with a backup, to be copied."""
    run_sql(database, "INSERT INTO member (id, email) VALUES ('m1', 'm1@example.org')")
    terminal("backup", "create", url=database)
    [made] = (tmp_path / "backups").glob("backup_*")
    made.rename(made.parent / BACKUP)
    return (tmp_path / "backups").rename(tmp_path / "ready")


def with_obstacle(name: str, stand: Callable[[Path], None], ready: Path) -> None:
    """A fresh folder in which this stands in the place of the name; the empty name is the folder itself."""
    folder = ready.parent / "backups"
    clear(folder)
    if name:
        shutil.copytree(ready, folder)
        folder.chmod(0o700)
        clear(folder / name)
    stand(folder / name)


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def ended_soon() -> Iterator[None]:
    """A command that waits for a pipe for ever fails its test."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("the command does not end")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(int(LONGEST))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("stand", [a_link, a_link_to_nothing, a_folder, a_pipe, a_giant])
def test_whatever_stands_in_the_place_of_a_file_is_told_and_never_as_an_outage(
    stand: Callable[[Path], None], ready: Path, terminal: Terminal, database: str
) -> None:
    ended = []
    for name in NAMES:
        for command in COMMANDS:
            with_obstacle(name, stand, ready)
            with ended_soon():
                code, *said = terminal(*command, url=database)  # a trace would leave here as the error that it is
            ended.append((name, command, code, "".join(said)))

    failed = [one for one in ended if one[2]]
    assert [one for one in failed if any(words in one[3] for words in OF_AN_OUTAGE)] == []
    assert [one for one in failed if one[1] != ("doctor",) and "❌ " not in one[3]] == []
    assert [one for one in ended if "Errno" in one[3]] == []


@pytest.mark.parametrize(
    ("stand", "said"),
    [(a_link, "c'est un lien"), (a_link_to_nothing, "c'est un lien"), (a_folder, "c'est un dossier"),
     (a_pipe, "pas un fichier ordinaire"), (a_giant, f"{GIANT} octets")],
)  # fmt: skip
def test_what_stands_in_the_place_of_a_journal_stops_the_start_and_is_named(
    stand: Callable[[Path], None], said: str, ready: Path, terminal: Terminal, database: str
) -> None:
    with_obstacle("journal.jsonl", stand, ready)

    with ended_soon():
        code, _, complaint = terminal("serve", url=database, ENABLE_RUNTIME_STATE_SAVE="true", JWT_SECRET="s" * 32)

    assert code == 78
    assert f"{ready.parent}/backups/journal.jsonl : " in complaint
    assert said in complaint


def test_a_snapshot_of_another_kind_is_set_aside_with_its_reason(
    ready: Path, terminal: Terminal, database: str
) -> None:
    with_obstacle("runtime-state.json", a_folder, ready)

    _, _, said = terminal("backup", "create", "--from-snapshot", url=database)

    assert "🧯 Fichier illisible mis de côté" in said
    assert "c'est un dossier" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_disk_is_told_and_nothing_is_done(ready: Path, database: str) -> None:
    Journal(ready / "journal.jsonl").append(ENTRY)
    mounted = f'mount --bind {ready} {ready} && mount -o remount,ro,bind {ready} && exec "$@"'
    environment = os.environ | {"DATABASE_URL": database, "BACKUPS_DIR": str(ready)}
    many = [sys.executable, "-c", MANY, str(Path(forked.__file__).parent), json.dumps(WRITING)]

    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, "sh", *many],
        env=environment, cwd=ready.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )  # fmt: skip

    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [code for code, _ in found] == [1] * len(WRITING)
    for _, complaint in found:
        assert "système de fichiers en lecture seule ; choisissez un dossier où ce compte écrit" in complaint
        assert f"❌ {ready}" in complaint
        assert "PostgreSQL" not in complaint
    assert run_sql(database, "SELECT count(*) FROM member") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_journal_that_is_replayed_and_cannot_be_removed_is_done_and_told(ready: Path, database: str) -> None:
    identity = run_sql(database, "SELECT id::text FROM database_identity")[0][0]
    run_sql(database, "INSERT INTO vehicle (parc) VALUES ('920')")
    version = run_sql(database, "SELECT version FROM vehicle")[0][0]
    file = ready / "journal.jsonl"
    journal = Journal(file, identity=identity)
    at, base = datetime.now(UTC).isoformat(), {"version": version, "hash": ""}
    journal.append(*[Entry(1, at, "Vehicle", "920", "delete", None, base, None, journal=journal.id)])
    mounted = f'mount --bind {file} {file} && exec "$@"'
    environment = os.environ | {"DATABASE_URL": database, "BACKUPS_DIR": str(ready)}

    ended = [
        subprocess.run(
            ["unshare", "-m", "sh", "-c", mounted, "sh", *PROGRAM, "resync"],
            env=environment, cwd=ready.parent, capture_output=True, text=True, check=False, timeout=LONGEST,
        )
        for _ in range(2)
    ]  # fmt: skip

    assert [one.returncode for one in ended] == [0, 0]
    assert "1 reprise" in ended[0].stdout
    assert "0 reprise, 0 déjà là" in ended[1].stdout
    assert f"📓 Journal rejoué, son fichier reste error='{file} : occupé" in ended[0].stderr
    assert run_sql(database, "SELECT count(*) FROM vehicle") == [(0,)]


def test_a_file_of_ours_in_a_closed_folder_names_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "restore-info.json").write_text("{}")
    folder.chmod(0o500)
    bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

    said = subprocess.run([*bounded, sys.executable, "-c", UNLINK, folder / "restore-info.json"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip

    assert said.startswith(f"{folder}/restore-info.json : le compte ")
    assert f"le propriétaire de {folder} est " in said
    assert said.rstrip().endswith(f"chmod u+rwX {folder}")


def test_the_path_is_whole_whatever_the_error_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backups").write_text("x")

    assert told(NotADirectoryError(20, "x", "backups"), Path("backups/index.json")).startswith(f"{tmp_path}/backups : ")
    assert told(OSError(28, "x", "inside"), Path("elsewhere")).startswith(f"{tmp_path}/elsewhere/inside : ")
    assert told(IsADirectoryError(21, "x", 7), Path("elsewhere")).startswith(f"{tmp_path}/elsewhere : ")
