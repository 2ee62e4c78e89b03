"""Proves that followers hold no ghost: four writers, six followers, and the differences of their copies.

`make followproof ARGS="--seconds 300 --seeds 1 2 3"` prints one line for each seed, and ends with 1 at any difference.
"""

import argparse
import sys
import tempfile
from pathlib import Path

for folder in ("tests", "tests/support"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

from faults.following import proving
from harness import free_port
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres


def main() -> int:
    """Runs every seed on a PostgreSQL of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seeds", type=int, nargs="+", default=[1])
    asked, found = options.parse_args(), 0
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found += _run(Path(folder), seed, asked.seconds)
    return 1 if found else 0


def _run(place: Path, seed: int, seconds: float) -> int:
    """How many differences there are."""
    with embedded_postgres(place / "postgres", port=free_port()) as postgres:
        migrate.upgrade(postgres.url())
        with proving(postgres.url(), place, seed) as (proof, proxy):
            proof.run(seconds, proxy)
    mark = "❌" if proof.differences else "✅"
    print(f"{mark} seed {seed}: {proof.writes} transactions, {proof.checks} comparisons of six copies, ", end="")
    print(f"{len(proof.differences)} differences", *proof.differences[:20], sep="\n   ")
    return len(proof.differences)


if __name__ == "__main__":
    sys.exit(main())
