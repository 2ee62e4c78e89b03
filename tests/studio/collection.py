"""The invented collection of `retrobus dev` in the database of a test."""

import asyncio

import asyncpg

from harness import apart
from retrobus.development import sample
from retrobus.model.resources import ALL


def load_collection(url: str) -> None:
    """Inserts every vehicle, event and member of the collection."""
    apart(lambda: asyncio.run(_load(url)))


async def _load(url: str) -> None:
    connection = await asyncpg.connect(url)
    collection = sample.collection()
    try:
        for resource in ALL:
            for row in collection[resource.name]:
                places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
                into = f"INSERT INTO {resource.table.name} ({', '.join(row)}) VALUES ({places})"
                await connection.execute(into, *row.values())
    finally:
        await connection.close()
