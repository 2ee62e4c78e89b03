"""Breaks two or three PostgreSQL servers under Patroni: `make cluster ARGS="--fault zombie --mode sync --nodes 3"`.

Starts etcd, the Patroni nodes, haproxy and PgBouncer from Debian packages on loopback. Clients write, read and retry
through `retrobus serve`, a fault happens, and every answer is compared with the final database. First the judgement
itself is tried on a history with planted errors.

There are three parts of seven minutes each: strict with three nodes (`--mode sync --nodes 3`), strict with two, and
asynchronous with three; without these options all of them run. `--record` puts the table of each part into its place in
docs/scaling.md as soon as the part has ended. `--plant rows` plants errors in the final database of a real run;
`--plant no-barrier --fault stall --mode sync` runs a service with a known bug, which must lose or bring back a row.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from clustering.configuration import SHORTEST_TTL
from clustering.faults import FAULTS
from clustering.nodes import Stuck
from clustering.programs import missing
from clustering.report import Line, section, table
from clustering.run import Plan, run
from clustering.selfcheck import NotCaught, check_the_judge, plant
from timing.report import machine, record

DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
PARTS = {
    ("sync", 3): "strict, three nodes",
    ("sync", 2): "strict, two nodes",
    ("async", 3): "asynchronous, three nodes",
}
"""Replication and number of PostgreSQL servers of each part, and the name of its place in the document."""


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="one fault; again for more; default: all")
    parser.add_argument("--mode", choices=("async", "sync"), help="of replication; default: both")
    parser.add_argument("--seconds", type=float, default=20, help="of traffic after the fault began, at least")
    parser.add_argument("--ttl", type=int, default=10, help=f"of Patroni's leader lock, in seconds, >= {SHORTEST_TTL}")
    parser.add_argument("--nodes", type=int, choices=(2, 3), help="PostgreSQL servers; default: both")
    parser.add_argument("--record", action="store_true", help="write the table of each part into docs/scaling.md")
    parser.add_argument("--retrobus", type=Path, help="the retrobus command under test; default: this tree's")
    parser.add_argument("--plant", choices=("rows", "no-barrier"), help="errors that must be found")
    parser.add_argument("--keep", type=Path, help="folder in which logs, histories and data stay")
    arguments = parser.parse_args()
    if not parts(arguments):
        parser.error("--mode async needs three nodes")
    if arguments.record and (arguments.fault or arguments.plant):
        parser.error("--record needs all faults and no planted error: leave out --fault and --plant")
    return arguments


def parts(arguments: argparse.Namespace) -> list[tuple[str, int]]:
    """The parts that the options ask for."""
    return [
        (mode, nodes) for mode, nodes in PARTS if arguments.mode in {None, mode} and arguments.nodes in {None, nodes}
    ]


def plans(arguments: argparse.Namespace, mode: str, nodes: int) -> list[Plan]:
    """The runs of a part that the options ask for."""
    command = [str((arguments.retrobus or Path(sys.executable).parent / "retrobus").absolute())]
    serving = [sys.executable, str(Path(__file__).parent / "clustering" / "without_barrier.py")]
    return [
        Plan(
            FAULTS[name],
            mode,
            arguments.ttl,
            nodes,
            arguments.seconds,
            command,
            serving if arguments.plant == "no-barrier" else command,
            plant if arguments.plant == "rows" else None,
        )
        for name in arguments.fault or FAULTS
        if mode in FAULTS[name].modes
    ]


def run_all(folder: Path, wanted: list[Plan]) -> tuple[list[Line], list[str]]:
    """The lines of the table, and the runs that got stuck."""
    lines: list[Line] = []
    stuck: list[str] = []
    for number, plan in enumerate(wanted):
        name = f"{plan.fault.title}, {PARTS[plan.mode, plan.nodes]}"
        print(f"\n{name}", flush=True)
        try:
            line = Line(plan, run(folder / f"{plan.mode}-{plan.nodes}-{number}", plan))
        except Stuck as error:
            stuck.append(f"{name}: {error}")
            print(f"STUCK: {error}", flush=True)
            continue
        lines.append(line)
        print(f"{line.markdown()}\n{line.details()}", flush=True)
    return lines, stuck


def run_part(folder: Path, arguments: argparse.Namespace, mode: str, nodes: int) -> tuple[list[Line], list[str]]:
    """The same for a part, whose table is printed, and recorded if every run ended."""
    before = machine()
    lines, stuck = run_all(folder, plans(arguments, mode, nodes))
    if lines:
        print(f"\n{table(lines, arguments.ttl, nodes)}", flush=True)
    if arguments.record and not stuck:
        name = PARTS[mode, nodes]
        record(section(lines, before), DOCUMENT, (f"<!-- {name} -->", f"<!-- end of {name} -->"))
        print(f"\nRecorded in {DOCUMENT.name}: {name}", flush=True)
    elif arguments.record:
        print("\nNot recorded, because runs got stuck: " + "; ".join(stuck), flush=True)
    return lines, stuck


def verdict(lines: list[Line], stuck: list[str], planted: str | None) -> int:
    """0 if every promise was kept; 1 if one was broken or a planted error was not found; 2 if a run got stuck."""
    if planted is not None:
        seen = bool(lines) and all(line.shows(planted) for line in lines)
        print("\nThe planted errors were " + ("found" if seen else "NOT found"))
        return int(not seen)
    wrong = [line for line in lines if line.is_wrong]
    for line in wrong:
        print(f"BROKEN: {line.plan.fault.title}, {line.plan.mode}")
    return 1 if wrong else 2 if stuck else 0


def main() -> int:
    """The exit code of `verdict`; 3 if a program is missing, 4 if the judgement itself is wrong."""
    arguments = asked()
    if absent := missing():
        print(absent, file=sys.stderr)
        return 3
    if arguments.ttl < SHORTEST_TTL:
        print(f"Patroni needs --ttl {SHORTEST_TTL} or more here", file=sys.stderr)
        return 3
    try:
        check_the_judge()
    except NotCaught as error:
        print(error, file=sys.stderr)
        return 4
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="retrobus-cluster-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    lines: list[Line] = []
    stuck: list[str] = []
    try:
        for mode, nodes in parts(arguments):
            more, failed = run_part(folder, arguments, mode, nodes)
            lines, stuck = lines + more, stuck + failed
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return verdict(lines, stuck, arguments.plant)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
