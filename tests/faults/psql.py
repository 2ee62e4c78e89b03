"""What an operator with psql does to the server while the service works."""

from collections.abc import Iterator
from contextlib import contextmanager

from harness import Api, run_sql, until

ORDINARY = "ordinary"
"""A role that may use the tables, and nothing else: what a service should run as."""


@contextmanager
def server_setting(url: str, name: str, value: str) -> Iterator[None]:
    """While open, the whole server has this setting."""

    def change(statement: str) -> None:
        before = run_sql(url, f"SHOW {name}")
        run_sql(url, statement, "SELECT pg_reload_conf()")
        until(lambda: run_sql(url, f"SHOW {name}") != before, statement)

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
    return len(api.sql(f"SELECT pg_terminate_backend(pid, 90000) FROM pg_stat_activity WHERE {theirs}"))
