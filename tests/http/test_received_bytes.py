"""Bodies and headers are bounded by what is received, in bytes and in time, and not by what is announced."""

import json
import re
import select
import socket
import time
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

import httpx
import pytest

from builders import a_vehicle
from harness import LONGEST, Api, Person, until
from raw_http import Answer, connected, exchange, head
from retrobus.api import bodies
from retrobus.model import jsontext
from routes import EVENT, MEMBER, WRITES, Write, assert_refused, every_write, everything, send, stocked

MIB = 1 << 20
CHUNK = 65_536
JSON_LINES = (b"Content-Type: application/json",)
CHUNKED = (*JSON_LINES, b"Transfer-Encoding: chunked")
TERMINATE = Write("POST", f"/api/members/{MEMBER}/terminate", "", {}, "")


def limit_of(write: Write) -> int:
    """Images travel in the writes of vehicles."""
    return 8 * MIB if "/vehicles" in write.path else MIB


def target(write: Write) -> bytes:
    return write.path.encode()


def assert_refused_raw(answer: Answer, status: int, code: str) -> None:
    headers = {**answer.headers, "connection": "close"}  # httpx would want to read on
    assert_refused(httpx.Response(answer.status, headers=headers, content=answer.body), status, code)


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"%x\r\n" % CHUNK + b" " * CHUNK + b"\r\n"


