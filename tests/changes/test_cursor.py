"""What a follower keeps between two requests, and how far it has read: no database is needed to know it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrobus.changes.cursor import Cursor, Scope, _hash, cursor_in
from retrobus.changes.feed import Changes, _aim, _known, _told, item_of
from retrobus.changes.snapshots import Look
from retrobus.store.errors import Busy, ReadOnly, Resync

SEEN = Look("90:120:100,110", 90, 812, "identity", "marker", "00000001")
SCOPE = Scope(("Event", "Vehicle"))
ORIGIN = SCOPE.origin(SEEN)
NUMBERS = st.integers(0, 2**63 - 1)


@st.composite
def a_cursor(draw: st.DrawFn) -> Cursor:
    highest = draw(NUMBERS)
    late = draw(st.dictionaries(NUMBERS, st.integers(0, highest), max_size=4))
    return Cursor(ORIGIN, highest, late, draw(st.none() | NUMBERS), draw(st.booleans()))


def text_of(*told: Any) -> str:
    """The text of a cursor that says this, whatever it is, under a right mark."""
    plain = json.dumps(told, separators=(",", ":"))
    return urlsafe_b64encode(f"{_hash(plain)}{plain}".encode()).decode().rstrip("=")


def refusal(text: str) -> str | None:
    """Why a text is no cursor; None if it is one."""
    try:
        cursor_in(text)
    except ValueError as error:
        return str(error)
    return None


@given(a_cursor())
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert cursor_in(cursor.text()) == cursor


def test_a_cursor_is_a_text_for_addresses_that_names_all_it_holds() -> None:
    text = Cursor("abc", 812, {110: 800, 100: 790}, None).text()

    plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()

    assert text == text.strip("=")
    assert (len(plain.partition("[")[0]), plain[12:]) == (12, '["abc",812,[[100,790],[110,800]],null,false]')


def test_the_smallest_and_the_largest_numbers_are_taken() -> None:
    for number in (0, 2**63 - 1):
        cursor = Cursor(ORIGIN, number, {number: number}, number)
        assert cursor_in(cursor.text()) == cursor


@pytest.mark.parametrize(
    "told",
    [
        (ORIGIN, 812, [], None),
        (ORIGIN, 812, [], None, False, 1),
        (1, 812, [], None, False),
        (None, 812, [], None, False),
        (ORIGIN, -1, [], None, False),
        (ORIGIN, 2**63, [], None, False),
        (ORIGIN, "812", [], None, False),
        (ORIGIN, True, [], None, False),
        (ORIGIN, 812.0, [], None, False),
        (ORIGIN, 812, [[100, 813]], None, False),
        (ORIGIN, 812, [[-1, 800]], None, False),
        (ORIGIN, 812, [[100, -1]], None, False),
        (ORIGIN, 812, [[110, 800], [100, 790]], None, False),
        (ORIGIN, 812, [[100, 790], [100, 790]], None, False),
        (ORIGIN, 812, [100], None, False),
        (ORIGIN, 812, None, None, False),
        (ORIGIN, 812, [], -1, False),
        (ORIGIN, 812, [], True, False),
        (ORIGIN, 812, [], None, 0),
        (ORIGIN, 812, [], None, None),
        {"origin": ORIGIN},
    ],
    ids=repr,
)
def test_what_no_cursor_says_is_refused(told: Any) -> None:
    assert refusal(text_of(*told)) is not None


@pytest.mark.parametrize("text", ["", "x", "é", "====", "bm90IGEgY3Vyc29y", "A" * 8192, "A" * 8193, "[" * 8000])
def test_any_other_text_is_refused_and_quoted_by_its_beginning(text: str) -> None:
    said = refusal(text)

    assert said is not None
    assert len(said) < 200


def test_one_changed_character_is_noticed() -> None:
    text = Cursor(ORIGIN, 812).text()

    for position in range(len(text)):
        other = "A" if text[position] != "A" else "B"
        assert refusal(text[:position] + other + text[position + 1 :]) is not None


def test_padding_or_a_longer_mark_is_another_text() -> None:
    text = Cursor(ORIGIN, 812).text()

    for other in (f"{text}=", f"{text}==", f" {text}", f"{text}\n"):
        assert refusal(other) is not None


def test_a_cursor_as_long_as_may_be_is_read_and_a_longer_one_is_not() -> None:
    texts = [Cursor(ORIGIN, 2**60, {number: 2**59 + number for number in range(count)}).text() for count in range(400)]
    fits = [text for text in texts if len(text) <= 8192]

    assert len(max(fits, key=len)) > 8100
    assert all(cursor_in(text) for text in fits[-3:])
    assert refusal(texts[len(fits)]) is not None


def test_a_cursor_of_exactly_the_longest_length_is_read() -> None:
    plain = 8192 * 3 // 4 - len(urlsafe_b64decode(Cursor("", 812).text() + "=="))
    cursor = Cursor("x" * plain, 812)

    assert len(cursor.text()) == 8192
    assert cursor_in(cursor.text()) == cursor


def test_what_a_cursor_is_good_for_depends_on_scope_and_database() -> None:
    scopes = [SCOPE, Scope(("Event",)), replace(SCOPE, public=True), replace(SCOPE, own="m1"), replace(SCOPE, own="m2")]
    looks = [replace(SEEN, identity="other"), replace(SEEN, marker="other"), replace(SEEN, timeline="other")]

    origins = {scope.origin(SEEN) for scope in scopes} | {SCOPE.origin(seen) for seen in looks}

    assert len(origins) == 8
    assert {len(origin) for origin in origins} == {12}
    assert SCOPE.origin(replace(SEEN, snapshot="1:2:", oldest=1, highest=1)) == ORIGIN


def test_a_follower_reads_on_above_all_but_what_a_late_transaction_may_have_committed() -> None:
    cursor = Cursor(ORIGIN, 812, {100: 790, 110: 800})

    starts = [cursor.start(frozenset(running)) for running in ({100, 110}, {100}, {110}, {120}, ())]

    assert starts == [812, 800, 790, 790, 790]


def test_a_snapshot_names_the_transactions_that_run() -> None:
    assert SEEN.running == {100, 110}
    assert replace(SEEN, snapshot="90:90:").running == frozenset()


def test_without_a_cursor_a_follower_begins_above_the_base() -> None:
    assert _known(800, SCOPE, SEEN) == Cursor(ORIGIN, 800, first=True)


def test_a_cursor_is_known_where_it_was_given() -> None:
    known = Cursor(ORIGIN, 812, {100: 790})

    assert _known(known, SCOPE, SEEN) is known


@pytest.mark.parametrize(
    ("cursor", "seen", "error"),
    [
        (Cursor("another", 812), SEEN, Resync),
        (Cursor(ORIGIN, 813), SEEN, Resync),
        (Cursor(ORIGIN, 812), replace(SEEN, timeline=""), ReadOnly),
        (800, replace(SEEN, timeline=""), ReadOnly),
    ],
)
def test_a_cursor_of_elsewhere_is_refused(cursor: Cursor | int, seen: Look, error: type[Exception]) -> None:
    with pytest.raises(error):
        _known(cursor, SCOPE, seen)


def test_late_are_those_who_ran_before_the_reader_and_a_late_one_keeps_its_lower_bound() -> None:
    aimed = _aim(Cursor(ORIGIN, 812, {100: 790}, 805, first=True), 820, frozenset({100, 110, 120, 130}), 120)

    assert aimed == Cursor(ORIGIN, 820, {100: 790, 110: 812}, None, first=True)


@pytest.mark.parametrize(("running", "refused"), [(300, False), (301, True)])
def test_more_transactions_than_a_cursor_can_name_are_an_overload(running: int, *, refused: bool) -> None:
    numbers = frozenset(range(running))

    if refused:
        with pytest.raises(Busy):
            _aim(Cursor(ORIGIN), 1, numbers, 1000)
    else:
        assert len(_aim(Cursor(ORIGIN), 1, numbers, 1000).late) == 300


def told(count: int, limit: int, *, again: bool = False) -> Changes:
    rows = [Found(("Event", f"e{number}", number, None)) for number in range(1, count + 1)]
    return _told(rows, Cursor(ORIGIN, 820, {100: 790}, None, first=True), limit, SEEN, again=again)


class Found(tuple[Any, ...]):
    """A row as the driver gives it: by position and by name."""

    __slots__ = ()

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(2 if name == "version" else name)


def test_a_page_that_is_not_the_last_says_where_it_ended() -> None:
    page = told(3, 2)

    assert len(page.items) == 2
    assert (page.cursor, page.more) == (Cursor(ORIGIN, 820, {100: 790}, 2, first=True), True)


@pytest.mark.parametrize("again", [True, False])
def test_the_last_page_of_a_long_reading_is_followed_by_another_reading(*, again: bool) -> None:
    page = told(2, 2, again=again)

    assert len(page.items) == 2
    assert (page.cursor, page.more) == (Cursor(ORIGIN, 820, {100: 790}), again)


def test_a_change_is_told_with_its_row_or_as_a_deletion() -> None:
    gone, there = item_of("Event", 'f"ête', 12, None), item_of("Vehicle", "920", 13, b'{"parc":"920"}')

    assert json.loads(gone) == {"resource": "Event", "key": 'f"ête', "version": 12, "deleted": True}
    assert json.loads(there) == {
        "resource": "Vehicle", "key": "920", "version": 13, "deleted": False, "row": {"parc": "920"},
    }  # fmt: skip
    assert gone.startswith('{"resource":"Event","key":"f\\"ête"'.encode())
