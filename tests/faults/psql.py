"""What somebody with psql does to the database while the service works."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg

from harness import Api, run_sql, until

ORDINARY = "ordinary"
"""A role that may use the tables, and nothing else: what a service should run as."""


@contextmanager
def open_transaction(api: Api, *statements: str) -> Iterator[Callable[[str], object]]:
    """A transaction as somebody with psql has it open; gives the means to go on in it."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(api.database_url))
        try:
            for statement in ("BEGIN", *statements):
                runner.run(connection.execute(statement))
            yield lambda statement: runner.run(connection.execute(statement))
        finally:
            runner.run(connection.close())  # also after a failed assertion: its locks would stop the tests that follow


def wait_for_a_waiter(api: Api) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until(lambda: api.sql(waiting), what="the service to wait for a lock")


@contextmanager
def server_setting(url: str, name: str, value: str) -> Iterator[None]:
    """While open, the whole server has this setting."""

    def change(statement: str) -> None:
        before = run_sql(url, f"SHOW {name}")
        run_sql(url, statement, "SELECT pg_reload_conf()")
        until(lambda: run_sql(url, f"SHOW {name}") != before, what=statement)

    change(f"ALTER SYSTEM SET {name} = '{value}'")
    try:
        yield
    finally:
        change(f"ALTER SYSTEM RESET {name}")


def set_for_database(api: Api, name: str, value: str) -> None:
    """Gives a setting to every connection to come; those of the service are ended, so that it has none left."""
    [[database]] = api.sql("SELECT current_database()")
    api.sql(f"ALTER DATABASE {database} SET {name} = '{value}'")
    end_connections(api)


def end_connections(api: Api) -> int:
    """Ends every backend that serves the service; how many those were."""
    theirs = "datname = current_database() AND application_name = 'retrobus'"
    return len(api.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {theirs}"))
