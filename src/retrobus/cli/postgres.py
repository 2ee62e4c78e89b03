"""A connection to PostgreSQL for one command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from retrobus.cli.terminal import CONFIGURATION, stop
from retrobus.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from retrobus.database.pooler import OwnNames
    from retrobus.database.server import Timelines

T = TypeVar("T")
TIMEOUT = 10.0
"""Seconds for the connect, and for the end of the connection."""


def url_or_exit() -> str:
    """DATABASE_URL; without it, one sentence and exit code 78."""
    url = Settings().database_url
    if url is None:
        raise stop("DATABASE_URL manque : indiquez la base (voir .env.example).", CONFIGURATION)
    return url.get_secret_value()


def with_connection(work: Callable[[OwnNames], Awaitable[T]], timelines: Timelines | None = None) -> T:
    """The result of the work on one connection; `retrobus.cli.failures` has a sentence for what goes wrong.

    With `timelines`, every server of DATABASE_URL is asked first, so that a former primary is never chosen.
    """
    from retrobus.database.errors import DriverError
    from retrobus.database.session import connect_for_command

    async def run() -> T:
        connection = await connect_for_command(url, TIMEOUT, "retrobus cli", timelines)
        try:
            return await work(connection)
        except DriverError as error:
            raise _behind(error)  # noqa: B904 - the error behind it has a cause of its own
        finally:
            try:
                await connection.close(timeout=TIMEOUT)
            except Exception:  # noqa: BLE001 - the work is done or has failed: how its connection ends changes nothing
                connection.terminate()

    url = url_or_exit()
    return asyncio.run(run())


def _behind(error: BaseException) -> BaseException:
    """The error that stopped the work: on a connection that the server has cut, the driver's own error hides it.

    For example: the disk is full, and meanwhile the server cut the idle connection. No transaction can be ended on it,
    so the driver raises its own error; the operator must read of the disk.
    """
    from retrobus.database.errors import DriverError

    while isinstance(error, DriverError) and error.__context__ is not None:
        error = error.__context__
    return error
