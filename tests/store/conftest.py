"""Fixtures: the store of each kind on a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stores import KINDS, Subject, opened


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, store_database: str, tmp_path: Path) -> Iterator[Subject]:
    """A store of each kind, with nothing in it but the founder."""
    with opened(request.param, store_database, tmp_path) as found:
        yield found
