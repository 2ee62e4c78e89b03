"""The revision that the code expects."""

from retrobus.database import migrate
from retrobus.model import tables


def test_the_code_expects_the_newest_migration() -> None:
    assert migrate.head() == tables.REVISION
