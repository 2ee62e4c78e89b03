"""Faults of the service's own process: kills at chosen moments, stops, starts, and a second process."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from checking.service import answers
from proving.hands import changed_by_hand, restored
from proving.scene import Scene
from proving.site import Site

from faults.replay_hold import LAST_PASS_WAITS
from harness import Process, free_port, until
from locks import held

REFUSES_TO_START = 78
PLANTED = ("PYTHONPATH", "RETROBUS_PLANTED")
"""The variables of a planted bug: the operator's commands have it too."""

LOCKED = """SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = 'retrobus cli' AND granted
AND datname = current_database() AND relation = 'event'::regclass AND mode = $1"""
"""Whether a command holds a lock of this mode on the events."""


def killed_in_writes(scene: Scene) -> None:
    """The service is killed while clients write, and started again, three times."""
    scene.begin()
    for _ in range(3):
        scene.all(Site.restart)
        scene.wait(0.7)
    scene.heal()


def stopped_under_load(scene: Scene) -> None:
    """The service is asked to stop while clients write, and started again, twice: no answer may be cut."""
    scene.begin()
    for _ in range(2):
        scene.all(lambda site: site.restart(signal.SIGTERM))
        scene.wait(0.7)
    scene.heal()


def killed_in_snapshot(scene: Scene) -> None:
    """The service is killed while it writes its snapshot, three times; the last time Postgres is away at the start."""
    [site] = scene.sites
    scene.begin()
    for last in (False, False, True):
        _wait_for_file(site.service.backups, ".runtime-state.json.")
        if last:
            site.cut("refuse")
        site.restart()
        scene.wait(0.7)
    scene.heal()
    site.heal()


def _wait_for_file(folder: Path, prefix: str) -> None:
    """Looks so often that a file that exists for some milliseconds is seen."""
    end = time.monotonic() + 20
    while not any(path.name.startswith(prefix) for path in folder.iterdir()):
        if time.monotonic() > end:
            raise RuntimeError(f"no file {prefix}* in {folder}")


def killed_in_replay(scene: Scene) -> None:
    """The service is killed between the first commit of a replay and its last; the next process goes on."""
    [site] = scene.sites
    scene.begin()
    site.cut("refuse")
    scene.wait(2)
    for statement in LAST_PASS_WAITS:
        site.psql.run(statement)
    with held(site.url, "SELECT pg_advisory_xact_lock(42)") as lock:
        site.heal()
        until(lock.waiting, what="the last pass of the replay")
        site.end(signal.SIGKILL)
    site.end_connections()
    site.psql.run("DROP FUNCTION wait CASCADE")
    scene.heal()
    site.start()


def killed_in_outage(scene: Scene) -> None:
    """The service is killed while its journal waits for Postgres; when all is in Postgres it is killed once more."""
    [site] = scene.sites
    scene.begin()
    site.cut("refuse")
    scene.wait(1.5)
    site.restart()
    scene.wait(1.5)
    site.heal()
    site.wait_for_postgres()
    scene.wait(1.5)
    scene.heal()
    site.restart()


def restore(scene: Scene) -> None:
    """An operator restores a backup that is two seconds old while clients write: no deleted row may come back."""
    scene.all(lambda site: _must(site, "backup", "create"))
    scene.wait(2)
    scene.begin()
    scene.all(_restore)
    scene.wait(1.5)  # a small restore takes a moment; the clients must meet what it left
    scene.heal()


def _restore(site: Site) -> None:
    name = _newest(site)
    with restored(site, name):
        _must(site, "restore", name, "--apply", "--yes")


def restore_killed(scene: Scene) -> None:
    """A restore is killed while it works on the locked tables, three times: nothing of it may be there."""
    scene.all(lambda site: _must(site, "backup", "create"))
    scene.wait(1)
    scene.begin()
    scene.all(lambda site: _kill_restore(site, _locked(site)))
    scene.all(lambda site: _kill_restore(site, _writing(site)))
    scene.wait(1)
    scene.all(lambda site: _kill_restore(site, _locked(site)))
    scene.heal()


def _newest(site: Site) -> str:
    return max(path.name for path in site.service.backups.glob("backup_*"))


def _kill_restore(site: Site, reached: Callable[[], object]) -> None:
    running = _start(site, "restore", _newest(site), "--apply", "--yes")
    until(lambda: running.popen.poll() is not None or reached(), what="the restore to reach its tables")
    running.popen.kill()
    if running.popen.wait() != -signal.SIGKILL:
        site.complaints.append("the restore ended before it could be killed")


def _locked(site: Site) -> Callable[[], object]:
    return lambda: site.psql.run(LOCKED, "ShareRowExclusiveLock")


def _writing(site: Site) -> Callable[[], object]:
    return lambda: site.psql.run(LOCKED, "RowExclusiveLock")


def _start(site: Site, *arguments: str) -> Process:
    folder = site.service.folder
    settings = {"DATABASE_URL": site.url, "APP_ENV": "production", "BACKUPS_DIR": str(site.service.backups)}
    settings |= {name: site.service.settings[name] for name in PLANTED if name in site.service.settings}
    return Process(list(arguments), folder, settings)


def command(site: Site, *arguments: str) -> int:
    """Runs a command of the operator to its end; its exit code."""
    return _start(site, *arguments).popen.wait(60)


def _must(site: Site, *arguments: str) -> None:
    """Runs a command that must succeed."""
    code = command(site, *arguments)
    if code:
        told = (site.service.folder / "output.log").read_text()
        site.complaints.append(f"{' '.join(arguments)} ended with {code}: {told[-800:]}")


def second_process(scene: Scene) -> None:
    """A second service starts on the same folder. With a toggle on it must refuse; in strict mode it may serve."""
    scene.begin()
    scene.all(_second)
    scene.wait(2)
    scene.heal()


def _second(site: Site) -> None:
    settings = site.service.environment | {"PORT": str(free_port())}
    second = Process(["serve"], site.service.folder, settings)
    site.beside.append(second)
    port = int(settings["PORT"])
    until(lambda: second.popen.poll() is not None or answers(port), what="the second process to serve or to refuse")
    if site.kind == "strict":
        site.open(2, port)
    elif second.popen.poll() != REFUSES_TO_START:
        site.complaints.append(f"the second process did not end with {REFUSES_TO_START}: {second.popen.poll()}")


def boot_without_postgres(scene: Scene) -> None:
    """The services work, are stopped, and start again while Postgres is away; it comes back three seconds later."""
    scene.begin()
    scene.all(lambda site: site.end(signal.SIGTERM))
    scene.all(lambda site: site.cut("refuse"))
    scene.all(Site.start)
    scene.wait(3)
    scene.heal()
    scene.all(Site.heal)


def psql_meanwhile(scene: Scene) -> None:
    """Postgres is away from the services for four seconds, and psql changes and deletes rows there meanwhile."""
    scene.begin()
    scene.all(lambda site: site.cut("refuse"))
    scene.wait(1.2)
    scene.all(changed_by_hand)
    scene.wait(2)
    scene.heal()
    scene.all(Site.heal)
