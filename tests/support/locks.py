"""A lock that a test holds in Postgres, so that requests meet at a known point."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from harness import LONGEST

BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


class Lock:
    """What statements locked in a transaction that is still open."""

    def __init__(self, runner: asyncio.Runner, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._runner = runner
        self._connection = connection

    def waiting(self) -> int:
        """How many requests wait for it."""
        found: int = self._runner.run(self._connection.fetchval(BLOCKED))
        return found

    def run(self, statement: str) -> None:
        """Goes on in the transaction."""
        self._runner.run(self._connection.execute(statement))

    def release(self) -> None:
        """Lets the requests go on."""
        self.run("ROLLBACK")


@contextmanager
def held(url: str, *statements: str) -> Iterator[Lock]:
    """Runs statements in a transaction and keeps their locks until they are released."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url, timeout=LONGEST))
        lock = Lock(runner, connection)
        try:
            for statement in ("BEGIN", *statements):
                lock.run(statement)
            yield lock
        finally:
            runner.run(connection.close())  # also after a failed assertion: its locks would stop the tests that follow
