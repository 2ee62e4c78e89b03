"""Attacks the service in nine ways while a healthy client uses it: `make flood`. About four minutes.

Each attack lasts 20 seconds. A healthy client in a process of its own asks for a vehicle before it and during it.
The memory of the service is looked at before, at its highest, and after. Ends with 1 if the healthy client is refused
or waits twice as long (p99), or if memory grows by more than a bound.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from connections import make_room
from flooding.attacks import ATTACKS, Attack, Target
from timing.collection import bearer, fill, run_sql
from timing.servers import Server, memory, running, serving

from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

ROOT = Path(__file__).resolve().parents[1]
HEALTHY = ROOT / "bench/flooding/healthy.py"

IMAGE = """INSERT INTO vehicle (parc, is_public, background_image) SELECT 'IMAGE', true,
'data:image/gif;base64,R0lGODlh' || repeat('A', 7000000)"""
GROWTH = 256.0
"""MiB that the memory may grow at most under any attack."""

WAIT = 2.0
"""How many times its calm p99 a healthy client may wait."""

LEAST = 5.0
"""Milliseconds below which a p99 is taken for this much: it is the noise of a machine with other work."""

HEAD = """| attack | healthy p99 ms: calm → attacked | RSS MiB: before → highest → after | what the attackers saw |
| --- | --- | --- | --- |"""


@dataclass
class Seen:
    """One row of the table."""

    name: str
    calm: float
    attacked: float
    before: float
    highest: float
    after: float
    told: str

    @property
    def fine(self) -> bool:
        """Whether the healthy client hardly noticed, in bounded memory."""
        return self.attacked < WAIT * max(self.calm, LEAST) and self.highest - self.before < GROWTH

    @property
    def row(self) -> str:
        """The row as it stands in docs/reliability.md."""
        memory_ = f"{self.before:.0f} → {self.highest:.0f} → {self.after:.0f}"
        mark = "" if self.fine else " **too much**"
        return f"| {self.name} | {self.calm:.1f} → {self.attacked:.1f}{mark} | {memory_} | {self.told} |"


async def healthy(server: Server, token: str, seconds: float) -> float:
    """The p99 of a healthy client in milliseconds; infinite if it was refused."""
    command = [str(HEALTHY), str(server.port), token, str(seconds)]
    run = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    told, _ = await run.communicate()
    if run.returncode:
        return float("inf")
    took = sorted(json.loads(told))
    return float(took[int(len(took) * 0.99)])


async def highest_memory(server: Server) -> float:
    """Looks at the memory until it is cancelled; the highest."""
    found = 0.0
    with suppress(asyncio.CancelledError):
        while True:
            found = max(found, memory(server.pid))
            await asyncio.sleep(0.2)
    return found


async def attacked(server: Server, name: str, attack: Attack, seconds: float) -> Seen:
    """One attack: calm, attacked, and calm again after the attackers have gone."""
    token = bearer()
    target = Target(server.port, token)
    calm, before = await healthy(server, token, seconds / 2), memory(server.pid)
    watch, attackers = asyncio.create_task(highest_memory(server)), asyncio.ensure_future(attack(target))
    await asyncio.sleep(2)
    waited = await healthy(server, token, seconds)
    attackers.cancel()
    watch.cancel()
    await asyncio.wait([attackers])
    highest = await watch
    calm = max(calm, await healthy(server, token, seconds / 2))
    told = ", ".join(f"{count:,} × {what}" for what, count in target.seen.most_common())
    return Seen(name, calm, waited, before, highest, memory(server.pid), told or "nothing")


def main() -> int:
    """Prints the table; 1 if an attack was felt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each attack (20)")
    parser.add_argument("--only", default="", help="only the attacks whose name holds this text")
    options = parser.parse_args()
    make_room(6000)
    fine = True
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "pg") as postgres:
        migrate.upgrade(postgres.url())
        asyncio.run(fill(postgres.url()))
        asyncio.run(run_sql(postgres.url(), IMAGE))
        with running(serving("service", ROOT, postgres.url(), Path(name)), bearer()) as server:
            print(HEAD, flush=True)
            for title, attack in ATTACKS.items():
                if options.only in title:
                    seen = asyncio.run(attacked(server, title, attack, options.seconds))
                    fine &= seen.fine
                    print(seen.row, flush=True)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
