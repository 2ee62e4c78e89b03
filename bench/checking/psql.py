"""A person with psql on a database."""

import asyncio
import threading

import asyncpg

DEADLINE = 30.0


class Psql:
    """Runs statements for any thread, one at a time, and connects again after each crash."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def run(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a statement; raises its errors."""
        with self._turn:
            return self._loop.run_until_complete(self._run(statement, values))

    async def _run(self, statement: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=DEADLINE)
        return await self._connection.fetch(statement, *values)

    def leave(self) -> None:
        """Ends the connection without asking the server."""
        with self._turn:
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Ends the connection and its event loop."""
        self.leave()
        self._loop.close()
