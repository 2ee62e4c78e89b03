"""The peers of `bench/peers`: which can run here, and how they are started."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from timing.collection import EVENTS, SECRET, VEHICLES, run_sql
from timing.servers import Program

PROGRAMS = Path(__file__).parents[1] / "peers"
DEFAULT = Path.home() / ".cache" / "retrobus-peers"
NODE = {"Express 5 + Prisma 7": "express_prisma.cjs", "Express 5 + node-postgres": "express_pg.cjs"}
TEXTBOOK = "FastAPI + SQLAlchemy ORM"


def packages(folder: Path) -> Path | None:
    """Where `make peers` has put the packages of Node.js; None if they or Node.js are missing."""
    found = folder / "node_modules"
    return found if shutil.which("node") and (found / "express").is_dir() else None


async def fill(url: str) -> None:
    """Makes the peers' tables, with the rows that the service has."""
    await run_sql(url, (PROGRAMS / "schema.sql").read_text(), VEHICLES, EVENTS, "VACUUM ANALYZE")


def peers(url: str, folder: Path, node: Path | None) -> Iterator[Program]:
    """The peers that can run here, on the database at `url`."""
    address = urlsplit(url)
    place = {"PGHOST": parse_qs(address.query)["host"][0], "PGUSER": "postgres", "PGDATABASE": address.path[1:]}
    environment = place | {"JWT_SECRET": SECRET, "NODE_ENV": "production"}
    if node is not None:
        for name, file in NODE.items():
            command = ["node", str(PROGRAMS / file)]
            yield Program(name, command, environment | {"NODE_PATH": str(node)}, folder, url)
    start = "import os, uvicorn; uvicorn.run('textbook:app', port=int(os.environ['PORT']), log_level='error')"
    path = {"PYTHONPATH": str(PROGRAMS)}
    yield Program(TEXTBOOK, [sys.executable, "-c", start], environment | path, folder, url)


def folder_of(option: str | None) -> Path:
    """The folder that the option or RETROBUS_BENCH_PEERS names, or the usual one."""
    return Path(option or os.environ.get("RETROBUS_BENCH_PEERS") or DEFAULT).expanduser()