@pytest.mark.parametrize("write", [*WRITES, TERMINATE], ids=str)
def test_an_announced_body_over_the_limit_is_refused_before_it_comes(api: Api, write: Write) -> None:
    admin = stocked(api)
    length = b"Content-Length: %d" % (limit_of(write) + 1)

    answer = exchange(api, head(write.method, target(write), admin, *JSON_LINES, length))

    assert_refused_raw(answer, 413, "body_too_large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("write", [*WRITES, TERMINATE], ids=str)
def test_a_body_of_unknown_length_is_refused_while_it_comes(api: Api, write: Write) -> None:
    admin = stocked(api)
    before = everything(api)

    answer = exchange(
        api, head(write.method, target(write), admin, *CHUNKED), chunks(limit_of(write) // CHUNK), b"1\r\nx\r\n"
    )

    assert_refused_raw(answer, 413, "body_too_large")
    assert everything(api) == before


def test_a_body_without_end_is_cut_off(api: Api) -> None:
    admin = stocked(api)

    answer = exchange(api, head("POST", b"/api/events", admin, *CHUNKED), chunks(100 * MIB // CHUNK))

    assert not answer.sent_all


def test_a_body_as_long_as_the_limit_is_taken(api: Api) -> None:
    admin = stocked(api)
    short, long = json.dumps({"etat": "x"}).encode().ljust(8 * MIB), json.dumps({"title": "x"}).encode().ljust(MIB)

    vehicle = send(api, admin, Write("PATCH", "/api/vehicles/920", "", {}, ""), short)
    event = send(api, admin, Write("PATCH", f"/api/events/{EVENT}", "", {}, ""), long)

    assert (vehicle.status_code, event.status_code) == (200, 200)


def test_an_image_of_several_megabytes_is_taken_whole(api: Api) -> None:
    admin = stocked(api)
    image = "data:image/jpeg;base64," + "A" * (7 * MIB)

    answer = api.post("/api/vehicles", json=a_vehicle(parc="1", backgroundImage=image), headers=admin.headers)

    assert answer.status_code == 201
    assert api.get("/api/vehicles/1", headers=admin.headers).json()["backgroundImage"] == image


BOMBS = {
    "objects": b'{"extras": [%s{}]}' % (b"{}," * 300_000), "lists": b'{"x": [%s[]]}' % (b"[]," * 300_000),
    "numbers": b'{"caracteristiques": [%s1]}' % (b"1," * 500_000), "texts": b'{"gallery": [%s""]}' % (b'"",' * 300_000),
    "keys": b"{%s}" % b",".join(b'"%d":1' % number for number in range(90_000)),
    "an unfinished text": b'[%s"%s' % (b"1," * 60_000, rb"\"" * 400_000),
}  # fmt: skip


class Decoder:
    """The decoder of the program; it notes what it reads."""

    def __init__(self, decoder: JSONDecoder) -> None:
        self.read: list[str] = []
        self._decoder = decoder

    def decode(self, text: str) -> Any:
        self.read.append(text)
        return self._decoder.decode(text)


@every_write
def test_a_body_of_a_million_small_values_costs_nothing(
    api: Api, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = stocked(api)
    decoder = Decoder(jsontext._DECODER)  # noqa: SLF001 - what costs time in it is making the values
    monkeypatch.setattr(jsontext, "_DECODER", decoder)

    answers = [send(api, admin, write, bomb) for bomb in BOMBS.values()]

    assert [text[:40] for text in decoder.read] == []
    for answer in answers:
        assert_refused(answer, 400, "malformed_json")


def test_what_looks_like_many_values_inside_a_text_is_one(api: Api) -> None:
    admin = stocked(api)
    image = 'data:image/svg+xml;utf8,<path d="' + "1,2 [{" * 20_000 + '"/>'

    answer = api.patch("/api/vehicles/920", json={"backgroundImage": image}, headers=admin.headers)

    assert (answer.status_code, answer.json()["backgroundImage"]) == (200, image)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service waits for a body for a moment only."""
    monkeypatch.setattr(bodies, "BODY_PATIENCE", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("write", [*WRITES, TERMINATE], ids=str)
def test_a_body_that_does_not_come_is_given_up(api: Api, write: Write) -> None:
    admin = api.person("ADMIN")

    answer = exchange(api, head(write.method, target(write), admin, *JSON_LINES, b"Content-Length: 100"), b"{")

    assert_refused_raw(answer, 408, "body_timeout")
    assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("impatient")
def test_a_body_that_trickles_is_given_up(api: Api) -> None:
    admin = api.person("ADMIN")

    with connected(api) as link:
        link.sendall(head("POST", b"/api/events", admin, *CHUNKED))
        received = _trickle(link)

    assert received.startswith(b"HTTP/1.1 408 ")


def _trickle(link: socket.socket) -> bytes:
    """Sends a byte whenever nothing came back for a moment."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if select.select([link], [], [], 0.02)[0]:
            return link.recv(65_536)
        link.sendall(b"1\r\n \r\n")
    return b""


def _counted(api: Api) -> dict[str, float]:
    """Answers to POST /api/events so far, by status."""
    found = re.findall(
        r'_requests_total{method="POST",route="/api/events",status="(\d+)"} (\S+)', api.get("/metrics").text
    )
    return {status: float(count) for status, count in found}


@pytest.mark.parametrize("hang_up", [socket.SHUT_WR, socket.SHUT_RDWR], ids=["half", "whole"])
def test_a_client_that_hangs_up_in_its_body_is_no_error_of_ours(api: Api, hang_up: int) -> None:
    admin = stocked(api)
    before, counted = everything(api), _counted(api)

    with connected(api) as link:
        link.sendall(head("POST", b"/api/events", admin, *JSON_LINES, b"Content-Length: 100") + b'{"title"')
        link.shutdown(hang_up)
        until(lambda: _counted(api).get("400", 0) > counted.get("400", 0), "the end of the cut request")

    now = _counted(api)
    assert now.get("500") == counted.get("500")
    assert now["400"] == counted.get("400", 0) + 1
    assert everything(api) == before


@pytest.mark.parametrize("path", ["/api/events", "/public/events", "/api/health", "/nowhere"])
@pytest.mark.parametrize("headers", [{"X-Filler": "x" * 17_000}, {f"X-{number}": "x" * 100 for number in range(200)}])
def test_headers_over_16_kib_are_refused(api: Api, path: str, headers: dict[str, Any]) -> None:
    person: Person = api.person("MEMBER")

    answer = api.get(path, headers=headers | person.headers)

    assert_refused(answer, 431, "headers_too_large")
