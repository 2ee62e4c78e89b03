"""The revision that the code expects."""

from retrobus import migrate, tables


def test_the_code_expects_the_newest_migration() -> None:
    assert migrate.head() == tables.REVISION
