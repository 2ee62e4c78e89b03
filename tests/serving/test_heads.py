"""The head of a request is bounded in size and time, also when it never ends."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from harness import Api
from raw_http import connected, exchange, head
from retrobus.serving import connection
from retrobus.serving.connection import HEAD_BYTES
from routes import assert_refused

START = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"


def endless(line: bytes) -> Iterator[bytes]:
    for _ in range(60_000):
        yield line


FILLER = b"X-Filler: " + b"x" * 1000
ENDLESS = {
    "headers": (START, FILLER + b"\r\n"), "a value": (START + b"X: ", b"x" * 1000),
    "a name": (START + b"X", b"x" * 1000), "a path": (b"GET /", b"x" * 1000),
    "a query": (b"GET /api/health?", b"a=1&" * 250),
}  # fmt: skip


@pytest.mark.parametrize("pieces", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_head_without_end_is_cut_off(api: Api, pieces: tuple[bytes, bytes]) -> None:
    answer = exchange(api, pieces[0], endless(pieces[1]))

    assert not answer.sent_all


def test_a_head_over_the_bound_is_refused_before_it_ends(api: Api) -> None:
    answer = exchange(api, START, b"X-Filler: " + b"x" * HEAD_BYTES)

    assert answer.headers["connection"] == "close"
    assert_refused(httpx.Response(answer.status, headers=answer.headers, content=answer.body), 431, "headers_too_large")


@pytest.mark.parametrize("sent", [b"", b"GET /api/he", START, START + b"X-Slow: "])
def test_a_head_that_does_not_come_ends_its_connection(api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connection, "HEAD_DEADLINE", 0.05)

    with connected(api) as link:
        link.sendall(sent)

        assert link.recv(100) == b""


def test_the_head_of_a_second_request_is_bounded_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(api) as link:
        link.sendall(START + b"\r\n")
        first = link.recv(10_000)
        monkeypatch.setattr(connection, "HEAD_DEADLINE", 0.05)
        link.sendall(START)

        assert first.startswith(b"HTTP/1.1 200 ")
        assert link.recv(100) == b""


def test_a_head_in_many_pieces_is_read(api: Api) -> None:
    request = head("GET", b"/api/health", None, b"X-Filler: " + b"x" * 100)

    answer = exchange(api, *(request[place : place + 1] for place in range(len(request))))

    assert answer.status == 200


def test_many_requests_on_one_connection_are_not_counted_together(api: Api) -> None:
    request = START + b"X-Filler: " + b"x" * 10_000 + b"\r\n\r\n"

    with connected(api) as link:
        answers = [_answer(link, request) for _ in range(20)]

    assert answers == [b"HTTP/1.1 200 OK"] * 20


def _answer(link: socket.socket, request: bytes) -> bytes:
    link.sendall(request[:5000])
    link.sendall(request[5000:])
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}\n"):
        received += link.recv(10_000)
    return received.partition(b"\r\n")[0]
