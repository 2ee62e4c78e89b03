"""French for what is counted."""

import pytest

from retrobus.words import decimal, duration, grouped, plural


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 ligne lue"), (1, "1 ligne lue"), (2, "2 lignes lues"), (1000, "1000 lignes lues")]
)
def test_the_plural_begins_with_two(count: int, said: str) -> None:
    assert plural(count, "ligne lue", "lignes lues") == said


def test_numbers_are_written_as_in_french() -> None:
    assert (grouped(999), grouped(1_048_576)) == ("999", "1\u202f048\u202f576")
    assert (decimal(3.62), decimal(-3.62, signed=True)) == ("3,6", "-3,6")
    assert (decimal(0.04, signed=True), decimal(-0.04, signed=True)) == ("+0,0", "+0,0")


def test_one_word_needs_no_plural_of_its_own() -> None:
    assert [plural(count, "membre") for count in (1, 3)] == ["1 membre", "3 membres"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 seconde"), (1, "1 seconde"), (45.5, "46 secondes"), (91, "2 minutes"), (900, "15 minutes")],
)
def test_a_wait_is_told_in_the_unit_of_people_and_never_too_short(seconds: float, said: str) -> None:
    assert duration(seconds) == said
