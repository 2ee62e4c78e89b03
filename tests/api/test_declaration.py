"""A declaration that no route could keep is refused when the module is imported."""

import pytest

from retrobus.api.answers import listing, row
from retrobus.api.declaration import Route
from retrobus.api.queries import text
from retrobus.api.rights import MEMBERS


def test_filters_are_declared_for_lists_alone() -> None:
    assert Route("GET", "", MEMBERS, listing("EventList", "events"), filters=(text("layout"),)).filters
    with pytest.raises(ValueError, match=r"GET /\{id\}: filters"):
        Route("GET", "/{id}", MEMBERS, row("Event"), filters=(text("layout"),))
