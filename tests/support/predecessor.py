"""The predecessor's database, invented, in a database of its own on the tests' server."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from harness import LONGEST, at, run_sql

SCHEMA = (Path(__file__).parents[1] / "data/predecessor.sql").read_text(encoding="utf-8")


@contextmanager
def predecessor(server: str, script: str = SCHEMA) -> Iterator[str]:
    """URL of a new database that this script filled."""
    name = f"ancienne_{os.urandom(4).hex()}"
    run_sql(server, f"CREATE DATABASE {name}")
    try:
        fill(at(server, name), script)
        yield at(server, name)
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def fill(url: str, script: str = SCHEMA) -> None:
    """Runs a script of many statements."""

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=LONGEST)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(run())
