"""The embedded PostgreSQL that runs in a folder, as another program finds it."""

from pathlib import Path
from urllib.parse import quote

DATABASE = "retrobus"
"""The database of `retrobus dev`."""


def status(cluster: Path) -> list[str]:
    """The lines of postmaster.pid: process, folder, start, port, socket, address, memory, state; none if it is absent.

    PostgreSQL removes the file when it stops, but not when it is killed.
    """
    try:
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def url_by(socket: str, port: str | int, database: str) -> str:
    """The address for asyncpg, psql and SQLAlchemy: superuser, no password, Unix socket."""
    return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(socket)}&port={port}"


def running_url(data: Path) -> str | None:
    """The address of the database of `retrobus dev` that runs in the folder `data`; None if none runs."""
    lines = status(data / "cluster")
    return url_by(lines[4], lines[3], DATABASE) if lines[7:8] == ["ready"] else None
