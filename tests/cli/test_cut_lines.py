"""Facts about commands whose connection is cut: the operator hears what stopped the work, not how its ending failed."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from retrobus.backups import BadBackup
from retrobus.cli.failures import sentence
from retrobus.cli.postgres import with_connection
from retrobus.store.confirmed import confirmed

Work = Callable[[Any], Awaitable[None]]


async def cut(connection: Any) -> None:
    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def confirmed_work(connection: Any) -> None:
    async with confirmed(connection):
        await cut(connection)


async def plain_work(connection: Any) -> None:
    async with connection.transaction():
        await cut(connection)


async def nested_work(connection: Any) -> None:
    async with connection.transaction(), connection.transaction():
        await cut(connection)


async def closed_by_the_driver(connection: Any) -> None:
    async with connection.transaction():
        connection.terminate()
        await connection.fetchval("SELECT 1")


async def full_disk(connection: Any) -> None:
    async with connection.transaction(), confirmed(connection):
        connection.terminate()
        raise BadBackup("plus de place sur le disque")


@pytest.mark.parametrize("work", [confirmed_work, plain_work, nested_work, closed_by_the_driver])
def test_a_connection_that_is_cut_during_the_work_is_told_as_cut(
    work: Work, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as ended:
        with_connection(work)

    said = sentence(ended.value) or ""
    assert said.startswith("La connexion à PostgreSQL s'est rompue pendant le travail : ")
    assert "elle est fermée" in said or "le serveur l'a coupée" in said


def test_the_error_that_stopped_the_work_is_told_although_the_connection_is_cut_too(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)

    with pytest.raises(BadBackup, match="plus de place"):
        with_connection(full_disk)
