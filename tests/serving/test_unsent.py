"""Clients that ask for large answers and read nothing: the memory of the service has a bound, and others are served."""

import select
import socket
from base64 import b64encode
from contextlib import ExitStack

import pytest

from harness import LONGEST, Api, served, settings_for
from retrobus.serving import unsent
from rows import create

MIB = 1 << 20
CONTENT = b"GIF89a" + bytes(5 * MIB)
"""Far more than the kernel takes for a client that does not read."""

WAIT = int(LONGEST * 1000)
"""Milliseconds that a test waits for the service at most."""


def with_image(api: Api) -> str:
    """The address of a large image."""
    image = f"data:image/gif;base64,{b64encode(CONTENT).decode()}"
    create(api, api.person("ADMIN"), "vehicles", parc="920", backgroundImage=image)
    return "/public/vehicles/920/image"


def deaf(api: Api, path: str) -> socket.socket:
    """A connection that asks and reads no more than the first byte of the answer."""
    link = socket.socket()
    link.settimeout(LONGEST)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before the connection, which keeps what it began with
    link.connect((api.base_url.host, api.base_url.port or 80))
    link.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert link.recv(1) == b"H"
    return link


def is_cut(link: socket.socket, wait: int = WAIT) -> bool:
    """Whether the service ends the connection in time, without a byte being read."""
    poller = select.poll()
    poller.register(link, select.POLLERR | select.POLLHUP)
    return bool(poller.poll(wait))


def rest_of(link: socket.socket) -> bytes:
    """All that still comes."""
    received = b""
    while found := link.recv(MIB):
        received += found
    return received


def test_when_too_much_waits_the_clients_that_took_nothing_for_longest_are_cut_off(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent, "MOST", 8 * MIB)
    with served(settings_for(database), database) as api, ExitStack() as open_links:
        path = with_image(api)

        links = [open_links.enter_context(deaf(api, path)) for _ in range(8)]

        assert is_cut(links[0])
        assert rest_of(links[-1]).endswith(CONTENT), "the last one is served"
        assert api.get(path).content == CONTENT


def test_a_client_that_takes_nothing_for_long_is_cut_off(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsent, "LOOK", 0.02)
    with served(settings_for(database), database) as api, deaf(api, with_image(api)) as link:
        monkeypatch.setattr(unsent, "PATIENCE", 0.1)  # not before: a pause until then would end the connection
        assert is_cut(link)


def test_a_client_that_reads_late_gets_all_of_its_answer(database: str) -> None:
    with served(settings_for(database), database) as api, deaf(api, with_image(api)) as link:
        assert not is_cut(link, wait=1)
        assert rest_of(link).endswith(CONTENT)
