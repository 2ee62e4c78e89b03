"""Bytes on a connection: one request at a time, upgrades ignored, refusals that arrive, one form of errors."""

import json
import re
import select
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

import harness
from builders import an_event
from clients import answer_on
from harness import LONGEST, Api, Person, process, served, settings_for
from raw_http import connected, exchange, head
from retrobus.api import bodies
from retrobus.serving import connection_end as ending
from retrobus.serving import last_bytes as lingering
from routes import assert_refused

MIB = 1 << 20
PATIENCE = 4.0
"""Seconds within which the first bytes of a body must come: a pause of this machine is shorter."""

JSON = b"Content-Type: application/json"
H2C = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
UPGRADES = {
    "h2c": H2C,
    "websocket": (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    "any": (b"Connection: upgrade", b"Upgrade: TLS/1.0, something/2"),
}
HIDDEN = b"GET /api/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


def whole(api: Api, *pieces: bytes) -> bytes:
    """Everything that the service sends on one connection, until it ends it."""
    with connected(api) as link:
        for piece in pieces:
            link.sendall(piece)
        received = b""
        while found := link.recv(65_536):
            received += found
    return received


def answers_in(received: bytes) -> list[bytes]:
    """The statuses of the answers on one connection."""
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", received)


def hidden_requests(api: Api) -> list[str]:
    """What the figures say of the routes that no test asks for openly."""
    return re.findall(r'route="\(none\)",status="404"} (\S+)', api.get("/metrics").text)


# --- an upgrade that we do not do -------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["whole", "after the head", "in the body", "in the head"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_an_upgrade_is_ignored_and_the_body_read(
    api: Api, manager: Person, upgrade: tuple[bytes, ...], framing: str, cut: str
) -> None:
    body = json.dumps(an_event(id="sortie", description=HIDDEN.decode())).encode()
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if framing == "chunked" else body
    length = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: %d" % len(body)
    first = head("POST", b"/api/events", manager, JSON, length, *upgrade)
    place = {"whole": 0, "after the head": len(first), "in the body": len(first) + 20, "in the head": 70}[cut]

    with connected(api) as link:
        for piece in ((first + sent)[:place], (first + sent)[place:]):
            link.sendall(piece)
        created = answer_on(link)
        link.sendall(head("GET", b"/api/health"))
        after = answer_on(link)

    assert (created, after) == (("201", True), ("200", True))
    assert api.sql("SELECT id FROM event")[0]["id"] == "sortie"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_that_offers_http_2_creates_an_event(api: Api, manager: Person) -> None:
    command = ["curl", "-sS", "--http2", "-X", "POST", "-w", "\n%{http_code}", "-H", "Content-Type: application/json"]
    command += [
        "-H",
        f"Authorization: Bearer {manager.token}",
        "-d",
        json.dumps(an_event()),
        f"{api.base_url}/api/events",
    ]

    said = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True).stdout

    assert said.splitlines()[-1] == "201"


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(given[0]))
            .header("Content-Type", "application/json").header("Authorization", "Bearer " + given[1]);
        for (int number = 2; number < given.length; number++) {
            HttpRequest sent = request.POST(HttpRequest.BodyPublishers.ofString(given[number])).build();
            System.out.println(client.send(sent, HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="no Java compiler is installed")
def test_java_s_client_which_offers_http_2_creates_events(api: Api, manager: Person, tmp_path: Path) -> None:
    (tmp_path / "Client.java").write_text(JAVA)
    bodies = [json.dumps(an_event(description="x" * size)) for size in (10, 15_000)]
    subprocess.run(["javac", "Client.java"], cwd=tmp_path, timeout=LONGEST, check=True)

    command = ["java", "Client", f"{api.base_url}/api/events", manager.token, *bodies]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST, check=True).stdout

    assert said.split() == ["201", "201"]


# --- nothing becomes a second request ---------------------------------------------------------------

AMBIGUOUS = {
    "length and chunked": b"Content-Length: 3\r\n" + CHUNKS + b"0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 60\r\n\r\n",
    "a signed length": b"Content-Length: +60\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x3c\r\n\r\n",
    "a length beyond 64 bits": b"Content-Length: 18446744073709551617\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "not quite chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a folded line": b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded length": b"Content-Length: 0\r\n 60\r\n\r\n",
    "a bare line feed": b"X: a\nContent-Length: 0\r\n\r\n",
    "a bare line feed at the end": b"Content-Length: 0\r\n\n",
    "a bare carriage return": b"X: a\rContent-Length: 0\r\n\r\n",
    "a zero byte": b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "chunks in bare line feeds": CHUNKS + b"1\na\n0\n\n",
    "a line feed in an extension": CHUNKS + b"1;a\nb\r\na\r\n0\r\n\r\n",
    "a chunk with a prefix": CHUNKS + b"0x1\r\na\r\n0\r\n\r\n",
    "a negative chunk": CHUNKS + b"-1\r\na\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKS + b"10000000000000001\r\na\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKS + b"1\r\nab\r\n0\r\n\r\n",
    "a length as a trailer": CHUNKS + b"0\r\nContent-Length: 60\r\n\r\n",
    "a tunnel": b"",
}


@pytest.mark.parametrize("pace", ["at once", "in two"])
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_hides_no_other(api: Api, name: str, pace: str) -> None:
    start = (
        b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n" if name == "a tunnel" else POST + JSON + b"\r\n"
    )
    before = hidden_requests(api)

    received = whole(
        api, *([start + AMBIGUOUS[name], HIDDEN] if pace == "in two" else [start + AMBIGUOUS[name] + HIDDEN])
    )

    assert answers_in(received) == [b"400"]
    assert b"connection: close" in received.partition(b"\r\n\r\n")[0]
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "bad_request"
    assert hidden_requests(api) == before


UNREAD = {
    "a second request": head("GET", b"/api/health"),
    "a second request after a body": head("POST", b"/api/auth/login", None, JSON, b"Content-Length: 2") + b"{}",
    "one after Connection: close": head("GET", b"/api/health", None, b"Connection: close"),
    "one after HTTP/1.0": b"GET /api/health HTTP/1.0\r\n\r\n",
    "one in an upgrade": head("GET", b"/api/health", None, *H2C),
    "one after an upgrade's body": head("POST", b"/api/auth/login", None, JSON, b"Content-Length: 2", *H2C) + b"{}",
    "one in a body without an announced length": head("POST", b"/api/auth/login", None, JSON),
}


@pytest.mark.parametrize("first", UNREAD.values(), ids=UNREAD.keys())
def test_bytes_that_come_before_the_answer_are_no_request(api: Api, first: bytes) -> None:
    before = hidden_requests(api)

    received = whole(api, first + HIDDEN * 3)

    assert len(answers_in(received)) == 1
    assert b"connection: close" in received.lower()
    assert hidden_requests(api) == before


def test_what_follows_the_body_as_trailers_is_no_header(api: Api, manager: Person) -> None:
    trailer = b"Authorization: Bearer " + manager.token.encode()
    request = head("POST", b"/api/events", None, JSON, b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n" + trailer

    assert exchange(api, request + b"\r\n\r\n").status == 401


# --- a refusal arrives ------------------------------------------------------------------------------


def _refusals(manager: Person, member: Person) -> dict[int, bytes]:
    size = b"Content-Length: %d" % (3 * MIB)
    return {
        413: head("POST", b"/api/events", manager, JSON, size),
        401: head("POST", b"/api/events", None, JSON, size),
        403: head("POST", b"/api/events", member, JSON, size),
        415: head("POST", b"/api/events", manager, b"Content-Type: text/csv", size),
        404: head("POST", b"/api/nowhere", manager, JSON, size),
        405: head("POST", b"/public/vehicles", manager, JSON, size),
        431: head("POST", b"/api/events", manager, JSON, size, b"X-Filler: " + b"x" * 20_000),
        400: POST + b"Content-Length: nonsense\r\n\r\n",
    }


@pytest.mark.parametrize("status", [413, 401, 403, 415, 404, 405, 431, 400])
def test_a_client_that_sends_its_whole_body_first_reads_the_refusal(
    api: Api, manager: Person, member: Person, status: int
) -> None:
    request = _refusals(manager, member)[status]

    answers = [exchange(api, request, b" " * (3 * MIB)) for _ in range(10)]

    assert [(answer.status, answer.sent_all, answer.headers["connection"]) for answer in answers] == [
        (status, True, "close")
    ] * 10
    assert {answer.json()["status"] for answer in answers} == {status}


@pytest.mark.parametrize("bound", ["bytes", "seconds", "silence"])
def test_the_rest_of_a_refused_body_is_read_within_bounds(
    api: Api, manager: Person, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(lingering, "DRAINED_BYTES", MIB if bound == "bytes" else 1 << 40)
    monkeypatch.setattr(lingering, "DRAINED_SECONDS", 0.1 if bound == "seconds" else 3600)
    monkeypatch.setattr(ending, "SILENCE", 0.05 if bound != "bytes" else 3600)
    size = b"Content-Length: %d" % (1 << 40)

    with connected(api) as link:
        link.sendall(head("POST", b"/api/events", manager, JSON, size))
        answer = answer_on(link)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _send_until_cut(link, seldom=bound == "silence")

    assert answer == ("413", False)


def _send_until_cut(link: socket.socket, *, seldom: bool) -> None:
    """Sends for ever; or waits for the end of the service's patience first."""
    for _ in range(200_000):
        select.select([], [], [], 0.3 if seldom else 0)
        link.sendall(b" " * 4096)


def test_a_client_that_ends_its_side_still_gets_its_answer(api: Api) -> None:
    with connected(api) as link:
        link.sendall(head("GET", b"/api/health"))
        link.shutdown(socket.SHUT_WR)

        assert answer_on(link)[0] == "200"
        assert link.recv(100) == b""


def test_empty_lines_after_an_answer_do_not_keep_a_connection(shared_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "KEPT_ALIVE", 0.2)

    with (
        served(settings_for(shared_api.database_url), shared_api.database_url) as api,
        connected(api) as link,
    ):
        link.sendall(head("GET", b"/api/health"))
        first = answer_on(link)
        last = _send_lines_until_cut(link)

    assert (first, last) == (("200", True), b"")


def _send_lines_until_cut(link: socket.socket) -> bytes:
    """What comes at the end of a connection on which empty lines are sent for ever; a line may meet the end itself."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(4_000):
            if select.select([link], [], [], 0.02)[0]:
                return link.recv(100)
            link.sendall(b"\r\n")
        return b"the connection goes on"
    return b""


# --- a slow body ------------------------------------------------------------------------------------


def test_a_slow_body_is_judged_by_its_progress(api: Api, manager: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_PATIENCE", PATIENCE)
    monkeypatch.setattr(bodies, "BODY_PROGRESS", 1000)
    body = json.dumps(an_event()).encode().ljust(15_000)
    length = b"Content-Length: %d" % len(body)

    with connected(api) as link:
        link.sendall(head("POST", b"/api/events", manager, JSON, length, b"Expect: 100-continue"))
        assert link.recv(100).startswith(b"HTTP/1.1 100 ")  # the service waits for the body from now on
        monkeypatch.setattr(bodies, "BODY_PATIENCE", LONGEST)
        link.sendall(body[:1000])
        answered_early = select.select([link], [], [], PATIENCE + 1)[0]
        assert not answered_early, link.recv(10_000)
        link.sendall(body[1000:])
        answer = answer_on(link)

    assert answer == ("201", True)


# --- one form for every error -----------------------------------------------------------------------

GARBAGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "words": b"HELO example.org\r\n\r\n",
    "zeros": b"\0" * 100,
    "a bad target": b"GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_bytes_that_are_not_http_are_refused_in_the_form_of_every_error(api: Api, sent: bytes) -> None:
    counted = _counted(api)

    answer = exchange(api, sent)

    assert_refused(httpx.Response(answer.status, headers=answer.headers, content=answer.body), 400, "bad_request")
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["connection"] == "close"
    assert _counted(api) == counted + 1


def _counted(api: Api) -> float:
    found = re.search(
        r'_requests_total{method="\(other\)",route="\(none\)",status="400"} (\S+)', api.get("/metrics").text
    )
    return float(found[1]) if found else 0


# --- IPv4 clients of a socket for both --------------------------------------------------------------


def test_on_a_socket_for_both_an_ipv4_client_has_its_ipv4_address(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, HOST="::", FORWARDED_ALLOW_IPS="127.0.0.1") as (api, _):
        port = api.base_url.port
        near = [httpx.get(f"http://{host}:{port}/metrics").status_code for host in ("127.0.0.1", "[::1]")]
        visitor = api.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})

    assert near == [200, 200]
    assert visitor.status_code == 403
