"""Proves the promises under faults: `make proof`, or `make proof ARGS="--fault kill --fault freeze"`.

Starts a PostgreSQL with fsync on and, for each fault, a strict service and one with all three toggles, on a line that a
proxy can break. Clients create, change, delete, read, repeat and follow; a fault happens and is healed; then every
answer, the final rows and the follower's copy are judged. Ends with 1 if a promise was broken or a run proves nothing.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in ("tests", "tests/support"):
    sys.path.insert(0, str(ROOT / folder))

from proving.catalogue import FAULTS
from proving.crowd import Crowd
from proving.disks import enter
from proving.picture import draw
from proving.report import document, in_short, line, summary, tables, write_history
from proving.run import Result, run
from proving.scene import mended, server
from proving.site import Kind
from timing.report import HOW_TO_INSTALL, can_draw, machine, record

DOCUMENT, PICTURE = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.png"
README, SHORT = ROOT / "README.md", ("<!-- the last proof -->", "<!-- end of the last proof -->")
KINDS: tuple[Kind, ...] = ("strict", "fallback")
STORIES = 3
"""Broken promises of one run that are told in full."""


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="one fault; again for more; default: all")
    parser.add_argument("--mode", choices=KINDS, action="append", help="default: both, at the same time")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "proof.json", help="the run as JSON")
    parser.add_argument("--png", type=Path, default=ROOT / "build" / "proof.png", help="the run as a picture")
    parser.add_argument("--record", action="store_true", help="write table and picture into docs/reliability.md")
    parser.add_argument("--keep", type=Path, help="folder in which logs, files and histories stay")
    return parser.parse_args()


def run_all(options: argparse.Namespace, folder: Path) -> tuple[list[Result], list[str]]:
    """The results, printed as they come, and the faults whose run broke off."""
    results: list[Result] = []
    stuck: list[str] = []
    crowds = {kind: Crowd() for kind in options.mode or KINDS}
    with server(folder / "postgres") as postgres:
        for name in options.fault or FAULTS:
            if lacking := FAULTS[name].needs():
                print(f"NOT RUN {FAULTS[name].title}: {lacking}", flush=True)
                continue
            try:
                found = run(name, postgres, folder / name, crowds)
            except Exception as error:  # noqa: BLE001 - the other faults are tried all the same
                stuck.append(f"{name}: {error!r}")
                print(f"BROKE OFF {stuck[-1]}", flush=True)
                mended(postgres)
                continue
            results += found
            for result in found:
                show(result, folder)
    return results, stuck


def show(result: Result, folder: Path) -> None:
    """Prints the line of one result, and the stories of its broken promises; keeps its history."""
    print(f"{result.kind:8} {line(result)}", flush=True)
    for story in result.verdict.stories[:STORIES]:
        print(story, flush=True)
    write_history(result.exchanges, folder / result.fault / f"{result.kind}.jsonl")


def publish(options: argparse.Namespace, results: list[Result], place: str, seconds: float) -> None:
    """Writes the JSON, the picture and, if wanted, the page."""
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document(results, place), indent=1))
    png = PICTURE if options.record else options.png
    if can_draw():
        draw(results, png)
        print(f"picture: {png}", file=sys.stderr)
    else:
        print(f"No picture: matplotlib is not installed. Install it: {HOW_TO_INSTALL}", file=sys.stderr)
    if options.record:
        said = f"{place} {summary(results)}, in {seconds:.0f} s."
        record(f"{said}\n\n![The tables below, as bars]({PICTURE.name})\n\n{tables(results)}", DOCUMENT)
        record(in_short(results), README, SHORT)


def main() -> int:
    """0 if every run is valid; 1 if a promise was broken, a run proves nothing or broke off."""
    options = asked()
    if options.record and not can_draw():
        sys.exit(f"--record needs matplotlib for the picture. Install it: {HOW_TO_INSTALL}")
    place, started = machine(), time.monotonic()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="retrobus-proof-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    try:
        results, stuck = run_all(options, folder)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - started
    print(f"\n{tables(results)}\n\n{summary(results)}, in {seconds:.0f} s")
    publish(options, results, place, seconds)
    return 0 if not stuck and all(result.valid for result in results) else 1


if __name__ == "__main__":
    enter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
