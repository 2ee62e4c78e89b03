"""Attacks the service in nine ways while a healthy client uses it: `make flood`. About twenty minutes.

Attackers, healthy client, service and PostgreSQL share one machine, so the attackers' own work makes the client wait,
whatever the service does. Each round therefore times the client (p99 of one vehicle, a hundred times a second) thrice:

- calm: nobody attacks;
- elsewhere: the attackers attack a bare listener, which only answers as many bytes; the client asks the service;
- attacked: the same attackers attack the service.

The table has the medians of three rounds, and the memory of the service before, at its highest, and after. Ratio is
attacked / the longer of the two others. Ends with 1 if the healthy client is refused once, if a ratio is 2 or more, or
if memory grows by more than a bound.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from connections import make_room
from flooding.attacks import ATTACKS, Target
from flooding.rounds import HEAD, Felt, bare_listener, one_round
from timing.collection import bearer, fill, run_sql
from timing.report import machine, record
from timing.servers import running, serving

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- the last flood -->", "<!-- end of the last flood -->")
IMAGE = """INSERT INTO vehicle (parc, is_public, background_image) SELECT 'IMAGE', true,
'data:image/gif;base64,R0lGODlh' || repeat('A', 7000000)"""


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12, help="of each timing of the healthy client (12)")
    parser.add_argument("--rounds", type=int, default=3, help="of each attack (3)")
    parser.add_argument("--only", default="", help="only the attacks whose name holds this text")
    parser.add_argument("--record", action="store_true", help="write the table into docs/reliability.md")
    return parser.parse_args()


def rows(folder: Path, options: argparse.Namespace) -> Iterator[Felt]:
    """What was seen under each attack, one after the other, on one service."""
    with embedded_postgres(folder / "pg") as postgres:
        migrate.upgrade(postgres.url())
        asyncio.run(fill(postgres.url()))
        asyncio.run(run_sql(postgres.url(), IMAGE))
        token = bearer()
        program = serving("service", ROOT, postgres.url(), folder)
        with running(program, token) as server, bare_listener(server, token) as port:
            for title in (title for title in ATTACKS if options.only in title):
                seen = Felt(title)
                for _ in range(options.rounds):
                    asyncio.run(one_round(server, Target(port, token), ATTACKS[title], options.seconds, seen))
                yield seen


def main() -> int:
    """Prints the table; 1 if an attack was felt."""
    options = asked()
    make_room(6000)
    table, fine, place = [HEAD], True, machine()
    print(f"{place}\n\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for seen in rows(Path(name), options):
            fine &= seen.fine
            table.append(seen.row)
            print(seen.row, flush=True)
    if options.record:
        told = f"Medians of {options.rounds} rounds of {options.seconds:.0f} s each."
        record("\n".join([f"{place} {told}", "", *table]), DOCUMENT, MARKS)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
