"""A lock that a test holds in Postgres, so that requests meet at a known point."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


class Lock:
    """What a statement locked in a transaction that is still open."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self._connection = connection

    def waiting(self) -> int:
        """How many requests wait for it."""
        found: int = self._runner.run(self._connection.fetchval(BLOCKED))
        return found

    def release(self) -> None:
        """Lets them go on."""
        self._runner.run(self._connection.execute("ROLLBACK"))


@contextmanager
def held(url: str, statement: str) -> Iterator[Lock]:
    """Runs a statement in a transaction and keeps its locks until they are released."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url, timeout=10))
        try:
            runner.run(connection.execute("BEGIN"))
            runner.run(connection.execute(statement))
            yield Lock(runner, connection)
        finally:
            runner.run(connection.close())
