"""Looks for a lost, resurrected, stale or double row: `make soak ARGS="--seed 7 --steps 10000"`.

A random run against the service as a process, on a Postgres of its own. Clients send and repeat requests, psql writes,
both processes are killed or frozen, and the service restarts in all eight combinations of the toggles, also with old
snapshots, journals and backups. A model remembers what was acknowledged and judges every answer. With `--plant` the
clients lie as a faulty service would, and the run must find it.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from checking.kinds import ADMIN_ROW
from checking.service import COMBINATIONS, TOGGLES, Combination, Service
from checking.track import FAULTS
from soaking.oldfiles import OldFiles
from soaking.surroundings import SETTINGS, Database
from soaking.walk import Stuck, Walk, World

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

PLANTS = ("lost", "ghost", "stale", "unflagged", "duplicate")


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--combination", help="of toggles: none, or the first letters of those that are on, as in LES")
    parser.add_argument("--plant", choices=PLANTS, help="plant this bug, which the run must find")
    parser.add_argument("--keep", type=Path, help="keep log and files in this folder")
    return parser.parse_args()


def combinations(letters: str | None) -> tuple[Combination, ...]:
    """The combinations that the run uses: L(OAD), F(ALLBACK) and S(AVE), or all eight."""
    if letters is None:
        return COMBINATIONS
    wanted = "" if letters == "none" else letters.upper()
    return (tuple(name for name, letter in zip(TOGGLES, "LFS", strict=True) if letter in wanted),)


@contextmanager
def world(random: Random, folder: Path) -> Iterator[World]:
    """A migrated Postgres, a service that is not started yet, and an empty folder of backups."""
    with embedded_postgres(folder / "pg", settings={"fsync": "off"}) as server:
        database = Database(server, "postgres")
        migrate.upgrade(database.url)
        database.psql.run(ADMIN_ROW)
        (folder / "service").mkdir()
        service = Service(database.url, folder / "service", SETTINGS)
        try:
            yield World(random, database, service, OldFiles(service.backups, folder / "attic", random))
        finally:
            service.kill()
            database.psql.close()


def soak(walk: Walk, steps: int) -> str | None:
    """Takes so many steps; the reason if the walk had to end early, else None."""
    try:
        walk.start_service()
        while walk.count < steps and not walk.model.enough:
            walk.step()
        walk.finish()
    except Stuck as error:
        return str(error)
    return None


def report(walk: Walk, arguments: argparse.Namespace, seconds: float) -> None:
    """Prints the seed, what was done and answered, and the counts that must be zero."""
    print(f"seed {arguments.seed}: {walk.count} steps in {seconds:.0f} s")
    for title, counts in (("steps", walk.model.steps), ("answers", walk.model.answers)):
        print(f"\n{title}")
        for name, number in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"  {number:6} {name}")
    print("\nsteps in each combination")
    for combination, number in walk.taken.items():
        print(f"  {number:6} {' '.join(combination) or 'none'}")
    found = Counter(kind for kind, _, _ in walk.model.faults)
    print("\n" + ", ".join(f"{found[kind]} {kind}" for kind in FAULTS))
    print(f"{len(walk.model.conflicts.marks)} conflicts, {len(walk.model.needless)} without need")
    for text in walk.model.needless[:3]:
        print(f"\nconflict without need: {text}")


def main() -> int:
    """1 if a promise was broken, with the history of the row; 2 if the service got stuck."""
    arguments = asked()
    print(f"seed {arguments.seed}", flush=True)
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="retrobus-soak-"))
    started = time.monotonic()
    with world(Random(arguments.seed), folder) as found:
        walk = Walk(found, combinations(arguments.combination), arguments.plant)
        stuck = soak(walk, arguments.steps)
        tail = found.service.log_tail()
    report(walk, arguments, time.monotonic() - started)
    for kind, slot, text in walk.model.faults[:5]:
        print(f"\n{kind.upper()} {slot}: {text}")
    if stuck:
        print(f"\nSTUCK: {stuck}\n{tail}")
    (folder / "diary.txt").write_text("\n".join(walk.model.diary))
    if arguments.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 2 if stuck else int(bool(walk.model.faults))


if __name__ == "__main__":
    sys.exit(main())
