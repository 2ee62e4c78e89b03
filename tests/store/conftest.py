"""Fixtures: the store of each kind on a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stores import KINDS, Subject, opened


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A store of each kind, with nothing in it but the founder; memory alone needs no database."""
    url = "" if request.param == "memory" else request.getfixturevalue("store_database")
    with opened(request.param, url, tmp_path) as found:
        yield found
