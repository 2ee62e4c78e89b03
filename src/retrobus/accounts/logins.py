"""The count of wrong passwords in PostgreSQL, which all processes of the service share."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from retrobus.accounts.throttle import PER_ADDRESS, WINDOW, Seen, Try, Uncounted, wait_for
from retrobus.store.attempts import Attempts
from retrobus.store.availability import Availability
from retrobus.store.pool import Connection

T = TypeVar("T")

LOOK = """SELECT key, tries, trusted, extract(epoch FROM started_at - now())::float8 + $2 AS left
FROM login_throttle WHERE key = ANY($1::bytea[])"""
HOLD = LOOK + " ORDER BY key FOR UPDATE"
COUNT = """INSERT INTO login_throttle AS kept (key) SELECT unnest($1::bytea[]) AS added ORDER BY added
ON CONFLICT (key) DO UPDATE SET
  tries = CASE WHEN kept.started_at + make_interval(secs => $2) > now() THEN kept.tries + 1 ELSE 1 END,
  started_at = CASE WHEN kept.tries > 0 AND kept.started_at + make_interval(secs => $2) > now()
    THEN kept.started_at ELSE now() END"""
TRUST = """INSERT INTO login_throttle (key, tries, trusted) VALUES ($1, 0, true)
ON CONFLICT (key) DO UPDATE SET tries = 0, trusted = true, started_at = now()"""
TAKE_BACK = "UPDATE login_throttle SET tries = greatest(tries - 1, 0) WHERE key = ANY($1::bytea[])"
PRUNE = """DELETE FROM login_throttle WHERE started_at < now() - CASE WHEN trusted THEN interval '30 days'
  ELSE make_interval(secs => $1) END"""


class SharedCounts:
    """`Counts` over the table `login_throttle`; the table is unlogged, so that a crash of the server empties it."""

    def __init__(self, availability: Availability) -> None:
        self._attempts = Attempts(availability)

    async def wait_of(self, address: bytes) -> float:
        """See `Counts`."""

        async def work(connection: Connection) -> float:
            rows = await connection.fetch(LOOK, [address], WINDOW)
            return max((row["left"] for row in rows if row["tries"] >= PER_ADDRESS), default=0.0)

        return max(0.0, await self._asked(work))

    async def admit(self, one: Try) -> float:
        """See `Counts`; the rows stay locked from the look to the count, so that two processes take turns."""

        async def work(connection: Connection) -> float:
            async with connection.transaction():
                rows = {row["key"]: row for row in await connection.fetch(HOLD, one.keys, WINDOW)}
                wait = wait_for((_seen(rows, one.pair), _seen(rows, one.address), _seen(rows, one.account)))
                if not wait:
                    await connection.execute(COUNT, one.keys, WINDOW)
            return wait

        return await self._asked(work)

    async def succeeded(self, one: Try) -> None:
        """See `Counts`."""

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(TRUST, one.pair)
                await connection.execute(TAKE_BACK, sorted((one.address, one.account)))

        await self._asked(work)

    async def prune(self) -> None:
        """Deletes the rows that count no more."""

        async def work(connection: Connection) -> None:
            await connection.execute(PRUNE, WINDOW)

        await self._asked(work)

    async def _asked(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._attempts.run(work)
        except Exception as error:
            raise Uncounted from error  # away, a standby, a missing right: no login fails because it cannot be counted


def _seen(rows: dict[bytes, Any], key: bytes) -> Seen:
    row = rows.get(key)
    if row is None:
        return Seen()
    return Seen(row["tries"], row["left"], row["trusted"]) if row["left"] > 0 else Seen(trusted=row["trusted"])
