"""How long a healthy client waits: without attackers, while they attack a bare listener, and while they attack us."""

import asyncio
import contextlib
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from flooding.attacks import Attack, Target
from timing.servers import Server, memory

FOLDER = Path(__file__).resolve().parent
LEAD = 2.0
"""Seconds that the attackers have to arrive, and to be gone, before a healthy client is timed."""

STREAMED = 500_000
"""Bytes that the bare listener sends as a stream: about what all rows of the measurement take."""

WAIT = 2.0
"""How many times a healthy client may wait what the machine alone makes it wait."""

GROWTH = 256.0
"""MiB that the memory may grow at most under any attack."""


@dataclass
class Felt:
    """What was seen under one attack: one p99 in milliseconds per round, the memory in MiB, the attackers' answers."""

    name: str
    calm: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    attacked: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float:
        """How many times longer the client waits than without attackers, or with them elsewhere if that is longer."""
        return median(self.attacked) / max(median(self.bare), median(self.calm))

    @property
    def fine(self) -> bool:
        """Whether the client was never refused and hardly waited longer, in bounded memory."""
        served = all(map(math.isfinite, self.attacked))
        return served and self.ratio < WAIT and max(self.memory) - self.memory[0] < GROWTH

    @property
    def row(self) -> str:
        """The row as it stands in docs/reliability.md."""
        waits = " | ".join(f"{median(found):.1f}" for found in (self.calm, self.bare, self.attacked))
        mark = "" if self.fine else " **too much**"
        held = f"{self.memory[0]:.0f} → {max(self.memory):.0f} → {self.memory[-1]:.0f}"
        told = ", ".join(f"{count:,} × {what}" for what, count in self.told.most_common())
        return f"| {self.name} | {waits} | {self.ratio:.1f}{mark} | {held} | {told or 'nothing'} |"


HEAD = """| attack | p99 ms: calm | elsewhere | attacked | ratio | RSS MiB: before → highest → after | attackers saw |
| --- | ---: | ---: | ---: | ---: | --- | --- |"""


@contextlib.contextmanager
def bare_listener(server: Server, token: str) -> Iterator[int]:
    """The port of a bare listener, whose answers are as long as those of the service."""
    paths = ("/api/events", "/api/events.csv", "/public/vehicles/IMAGE/image")
    sizes = {path: len(server.get(path, token)[2]) for path in paths} | {"/api/changes/stream": STREAMED}
    command = [sys.executable, str(FOLDER / "bare.py"), json.dumps(sizes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())  # type: ignore[union-attr]  # it has a pipe
        finally:
            process.terminate()


async def healthy(server: Server, token: str, seconds: float) -> float:
    """The p99 of a healthy client in milliseconds; infinite if it was refused."""
    command = [str(FOLDER / "healthy.py"), str(server.port), token, str(seconds)]
    run = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    told, _ = await run.communicate()
    if run.returncode:
        return math.inf
    took = sorted(json.loads(told))
    return float(took[int(len(took) * 0.99)])


@contextlib.asynccontextmanager
async def attacking(attack: Attack, target: Target) -> AsyncIterator[None]:
    """The attackers, from when they have arrived until they have gone."""
    attackers = asyncio.ensure_future(attack(target))
    await asyncio.sleep(LEAD)
    try:
        yield
    finally:
        attackers.cancel()
        await asyncio.wait([attackers])
        await asyncio.sleep(LEAD)


async def watch_memory(server: Server, found: list[float]) -> None:
    """Notes the memory until it is cancelled."""
    while True:
        found.append(memory(server.pid))
        await asyncio.sleep(0.2)


async def one_round(server: Server, bare: Target, attack: Attack, seconds: float, seen: Felt) -> None:
    """One look at each: calm, the attackers elsewhere, attacked."""
    seen.calm.append(await healthy(server, bare.token, seconds))
    async with attacking(attack, bare):
        seen.bare.append(await healthy(server, bare.token, seconds))
    watch = asyncio.create_task(watch_memory(server, seen.memory))
    try:
        async with attacking(attack, Target(server.port, bare.token, seen.told)):
            seen.attacked.append(await healthy(server, bare.token, seconds))
    finally:
        watch.cancel()
    seen.memory.append(memory(server.pid))
