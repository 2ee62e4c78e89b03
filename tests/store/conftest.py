"""Fixtures: the store of each kind on a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import run_sql
from store.stores import KINDS, Subject, new_database, opened


@pytest.fixture(scope="session")
def store_database(server: str, template: str) -> Iterator[str]:
    """URL of a migrated database that the tests of the stores share; each empties it first."""
    url = new_database(server, template)
    yield url
    run_sql(server, f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, store_database: str, tmp_path: Path) -> Iterator[Subject]:
    """A store of each kind, with nothing in it but the founder."""
    with opened(request.param, store_database, tmp_path) as found:
        yield found
