"""JSON is read strictly, and written exactly as Postgres writes jsonb."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from retrobus.model.jsontext import DEPTH, VALUES, BadJson, canonical, parse

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=6),
    max_leaves=12,
)
few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

Stored = Callable[[list[str]], list[str]]
EDGES = [
    0.0, -0.0, 1.0, 1e16, 1e-7, 1e22, 1.7976931348623157e308, 5e-324, 0.1, -1.5e-10, 123456789.123456789, 10**290, -1,
    "\x01\x1f\x7f\x80\u2028\ufeff\ud7ff\ue000\U0010ffff", '"\\/\b\f\n\r\t', "é", "e\u0301", {"": 1}, {},
    {"b": 1, "aa": 2, "a": 3}, {"é": 1, "zz": 2, "z": 3, "ab": 4}, [{}, [None, True, []]], {"a": {"b": {"c": []}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def stored(server: str) -> Iterator[Stored]:
    """Gives JSON texts back as the server's jsonb does, many in one question."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(server))

        def ask(given: list[str]) -> list[str]:
            question = "SELECT (line::jsonb)::text FROM unnest($1::text[]) WITH ORDINALITY AS t (line, n) ORDER BY n"
            return [row[0] for row in runner.run(connection.fetch(question, given))]

        yield ask
        runner.run(connection.close())


@few
@given(st.lists(values, min_size=30, max_size=60))
@example(EDGES)
def test_the_canonical_text_is_the_one_that_postgres_keeps(stored: Stored, given: list[Any]) -> None:
    texts = [canonical(value) for value in given]

    assert stored(texts) == texts


@few
@given(st.lists(values, min_size=30, max_size=60))
@example(EDGES)
def test_what_was_parsed_from_any_client_is_kept_as_its_canonical_text(stored: Stored, given: list[Any]) -> None:
    sent = [json.dumps(value, ensure_ascii=number % 2 == 0, indent=number % 3) for number, value in enumerate(given)]

    texts = [canonical(parse(text.encode())) for text in sent]

    assert json.loads(f"[{','.join(texts)}]", parse_int=float) == json.loads(json.dumps(given), parse_int=float)
    assert stored(texts) == texts


def test_a_number_near_the_largest_can_be_sent_back_as_it_was_read() -> None:
    text = canonical(parse(b"1.7976931348623157e308"))

    assert canonical(parse(text.encode())) == text


@few
@given(values)
def test_parsing_gives_what_the_standard_library_gives(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@few
@given(st.binary(max_size=60) | st.text('[]{}",:0123456789.eE+-tfn\\u dual', max_size=40).map(str.encode))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with suppress(BadJson):
        assert parse(body) == json.loads(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}")])
def test_nesting_ends_at_64_levels(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:
        return (opening * levels + "1" + closing * levels).encode()

    assert parse(nested(DEPTH))
    with pytest.raises(BadJson, match="64 niveaux"):
        parse(nested(DEPTH + 1))


def test_the_number_of_values_is_bounded() -> None:
    assert len(parse(b"[%s1]" % (b"1," * (VALUES - 2)))) == VALUES - 1
    with pytest.raises(BadJson, match=f"{VALUES} valeurs"):
        parse(b"[%s1]" % (b"1," * VALUES))


def test_marks_inside_of_texts_are_no_values() -> None:
    text = '\\",[{' * VALUES

    assert parse(json.dumps([text, text]).encode()) == [text, text]


@pytest.mark.parametrize("number", ["1e309", "-1e309", "2" + "0" * 308, "9" * 310, "1" + "0" * 5000, "1e99999999999"])
def test_a_number_that_no_client_could_read_back_is_refused(number: str) -> None:
    with pytest.raises(BadJson, match="hors des limites"):
        parse(f'{{"a": {number}}}'.encode())


@pytest.mark.parametrize("value", ["\0", {"\0": 1}, [{"a": ["x\0"]}]])
def test_nul_has_no_canonical_text(value: object) -> None:
    with pytest.raises(BadJson, match="NUL"):
        canonical(value)


@pytest.mark.parametrize("body", [b"[1, NaN kilroy]", b'{"kilroy": 1, "kilroy": 2}', b'["kilroy', b'"kilroy \xff"'])
def test_a_refusal_never_repeats_the_input(body: bytes) -> None:
    with pytest.raises(BadJson) as refusal:
        parse(body)

    assert "kilroy" not in str(refusal.value)
