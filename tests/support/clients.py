"""Clients that keep a service busy while it stops: each request is answered, not begun, or a failure to report.

A connection on which nothing comes for a quarter of a second ends when the service stops. A client that this machine
held up for so long may send a request just then: that loss is its own, and no failure to report.
"""

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from harness import LONGEST

REQUEST = b"%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


ON_TIME = 0.2
"""Seconds after an answer, or after the connection was made, within which no request is lost."""


class Clients:
    """Clients on threads, until the service takes no connection any more."""

    def __init__(self, port: int, kinds: list["Kind"]) -> None:
        self.outcomes: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._port = port
        self._threads = [threading.Thread(target=self._run, args=(kind,), daemon=True) for kind in kinds]

    @property
    def answered(self) -> int:
        with self._counting:
            return sum(count for name, count in self.outcomes.items() if name.isdigit())

    @property
    def failures(self) -> dict[str, int]:
        with self._counting:
            return {name: count for name, count in self.outcomes.items() if not name.isdigit()}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Starts the clients, and waits at the end until each has met the end of the service."""
        for thread in self._threads:
            thread.start()
        yield
        for thread in self._threads:
            thread.join(LONGEST)
            assert not thread.is_alive(), "a client still waits"

    def _run(self, kind: "Kind") -> None:
        while (link := self._connected()) is not None:
            with link:
                self._use(link, kind)

    def _connected(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self._port), timeout=LONGEST)
        except ConnectionRefusedError:
            return None

    def _use(self, link: socket.socket, kind: "Kind") -> None:
        """Sends requests on one connection until it ends."""
        idle_since = time.monotonic()
        while not select.select([link], [], [], kind.pause)[0]:  # readable while idle: the service has ended it
            status, kept, sent_at = asked(link, kind.request)
            if status.isdigit() or sent_at - idle_since < ON_TIME:
                with self._counting:
                    self.outcomes[status] += 1
            if not kept or kind.once:
                return
            idle_since = time.monotonic()


class Kind:
    """What a client sends, how long it rests between two requests, and whether it connects for each."""

    def __init__(self, line: str, body: bytes = b"", *, pause: float = 0, once: bool = False) -> None:
        self.request = REQUEST % (line.encode(), len(body), body)
        self.pause, self.once = pause, once


def asked(link: socket.socket, request: bytes) -> tuple[str, bool, float]:
    """What `answer_on` says of a request, or the name of the error, and when the request was sent."""
    sent_at = None
    try:
        link.sendall(request)
        sent_at = time.monotonic()
        status, kept = answer_on(link)
    except OSError as error:
        status, kept = type(error).__name__, False
    return status, kept, sent_at or time.monotonic()


def answer_on(link: socket.socket) -> tuple[str, bool]:
    """The status of the next answer on a connection ("cut" without one), and whether the connection goes on."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (found := link.recv(65_536)):
            return "cut", False
        received += found
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    while len(body) < length:
        if not (found := link.recv(65_536)):
            return "cut", False
        body += found
    return head[9:12].decode(), b"connection: close" not in lines
