"""HTTP as bytes on a socket: what no decent client would send."""

import json
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness import LONGEST, Api, Person


@dataclass(frozen=True)
class Answer:
    """What came back until the service closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_all: bool
    """Whether the service read on until the last piece."""

    def json(self) -> Any:
        return json.loads(self.body)


def connected(api: Api) -> socket.socket:
    """A connection to the service."""
    link = socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=LONGEST)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def exchange(api: Api, *pieces: bytes | Iterable[bytes]) -> Answer:
    """Sends pieces as long as the service takes them, then reads its answer."""
    with connected(api) as link:
        sent_all = _send(link, pieces)
        received = b""
        with suppress(ConnectionResetError):
            while found := link.recv(65_536):
                received += found
                if _complete(received):
                    break
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split(" ")[1]) if first else 0, headers, body, sent_all)


def _send(link: socket.socket, pieces: Iterable[bytes | Iterable[bytes]]) -> bool:
    try:
        for piece in pieces:
            for part in [piece] if isinstance(piece, bytes) else piece:
                link.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _complete(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return bool(found) and length is not None and len(body) >= int(length.partition(b":")[2])


def head(method: str, target: bytes, who: Person | None = None, *lines: bytes) -> bytes:
    """The first lines of a request, with the empty line that ends them."""
    first = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost", *lines]
    if who is not None:
        first.append(b"Authorization: Bearer " + who.token.encode())
    return b"\r\n".join(first) + b"\r\n\r\n"
