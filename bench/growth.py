"""Measures what a request costs when the tables grow: `make growth`. About ten minutes.

Fills databases of several sizes on one embedded PostgreSQL and starts a service on each. The services take turns in
slices of a second: 16 clients, then one client. The bar: in the largest database, no request takes more than 1.3 times
as long as in the smallest. Medians count, because the machine is noisy. Ends with 1 if the bar is missed.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import asyncpg
from timing.collection import bearer, remove_written, run_sql
from timing.load import CONNECTIONS, load
from timing.servers import Server, running, serving
from timing.sizes import CHANGED, PAGE, Size, make, workloads

from retrobus.changes.snapshots import look, snapshot_of
from retrobus.database import migrate
from retrobus.database.pooler import OwnNames
from retrobus.development.embedded import EmbeddedPostgres, embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
BAR = 1.3
SIZES = (Size(500, 0, 0), Size(50_000, 100_000, 10_000), Size(500_000, 1_000_000, 100_000))
POSTGRES = {"max_connections": "200", "shared_buffers": "1GB", "max_wal_size": "8GB"}
POLLS = 50
"""Looks of the follower in one slice."""


@dataclass
class Grown:
    """One size: its service, and the milliseconds of each measure, round by round."""

    size: Size
    server: Server
    times: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, milliseconds: float) -> None:
        """Keeps the figure of a slice."""
        self.times.setdefault(what, []).append(milliseconds)


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; one more warms up (5)")
    parser.add_argument("--divide", type=int, default=1, help="by which the larger sizes are divided: for a try (1)")
    options = parser.parse_args()
    if min(options.rounds, options.divide) < 1:
        parser.error("--rounds and --divide are 1 or more")
    return options


@contextlib.contextmanager
def grown(size: Size, postgres: EmbeddedPostgres, folder: Path) -> Iterator[Grown]:
    """A database of this size with its service."""
    name = f"events_{size.events}"
    place = folder / name
    place.mkdir()
    asyncio.run(run_sql(postgres.url(), f"CREATE DATABASE {name}"))
    url = postgres.url(name)
    migrate.upgrade(url)
    began = time.monotonic()
    asyncio.run(make(url, size))
    print(f"made in {time.monotonic() - began:.0f} s: {size.title}", file=sys.stderr, flush=True)
    with running(serving(name, ROOT, url, place), bearer()) as server:
        yield Grown(size, server)


async def follow(url: str, *, changed: bool) -> float:
    """Milliseconds of one look of the follower: nothing is new, or PAGE rows have changed since the watermark."""
    connection = await asyncpg.connect(url, connection_class=OwnNames)
    times = []
    try:
        watermark = (await look(connection)).highest
        if changed:
            await connection.execute(CHANGED)
        for _ in range(POLLS):
            began = time.perf_counter()
            seen = await look(connection)
            if changed:
                async with snapshot_of(connection) as snapshot:
                    count = len([change async for change in snapshot.since(watermark)])
                if count != PAGE:
                    raise AssertionError(f"{count} changes since {watermark}, {seen}")
            times.append(time.perf_counter() - began)
    finally:
        await connection.close()
    return median(times) * 1e3


def one_round(all_sizes: list[Grown], token: str) -> int:
    """One slice for each measure and size; the number of answers that were errors."""
    errors = 0
    found = {each.size: asyncio.run(workloads(each.server.program.database)) for each in all_sizes}
    for place in range(len(found[all_sizes[0].size])):
        for connections in (CONNECTIONS, 1):
            for each in all_sizes:
                workload = found[each.size][place]
                result = load(each.server.url, workload, token, 1, connections)
                who = "one client" if connections == 1 else f"{connections} clients"
                each.note(f"{workload.title} | {who}", result.p50 if connections == 1 else 1e3 / result.rate)
                errors += result.errors
                if workload.writes:
                    asyncio.run(remove_written(each.server.program.database))
    for changed, title in ((False, "nothing is new"), (True, f"{PAGE} rows have changed")):
        for each in all_sizes:
            milliseconds = asyncio.run(follow(each.server.program.database, changed=changed))
            each.note(f"changes since the watermark: {title} | one reader", milliseconds)
    return errors


def table(all_sizes: list[Grown]) -> tuple[list[str], list[str]]:
    """The table, and the measures that miss the bar."""
    first, last = all_sizes[0], all_sizes[-1]
    heads = " | ".join(f"{each.size.title}, ms" for each in all_sizes)
    lines = [f"| request | load | {heads} | largest / smallest |", "| --- " * (len(all_sizes) + 3) + "|"]
    missed = []
    for what, small in first.times.items():
        ratio = median(large / low for low, large in zip(small, last.times[what], strict=True))
        figures = " | ".join(f"{median(each.times[what]):.2f}" for each in all_sizes)
        lines.append(f"| {what} | {figures} | {ratio:.2f} |")
        if ratio > BAR:
            missed.append(f"{what}: {ratio:.2f}")
    return lines, missed


def main() -> int:
    """Prints the table; 1 if a measure misses the bar or a request was answered with an error."""
    options = asked()
    sizes = [SIZES[0], *(s.divided(options.divide) for s in SIZES[1:])]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retrobus-growth-")))
        folder.chmod(0o755)
        postgres = stack.enter_context(embedded_postgres(folder / "postgres", settings=POSTGRES))
        all_sizes = [stack.enter_context(grown(size, postgres, folder)) for size in sizes]
        one_round(all_sizes, bearer())
        for each in all_sizes:
            each.times.clear()
        errors = 0
        for turn in range(options.rounds):
            errors += one_round(all_sizes, bearer())
            print(f"round {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
    lines, missed = table(all_sizes)
    print("\n".join(lines))
    print(f"\nabove {BAR}: {'; '.join(missed) or 'none'}. Errors: {errors}.")
    return int(bool(missed or errors))


if __name__ == "__main__":
    sys.exit(main())
