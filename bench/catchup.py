"""Measures how soon an outage ends while clients go on writing: `python bench/catchup.py [WRITES A SECOND] …`.

Postgres is stopped for six seconds and started again. Before, during and after it, sixteen clients send so many writes
a second (300 unless told otherwise): they create, change three times and delete, and leave half of their rows. It says
how long Postgres has answered before the service lets it answer again, and what the clients saw until then. The
program ends with 1 if that takes more than a minute, or if a row is not what the last answer about it said. To see the
service on a full machine, give it one processor: `taskset -c 0 python bench/catchup.py`.
"""

import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from timing.collection import BODY, TITLE, WRITE, bearer, fill
from timing.load import CONNECTIONS, connection, request
from timing.servers import running, serving

from retrobus.database import migrate
from retrobus.development.embedded import EmbeddedPostgres, embedded_postgres

BEFORE, AWAY, AFTER, LIMIT = 2.0, 6.0, 2.0, 60.0
"""Seconds of writes before the outage; of the outage; of writes after it; that its end may take."""

LOOK = 0.1
"""Seconds between two looks for its end."""

LATE = 0.2
"""Seconds by which a client makes up for writes that it could not send in time."""

CREATE, DELETE = frozenset({0, 4}), 7
"""Of eight writes these create a row, this one deletes it, and the others change it."""

ROOT = Path(__file__).resolve().parents[1]
TOGGLES = {"ENABLE_MEMORY_FALLBACK": "true", "ENABLE_RUNTIME_STATE_SAVE": "true"}


@dataclass
class Seen:
    """Of each answer when it came, its status and its seconds; of each row the title that it must have, if it stays."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)
    titles: dict[str, str | None] = field(default_factory=dict)
    over: bool = False


@dataclass
class Client:
    """One client and its present row."""

    token: str
    seen: Seen
    row: str = ""

    async def write(self, ask: Callable[[bytes], Any], turn: int) -> None:
        """The write of this turn; what it left is noted if it was acknowledged, and forgotten if nobody can know."""
        title, place = f"Titre {turn}", f"{WRITE.path}/{self.row}"
        if turn % 8 in CREATE:
            title = TITLE
            text = request("POST", WRITE.path, self.token, BODY, idempotency_key=secrets.token_hex(8))
        elif turn % 8 == DELETE:
            text = request("DELETE", place, self.token)
        else:
            text = request("PATCH", place, self.token, json.dumps({"title": title}).encode())
        began = time.monotonic()
        status, answer = await ask(text)
        self.seen.answers.append((time.monotonic(), status, time.monotonic() - began))
        if status >= 300:
            self.seen.titles.pop(self.row, None)
            return
        self.row = json.loads(answer)["id"] if turn % 8 in CREATE else self.row
        self.seen.titles[self.row] = None if turn % 8 == DELETE else title


async def write_on(port: int, client: Client, rate: float) -> None:
    """Writes at each of its moments, or as soon as it can."""
    due, turn = time.monotonic(), 0
    async with connection(port) as ask:
        while not client.seen.over:
            due = max(due + CONNECTIONS / rate, time.monotonic() - LATE)
            await asyncio.sleep(due - time.monotonic())
            await client.write(ask, turn)
            turn += 1


def first_from_postgres(seen: Seen, since: float) -> float | None:
    """When Postgres first took a write after this moment."""
    return min((at for at, status, _ in seen.answers if at > since and status in {200, 201}), default=None)


async def ended(seen: Seen, back: float) -> None:
    """Waits until Postgres takes a write, or for a minute."""
    for _ in range(int(LIMIT / LOOK)):
        if first_from_postgres(seen, back) is not None:
            return
        await asyncio.sleep(LOOK)


async def go_through(postgres: EmbeddedPostgres, port: int, token: str, rate: float) -> tuple[Seen, float, float]:
    """The outage under load; what was seen, when Postgres went, when it was back."""
    seen = Seen()
    clients = [asyncio.create_task(write_on(port, Client(token, seen), rate)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(BEFORE)
    gone = time.monotonic()
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(AWAY)
    await asyncio.to_thread(postgres.start)
    back = time.monotonic()
    await ended(seen, back)
    await asyncio.sleep(AFTER)
    seen.over = True
    await asyncio.gather(*clients)
    return seen, gone, back


async def wrong_rows(url: str, titles: dict[str, str | None]) -> int:
    """Rows that are not what the last answer said, and conflicts."""
    database = await asyncpg.connect(url)
    try:
        found = dict(await database.fetch("SELECT id, title FROM event"))
        conflicts: int = await database.fetchval("SELECT count(*) FROM conflict")
    finally:
        await database.close()
    return conflicts + sum(found.get(row) != title for row, title in titles.items())


def measured(rate: float) -> bool:
    """Prints one line of the table; whether the outage ended and every row is right."""
    token = bearer()
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "pg") as postgres:
        migrate.upgrade(postgres.url())
        asyncio.run(fill(postgres.url()))
        program = serving("service", ROOT, postgres.url(), Path(name), LOG_LEVEL="error", **TOGGLES)
        with running(program, token) as server:
            seen, gone, back = asyncio.run(go_through(postgres, server.port, token, rate))
        wrong = asyncio.run(wrong_rows(postgres.url(), seen.titles))
    end = first_from_postgres(seen, back)
    until = back + LIMIT if end is None else end
    times = sorted(took for at, _, took in seen.answers if gone < at < until)
    p50, p99 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.99))
    statuses = Counter(status for at, status, _ in seen.answers if gone < at < until)
    replayed_beside = sum(back < at < until for at, _, _ in seen.answers) / (until - back)
    told = ", ".join(f"{count} × {status}" for status, count in statuses.most_common())
    lasted = "never" if end is None else f"{end - back:.1f}"
    print(f"| {rate:.0f} | {replayed_beside:.0f} | {lasted} | {p50:.1f} / {p99:.1f} | {told} | {wrong} |", flush=True)
    return end is not None and not wrong


def main() -> None:
    """Prints the table."""
    print(
        "| writes a second, wanted | sent during the replay | s until it ended | p50 / p99, ms | answers | wrong rows |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    kept = [measured(float(rate)) for rate in sys.argv[1:] or (300,)]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
