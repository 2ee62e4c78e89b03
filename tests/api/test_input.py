"""What is not JSON, or not the JSON that a route takes, is refused whole: nothing stored, nothing echoed."""

import json

import pytest

from harness import Api
from routes import MEMBER, WRITES, Write, assert_refused, every_write, everything, send, stocked

ECHO = "kilroy"
"""Is in every bad text: no answer may hold it."""

MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "only spaces": b"  \n",
    "a list": b'[{"title": "kilroy"}]',
    "a text": b'"kilroy"',
    "a number": b"12",
    "null": b"null",
    "cut off": b'{"title": "kilroy',
    "a comma too many": b'{"title": "kilroy",}',
    "single quotes": b"{'title': 'kilroy'}",
    "a comment": b'{"title": "kilroy"} // comment',
    "trailing bytes": b'{"title": "kilroy"} x',
    "a second value": b'{"title": "kilroy"}{"title": "kilroy"}',
    "a trailing NUL": b'{"title": "kilroy"}\x00',
    "NUL in a text": b'{"title": "kil\x00roy"}',
    "a raw line end in a text": b'{"title": "kil\nroy"}',
    "bytes that are not UTF-8": b'{"title": "kilroy \xff"}',
    "overlong UTF-8": b'{"title": "kilroy \xc0\xaf"}',
    "a surrogate in UTF-8": b'{"title": "kilroy \xed\xa0\x80"}',
    "a lone high surrogate": rb'{"title": "kilroy \ud800"}',
    "a lone low surrogate": rb'{"x": ["kilroy \udc00"]}',
    "a lone surrogate in a key": rb'{"kilroy \udfff": 1}',
    "NaN": b'{"fuel": NaN, "title": "kilroy"}',
    "Infinity": b'{"fuel": Infinity, "title": "kilroy"}',
    "-Infinity": b'{"extras": {"x": [-Infinity]}}',
    "1e400": b'{"fuel": 1e400, "title": "kilroy"}',
    "-1e400 deep down": b'{"extras": {"x": [{"y": -1e400}]}}',
    "a number of 5000 digits": b'{"maxParticipants": %s}' % (b"9" * 5000),
    "a fraction of 5000 digits": b'{"fuel": %s.5}' % (b"9" * 5000),
    "a duplicate key": b'{"title": "kilroy", "title": "kilroy"}',
    "a duplicate key, escaped": rb'{"title": "kilroy", "\u0074itle": "kilroy"}',
    "a duplicate key deep down": b'{"extras": [{"a": 1, "b": {"c": 1, "c": 2}}]}',
    "65 levels": b'{"extras": %s1%s}' % (b"[" * 64, b"]" * 64),
    "100 000 levels": b'{"extras": %s' % (b"[" * 100_000),
    "a byte order mark": b'\xef\xbb\xbf{"title": "kilroy"}',
    "UTF-16": '{"title": "kilroy"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"title": "kilroy"}'.encode("utf-16-le"),
    "UTF-32": '{"title": "kilroy"}'.encode("utf-32"),
}

MEDIA = (
    "text/plain", "text/json", "application/x-www-form-urlencoded", "application/xml",
    "multipart/form-data; boundary=x", "application/jsonp", "application/json; charset=utf-16",
    "application/json; charset=latin1", "json", "",
)  # fmt: skip


def test_the_table_of_writes_misses_no_route_that_takes_a_body(api: Api) -> None:
    described = api.get("/openapi.json").json()["paths"]
    expected = {
        (method.upper(), path)
        for path, operations in described.items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }

    keys = {"/api/events/": "{id}", "/api/vehicles/": "{parc}", "/api/members/": "{id}"}
    tested = {(write.method, write.path) for write in WRITES}
    for start, name in keys.items():
        tested |= {(method, start + name) for method, path in tested if path.startswith(start)}

    assert expected <= tested


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_no_write_takes_what_is_not_strict_json(api: Api, content: bytes) -> None:
    admin = stocked(api)
    before = everything(api)

    answers = [send(api, admin, write, content) for write in WRITES]

    for answer in answers:
        assert_refused(answer, 400, "malformed_json")
        assert ECHO not in answer.text
    assert everything(api) == before


@pytest.mark.parametrize("media", MEDIA)
def test_no_write_takes_another_media_type(api: Api, media: str) -> None:
    admin = stocked(api)
    before = everything(api)

    answers = [send(api, admin, write, json.dumps(write.body).encode(), media) for write in WRITES]

    for answer in answers:
        assert_refused(answer, 415, "unsupported_media_type")
    assert everything(api) == before


@pytest.mark.parametrize(
    "media",
    [
        "application/json; charset=UTF-8",
        "APPLICATION/JSON",
        "application/merge-patch+json",
        "application/json;charset=utf8",
        'application/json; charset="Utf-8"',
        "application/json; charset=US-ASCII",
    ],
)
def test_json_goes_by_several_names(api: Api, media: str) -> None:
    admin = stocked(api)

    answer = send(api, admin, Write("PUT", f"/api/members/{MEMBER}", "", {}, ""), b'{"city": "Lyon"}', media)

    assert answer.status_code == 200


@every_write
def test_no_write_takes_a_body_without_a_known_field(api: Api, write: Write) -> None:
    admin = stocked(api)
    before = everything(api)

    answers = [send(api, admin, write, content) for content in (b"{}", b'{"kilroy": "kilroy"}')]

    for answer in answers:
        if "id" in write.body:
            assert_refused(answer, 422, "invalid", "id")
        else:
            assert_refused(answer, 400, "no_known_field")
        assert ECHO not in answer.text
    assert everything(api) == before


BAD_TEXTS: tuple[object, ...] = (
    "kilroy\0",
    "kilroy\a",
    "kilroy\x7f",
    "kilroy\x9f",
    12,
    1.5,
    True,
    [],
    ["kilroy"],
    {"kilroy": 1},
)


@every_write
def test_no_write_takes_a_bad_text(api: Api, write: Write) -> None:
    admin = stocked(api)
    before = everything(api)

    answers = [send(api, admin, write, json.dumps(write.body | {write.text: bad}).encode()) for bad in BAD_TEXTS]

    for answer in answers:
        assert_refused(answer, 422, "invalid", write.text)
        assert ECHO not in answer.text
    assert everything(api) == before
