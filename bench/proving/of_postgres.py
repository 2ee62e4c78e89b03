"""Faults of the server's processes and of what the server is willing to do."""

import asyncio
import os
from contextlib import ExitStack, suppress
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import asyncpg
from proving.scene import OTHERS, Scene
from proving.site import Site

from harness import until
from locks import held

POOL = 10
"""Connections that a service has at most."""


def killed(scene: Scene) -> None:
    """Every process of Postgres is killed; three seconds later it is started again."""
    scene.begin()
    scene.postgres.kill()
    scene.lose_postgres()
    scene.wait(3)
    scene.find_postgres()


def stopped(scene: Scene) -> None:
    """An operator stops Postgres, and starts it three seconds later."""
    scene.begin()
    scene.postgres.stop()
    scene.lose_postgres()
    scene.wait(3)
    scene.find_postgres()


def frozen(scene: Scene) -> None:
    """Every process of Postgres is suspended for six seconds: connections stay, nothing answers."""
    scene.begin()
    scene.postgres.freeze()
    scene.lose_postgres()
    scene.wait(6)
    scene.heal()
    for site in scene.sites:
        site.find()
    scene.postgres.thaw()


def one_backend_killed(scene: Scene) -> None:
    """One backend of each service dies by SIGKILL, three times: Postgres then ends all the others and recovers."""
    scene.begin()
    for _ in range(3):
        victims = [pid for site in scene.sites for pid in site.backends()[:1]]
        for pid in victims:
            os.kill(pid, SIGKILL)
        for site in scene.sites:
            site.psql.leave()
        until(lambda: _answers(scene), what="Postgres to recover")
        scene.wait(1)
    scene.heal()


def _answers(scene: Scene) -> bool:
    with suppress(asyncpg.PostgresError, OSError):
        return all(site.psql.run("SELECT 1") for site in scene.sites)
    return False


def read_only(scene: Scene) -> None:
    """Writes are refused as by a standby; reads go on."""
    scene.begin()
    scene.all(lambda site: _set(site, "SET default_transaction_read_only = on"))
    scene.wait(4)
    scene.heal()
    scene.all(lambda site: _set(site, "RESET default_transaction_read_only"))


def _set(site: Site, change: str) -> None:
    site.psql.run("SET default_transaction_read_only = off")
    site.psql.run(f"ALTER DATABASE {site.database} {change}")
    site.end_connections()


def no_connection_left(scene: Scene) -> None:
    """Others take every connection that max_connections allows, and the services lose theirs."""
    scene.begin()
    with asyncio.Runner() as runner:
        others = runner.run(_take_all(scene))
        scene.wait(4)
        scene.heal()
        for other in others:
            other.terminate()
        runner.run(asyncio.sleep(0))


async def _take_all(scene: Scene) -> list[Any]:
    """Opens connections until Postgres has none left, and takes those of the services, which sleep meanwhile."""
    taken: list[Any] = []
    for site in scene.sites:
        site.service.send(SIGSTOP)
    for site in scene.sites:
        await asyncio.to_thread(site.end_connections)
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(scene.sites[0].url, user=OTHERS, timeout=10))
    for site in scene.sites:
        site.service.send(SIGCONT)
    return taken


def pool_exhausted(scene: Scene) -> None:
    """A lock on two tables keeps every connection of the pools busy: requests wait, then are refused."""
    scene.begin()
    with ExitStack() as locks:
        for site in scene.sites:
            locks.enter_context(held(site.url, "LOCK TABLE event, vehicle IN ACCESS EXCLUSIVE MODE"))
        scene.wait(4.5)
        scene.heal()


def ddl(scene: Scene) -> None:
    """An operator changes tables, indexes and functions under the load; no request may fail for it."""
    scene.begin()
    for round_ in range(6):
        scene.all(lambda site: _change_schema(site, round_))  # noqa: B023 - used at once
        scene.wait(0.6)
    scene.heal()


def _change_schema(site: Site, round_: int) -> None:
    for table in ("event", "vehicle", "member"):
        site.psql.run(f"ALTER TABLE {table} ADD COLUMN extra_{round_} text")
        site.psql.run(f"CREATE INDEX ON {table} (extra_{round_})")
        site.psql.run(f"ALTER TABLE {table} DROP COLUMN extra_{round_}")
        site.psql.run(f"ANALYZE {table}")
