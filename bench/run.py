"""Measures the service beside its peers and its limit: `make bench`. About six minutes.

Prints one table and writes one picture. The servers take turns in short slices: one vehicle, a list of 500 events, the
public list of 200 vehicles, create and delete of an event, and the answers 304 to clients that have the row already;
16 connections, one process each, all on one embedded PostgreSQL with fsync on. The limit is the service's own SQL sent
by pgbench. The load, the servers and PostgreSQL share the machine, so compare the ratios within one run; figures of two
runs cannot be compared. `--against REV` measures another revision of this repository too.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from timing import peers
from timing.collection import WORKLOADS, Workload, bearer, fill, remove_written, run_sql
from timing.limit import NAME as LIMIT
from timing.limit import limit, pgbench, script
from timing.load import WRK, load
from timing.report import HOW_TO_INSTALL, Figures, can_draw, draw, lines, machine, record
from timing.servers import Program, Server, memory, running, serving

from retrobus.development.embedded import EmbeddedPostgres, embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
OURS = "RétroBus API"
UPGRADE = """import os, importlib, importlib.util
found = importlib.util.find_spec("retrobus.migrate") is not None
migrate = importlib.import_module("retrobus.migrate" if found else "retrobus.database.migrate")
migrate.upgrade(os.environ["DATABASE_URL"])"""
"""Runs with the code of the measured revision, which has its migration module in one of two places."""

POSTGRES = {"max_connections": "200", "shared_buffers": "256MB"}
STARTS = 3


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REV", help="a revision of this repository to measure too")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; one more warms up (5)")
    parser.add_argument("--seconds", type=int, default=2, help="of each slice (2)")
    parser.add_argument("--peers", metavar="FOLDER", help="where `make peers` has installed packages; or `none`")
    parser.add_argument("--png", type=Path, default=ROOT / "build" / "bench.png", help="the picture (build/bench.png)")
    parser.add_argument("--record", action="store_true", help="put table and picture into docs/performance.md, too")
    options = parser.parse_args()
    if options.record:
        options.png = DOCUMENT.with_suffix(".png")
    if min(options.rounds, options.seconds) < 1:
        parser.error("--rounds and --seconds are 1 or more")
    return options


def note(text: str) -> None:
    """Tells on stderr what is missing or under way; the table alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A checkout of another revision, for as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", place, revision], cwd=ROOT, check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", place], cwd=ROOT, check=True)


def ours(name: str, source: Path, postgres: EmbeddedPostgres, folder: Path) -> Program:
    """The service of a source tree, on a new database with the migrations of that tree."""
    database = f"service_{len(list(folder.iterdir()))}"
    place = folder / database
    place.mkdir()
    asyncio.run(run_sql(postgres.url(), f"CREATE DATABASE {database}"))
    found = serving(name, source, postgres.url(database), place)
    subprocess.run([sys.executable, "-c", UPGRADE], env=os.environ | found.environment, check=True)
    asyncio.run(fill(found.database))
    return found


def others(options: argparse.Namespace, postgres: EmbeddedPostgres, folder: Path) -> list[Program]:
    """The peers; says which are missing, and why."""
    if options.peers == "none":
        return []
    place = peers.folder_of(options.peers)
    node = peers.packages(place)
    if node is None:
        note(f"The peers on Node.js are not measured: {place} has no packages of theirs. Install them: make peers")
    asyncio.run(run_sql(postgres.url(), "CREATE DATABASE peers"))
    asyncio.run(peers.fill(postgres.url("peers")))
    return list(peers.peers(postgres.url("peers"), folder, node))


def cold_starts(programs: list[Program], token: str, figures: Figures) -> None:
    """Times the starts of each program, in turns; the first turn fills the caches of files."""
    for turn in range(STARTS + 1):
        for program in programs:
            with running(program, token) as server:
                if turn:
                    figures.starts.setdefault(program.name, []).append(server.start)


def limit_of(workload: Workload, own: Program, seconds: int) -> list[float]:
    """Statements per second of the workload's SQL; empty without pgbench, or for a workload without SQL of its own."""
    program, text = pgbench(), script(workload)
    return [] if program is None or text is None else [limit(program, own.database, text, seconds, own.folder)]


def one_round(servers: list[Server], token: str, seconds: int) -> Figures:
    """One slice for each workload and server, and one for the limit."""
    figures = Figures()
    for workload in WORKLOADS:
        if workload.cached and workload not in servers[0].etags:
            continue
        for server in servers:
            if not workload.cached or workload in server.etags:
                asked = replace(workload, etag=server.etags.get(workload))
                figures.slices[workload, server.name] = [load(server.url, asked, token, seconds)]
        figures.limits[workload] = limit_of(workload, servers[0].program, seconds)
        if workload.writes:
            for database in {server.program.database for server in servers}:
                asyncio.run(remove_written(database))
    return figures


def measure(servers: list[Server], token: str, options: argparse.Namespace, figures: Figures) -> None:
    """Measures in turns; the first round only warms up."""
    if pgbench() is None:
        note("The limit is not measured: no pgbench found. On Debian it is in the package postgresql-15")
    for turn in range(options.rounds + 1):
        found = one_round(servers, token, options.seconds if turn else 1)
        if turn:
            figures.add(found)
        note(f"round {turn} of {options.rounds}" if turn else "warm-up")


def measured(options: argparse.Namespace) -> Figures:
    """Starts everything and measures it."""
    figures, token = Figures(), bearer()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retrobus-bench-")))
        folder.chmod(0o755)
        postgres = stack.enter_context(embedded_postgres(folder / "postgres", settings=POSTGRES))
        programs = [ours(OURS, ROOT, postgres, folder)]
        if options.against:
            tree = stack.enter_context(checkout(options.against))
            programs.append(ours(f"{OURS} at {options.against}", tree, postgres, folder))
        programs += others(options, postgres, folder)
        cold_starts(programs, token, figures)
        servers = [stack.enter_context(running(program, token)) for program in programs]
        for server in servers:
            for workload in WORKLOADS:
                if workload.cached:
                    server.learn_etag(workload, token)
        measure(servers, token, options, figures)
        figures.memory = {server.name: memory(server.pid) for server in servers}
    return figures


def main() -> None:
    """Measures, prints the table and writes the picture."""
    options = asked()
    if WRK is None:
        note("wrk is not installed: slower clients in Python make the load. On Debian: apt-get install wrk")
    if options.record and not can_draw():
        sys.exit(f"--record needs matplotlib for the picture. Install it: {HOW_TO_INSTALL}")
    if not can_draw():
        note(f"No picture will be written: matplotlib is not installed. Install it: {HOW_TO_INSTALL}")
    place = machine()
    figures = measured(options)
    shown: tuple[Workload, ...] = tuple(each for each in WORKLOADS if (each, OURS) in figures.slices)
    table = "\n".join(lines(figures, shown, OURS, LIMIT))
    print(table)
    if options.record:
        record(f"{place}\n\n![The table below, as bars]({options.png.name})\n\n{table}", DOCUMENT)
    if can_draw():
        draw(figures, shown, options.png)
        note(f"picture: {options.png}")


if __name__ == "__main__":
    main()
