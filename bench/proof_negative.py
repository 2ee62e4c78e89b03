"""Starts services with known bugs, which the proof must catch: `make proof-negative`, or with `ARGS="--bug journal"`.

Each bug runs under one fault in one mode. Ends with 1 if one was not caught by a verdict that fits it.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in ("tests", "tests/support"):
    sys.path.insert(0, str(ROOT / folder))

from proving.bugs import BUGS
from proving.crowd import Crowd
from proving.disks import enter
from proving.negative import Caught, caught, environment, table
from proving.report import write_history
from proving.run import Plant, run
from proving.scene import mended, server
from timing.report import machine, record

from retrobus.development.embedded import EmbeddedPostgres

DOCUMENT = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- the last negative run -->", "<!-- end of the last negative run -->")


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bug", choices=BUGS, action="append", help="one bug; again for more; default: all")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--keep", type=Path, help="folder in which logs and files stay")
    return parser.parse_args()


def tried(name: str, postgres: EmbeddedPostgres, folder: Path, crowd: Crowd) -> Caught:
    """Runs the service with this bug."""
    bug = BUGS[name]
    try:
        plant = Plant(environment(name), bug.sql)
        results = run(bug.fault, postgres, folder / name, {bug.mode: crowd}, plant)
    except Exception as error:  # noqa: BLE001 - the other bugs are tried all the same
        mended(postgres)
        return Caught(bug, {}, f"the run broke off: {error!r}"[:300])
    write_history(results[0].exchanges, folder / name / f"{bug.mode}.jsonl")
    return caught(name, results)


def main() -> int:
    """0 if every bug was caught."""
    options, place, started = asked(), machine(), time.monotonic()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="retrobus-proof-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    crowd, found = Crowd(), []
    try:
        with server(folder / "postgres") as postgres:
            for name in options.bug or BUGS:
                found.append(tried(name, postgres, folder, crowd))
                print(found[-1].line(), flush=True)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds, right = time.monotonic() - started, sum(each.is_right for each in found)
    said = f"{right} of {len(found)} bugs were caught, in {seconds:.0f} s."
    print(f"\n{table(found)}\n\n{said}")
    if options.record:
        record(f"{place} {said}\n\n{table(found)}", DOCUMENT, MARKS)
    return 0 if all(each.is_right for each in found) else 1


if __name__ == "__main__":
    enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
