"""The connection of one command or migration: to the server that suits, without the limits of a service's session."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from retrobus.database.errors import state_of
from retrobus.database.hosts import Hosts
from retrobus.database.pooler import PROTOCOL, OwnNames, explained
from retrobus.database.server import Timelines

UNHURRIED = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""The limits of a command's session: none, except those that the command itself sets for its transactions."""

UNKNOWN_SETTING = "42704"

WITHOUT_END = """SELECT set_config('transaction_timeout', '0', {local})
WHERE current_setting('transaction_timeout', true) <> '0' AND {where}"""
"""Lifts a limit that PostgreSQL has since version 17 only, and that older ones refuse at connect."""

LONG_TRANSACTION = WITHOUT_END.format(local="true", where="true")
"""The same for the transaction under way."""


async def connect_for_command(url: str, seconds: float, name: str, timelines: Timelines | None = None) -> OwnNames:
    """The connection of one command or migration; CannotConnect says why there is none.

    It keeps no prepared statement beyond its transaction, so that it works behind a pooler too. Limits that an
    operator gave the database or the role are for the short work of a service: they do not cut a command short.
    With `timelines` every server is heard first, and no former primary is taken: for what must not be lost.
    """

    async def opening(place: Mapping[str, Any]) -> OwnNames:
        try:
            try:
                return await _without_end(await _connected(url, place, seconds, {"application_name": name} | UNHURRIED))
            except asyncpg.PostgresError as error:
                # A pooler refuses one of these parameters, or a server older than 14 does not know one.
                if state_of(error) not in {PROTOCOL, UNKNOWN_SETTING}:
                    raise
            return await _connected(url, place, seconds, {"application_name": name})
        except asyncpg.PostgresError as error:
            raise explained(error) from error

    connection, _ = await Hosts[OwnNames](url, opening, seconds, timelines).open(hear_all=timelines is not None)
    return connection


async def _connected(url: str, place: Mapping[str, Any], seconds: float, settings: dict[str, str]) -> OwnNames:
    connection: OwnNames = await asyncpg.connect(
        url,
        **place,
        timeout=seconds,
        statement_cache_size=0,
        server_settings=settings,
        connection_class=OwnNames,
    )
    return connection


async def _without_end(connection: OwnNames) -> OwnNames:
    """The same connection without a limit on transactions; behind a pooler it is left alone, for it is shared."""
    own = f"pg_backend_pid() = {connection.get_server_pid()}"
    try:
        await connection.execute(WITHOUT_END.format(local="false", where=own))
    except BaseException:
        connection.terminate()
        raise
    return connection
